//! The account's settings, prices and notes.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _};
use veobatch_core::account::{Daily, Day, MinRtt, Pace};
use veobatch_core::{Credits, Lane, StateName};

use super::account::{self, now_us};
use super::row::{get_time, put_time};
use super::writer::Step;
use crate::LedgerError;
use crate::account::{Note, NoteKind, PriceList, Settings};

/// Made at every opening: older files have none. Jobs that wait for a price; others in their lane wait for a time.
pub(super) const UNPRICED_TABLE: &str = "CREATE TABLE IF NOT EXISTS unpriced (job INTEGER PRIMARY KEY) STRICT;";

pub(super) fn configure(step: &mut Step<'_>, settings: &Settings) -> Result<Pace, LedgerError> {
    let (mut state, now) = (account::load(step.sql)?, now_us(step));
    let before = state.clone();
    if let Some((submissions, per)) = settings.rate {
        (state.pace.submissions, state.pace.per, state.throttled) = (submissions, per, None);
    }
    if let Some(cap) = settings.max_in_flight {
        state.pace.max_in_flight = cap;
    }
    if settings.solvent {
        state.report_credits(now);
    }
    if let Some((why, wait)) = &settings.closes {
        state.report_closed(why, *wait, now);
    }
    if state != before {
        account::store(step.sql, &state)?;
        step.nudge = true;
    }
    if settings.joins {
        account::store_min_rtt(step.sql, &MinRtt::default())?;
    }
    if settings.rereads {
        super::unreadable::retry(step)?;
    }
    if let Some((kind, words)) = &settings.note {
        note(step, *kind, words.as_deref())?;
    }
    if let Some(list) = &settings.prices {
        set_prices(step.sql, list)?;
        step.nudge = true;
    }
    if let Some(budget) = &settings.daily {
        let known = account::daily(step.sql)?;
        let daily = budget.clone().map(|budget| Daily::set(known, budget));
        account::store_daily(step.sql, daily.as_ref())?;
        look_for_prices(step.sql)?;
        step.nudge = true;
    }
    if let Some(day) = &settings.day {
        begin_day(step, day)?;
    }
    Ok(before.pace)
}

fn begin_day(step: &mut Step<'_>, day: &Day) -> Result<(), LedgerError> {
    let Some(mut daily) = account::daily(step.sql)? else { return Ok(()) };
    if daily.begin(day, step.clock.wall) {
        account::store_daily(step.sql, Some(&daily))?;
        step.nudge = true;
    }
    Ok(())
}

fn set_prices(sql: &Connection, list: &PriceList) -> Result<(), LedgerError> {
    let priced: bool = sql.query_row("SELECT priced FROM account", [], |row| row.get(0))?;
    if priced && !list.asked {
        return Ok(());
    }
    look_for_prices(sql)?;
    // The next job of a batch that waits for its budget may be cheap enough now.
    sql.execute(&format!("UPDATE batch SET {}, short = 0 WHERE short = 1", super::sums::PRESENT), [])?;
    sql.execute("DELETE FROM price", [])?;
    let mut insert = sql.prepare_cached("INSERT OR REPLACE INTO price (class, credits) VALUES (?, ?)")?;
    for (class, credits) in &list.by_class {
        insert.execute((class, credits.as_millis()))?;
    }
    sql.execute("UPDATE account SET priced = priced OR ?", [list.asked])?;
    Ok(())
}

/// Jobs that wait for a price are looked at again now: there may be one, or no budget any more that needs one.
pub(super) fn look_for_prices(sql: &Connection) -> Result<(), LedgerError> {
    sql.execute(
        "UPDATE job SET due = 0 WHERE id IN (SELECT job FROM unpriced) AND lane = ?1 AND state = ?2",
        (super::row::put_lane(Lane::Submit), super::row::put_state(StateName::Queued)),
    )?;
    Ok(())
}

/// Job `id` waits for a price from now on.
pub(super) fn waits_for_price(sql: &Connection, id: i64) -> Result<(), LedgerError> {
    sql.prepare_cached("INSERT OR IGNORE INTO unpriced (job) VALUES (?)")?.execute([id])?;
    Ok(())
}

/// Job `id` waits for no price any more, if it did.
pub(super) fn needs_no_price(sql: &Connection, id: i64) -> Result<(), LedgerError> {
    sql.prepare_cached("DELETE FROM unpriced WHERE job = ?")?.execute([id])?;
    Ok(())
}

/// Remembers what a worker says of itself, or that it is over.
fn note(step: &Step<'_>, kind: NoteKind, words: Option<&str>) -> Result<(), LedgerError> {
    match words {
        Some(words) => step
            .sql
            .prepare_cached("INSERT OR REPLACE INTO note (kind, at, words) VALUES (?, ?, ?)")?
            .execute((kind.as_str(), put_time(step.now), words))?,
        None => step.sql.prepare_cached("DELETE FROM note WHERE kind = ?")?.execute([kind.as_str()])?,
    };
    Ok(())
}

pub(super) fn notes(sql: &Connection) -> Result<Vec<Note>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT at, words FROM note WHERE kind = ?")?;
    let mut notes = Vec::new();
    for kind in NoteKind::ALL {
        let note = find.query_row([kind.as_str()], |row| Ok(Note { kind, at: get_time(row, 0)?, words: row.get(1)? }));
        notes.extend(note.optional()?);
    }
    Ok(notes)
}

pub(super) fn prices(sql: &Connection) -> Result<BTreeMap<String, Credits>, LedgerError> {
    let mut all = sql.prepare_cached("SELECT class, credits FROM price")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, Credits::from_millis(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
