//! What became of the slots, by the hour and the reason.

use rusqlite::Connection;
use veobatch_core::Timestamp;

use super::account::Books;
use super::row::put_time;
use super::writer::Step;
use crate::LedgerError;
use crate::account::Waiting;
use crate::slots::{SLOT_HOURS, SlotUse, USED};

pub(super) const TABLE: &str =
    "CREATE TABLE slot (hour INTEGER, why TEXT, n REAL NOT NULL, PRIMARY KEY (hour, why)) STRICT, WITHOUT ROWID;";

/// In microseconds.
const HOUR: i64 = 3_600_000_000;

/// `amount` more slots of the hour of `at` (in microseconds) ended so.
fn count(sql: &Connection, why: &str, at: i64, amount: f64) -> Result<(), LedgerError> {
    let hour = at.div_euclid(HOUR);
    let known =
        sql.prepare_cached("UPDATE slot SET n = n + ?3 WHERE hour = ?1 AND why = ?2")?.execute((hour, why, amount))?;
    if known == 0 {
        sql.prepare_cached("INSERT INTO slot (hour, why, n) VALUES (?, ?, ?)")?.execute((hour, why, amount))?;
        sql.prepare_cached("DELETE FROM slot WHERE hour < ?")?.execute([hour - i64::from(SLOT_HOURS)])?;
    }
    Ok(())
}

/// The slots from `from` to `till` were not used for this reason.
fn unused(sql: &Connection, why: &str, (from, till): (i64, i64), spacing: i64) -> Result<(), LedgerError> {
    let mut from = from.max(till - i64::from(SLOT_HOURS) * HOUR);
    while from < till {
        let to = till.min((from.div_euclid(HOUR) + 1) * HOUR);
        count(sql, why, from, ratio(to - from, spacing))?;
        from = to;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "hours in microseconds are far below 2^53")]
fn ratio(time: i64, spacing: i64) -> f64 {
    time as f64 / spacing as f64
}

/// Whatever went by until now has its reason: the one that was told since, or none was.
fn account_for(step: &Step<'_>, books: &Books, slot: Timestamp) -> Result<(), LedgerError> {
    let (now, spacing) = (put_time(step.now) * 1000, books.spacing(step.now));
    if let Some((why, from)) = &books.idle {
        return unused(step.sql, why, (*from, now), spacing);
    }
    if books.tat == 0 {
        return Ok(());
    }
    let (mut begun, slot) = (books.tat + spacing, put_time(slot) * 1000);
    if slot > begun {
        unused(step.sql, "answers", (begun, slot.min(now)), spacing)?;
        begun = slot;
    }
    unused(step.sql, "unasked", (begun, now), spacing)
}

/// A claim was told to wait: from now on, or once the credit is used up, slots go by for this reason.
pub(super) fn idle(step: &Step<'_>, books: &mut Books, why: Waiting) -> Result<(), LedgerError> {
    let word = match why {
        Waiting::Slot => return Ok(()),
        Waiting::Work => "work",
        Waiting::Cap => "cap",
        Waiting::Gate => "gate",
        Waiting::Window => "window",
        Waiting::Budget => "budget",
        Waiting::Recovery => "recovery",
    };
    if books.idle.as_ref().is_some_and(|(told, _)| told == word) {
        return Ok(());
    }
    let slot = books.next_slot(step.sql, step.now)?;
    account_for(step, books, slot)?;
    let from = (put_time(step.now) * 1000).max(books.tat + books.spacing(step.now));
    books.idle = Some((word.to_owned(), from));
    books.store(step.sql)
}

/// A slot is used now; before the books say so.
pub(super) fn used(step: &Step<'_>, books: &mut Books) -> Result<(), LedgerError> {
    let slot = books.next_slot(step.sql, step.now)?;
    account_for(step, books, slot)?;
    books.idle = None;
    count(step.sql, USED, put_time(step.now) * 1000, 1.0)
}

/// A slot that was used was of no use: `lost` or `unsent`.
pub(super) fn wasted(step: &Step<'_>, why: &str) -> Result<(), LedgerError> {
    count(step.sql, why, put_time(step.now) * 1000, 1.0)
}

pub(super) fn slots(step: &Step<'_>, hours: u32) -> Result<SlotUse, LedgerError> {
    let now = put_time(step.now) * 1000;
    let first = now.div_euclid(HOUR) + 1 - i64::from(hours.min(SLOT_HOURS));
    let mut all = SlotUse::default();
    let mut find = step.sql.prepare_cached("SELECT why, n FROM slot WHERE hour >= ?")?;
    let mut rows = find.query([first])?;
    while let Some(row) = rows.next()? {
        all.add(&row.get::<_, String>(0)?, row.get(1)?);
    }
    let books = Books::load(step.sql)?;
    if let Some((why, from)) = &books.idle {
        let from = (*from).max(first * HOUR);
        if from < now {
            all.add(why, ratio(now - from, books.spacing(step.now)));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_is_spread_over_its_hours() {
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch(TABLE).unwrap();
        let half = HOUR / 2;
        unused(&sql, "work", (half, 3 * HOUR + half), HOUR / 10).unwrap();
        let mut all = sql.prepare("SELECT hour, n FROM slot ORDER BY hour").unwrap();
        let rows: Vec<(i64, f64)> =
            all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [(0, 5.0), (1, 10.0), (2, 10.0), (3, 5.0)]);
    }
}
