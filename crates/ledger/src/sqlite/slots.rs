//! What became of the slots, stored by the hour and the reason.

use veobatch_core::account::{SLOT_HOURS, SlotCount};

use super::account::{self, now_us};
use super::writer::Step;
use crate::LedgerError;
use crate::slots::SlotUse;

pub(super) const TABLE: &str =
    "CREATE TABLE slot (hour INTEGER, why TEXT, n REAL NOT NULL, PRIMARY KEY (hour, why)) STRICT, WITHOUT ROWID;";

/// Adds slots to what is kept of their hours.
pub(super) fn add(step: &Step<'_>, counts: &[SlotCount]) -> Result<(), LedgerError> {
    for SlotCount { hour, word, slots } in counts {
        let mut add = step.sql.prepare_cached("UPDATE slot SET n = n + ?3 WHERE hour = ?1 AND why = ?2")?;
        if add.execute((hour, word, slots))? == 0 {
            step.sql
                .prepare_cached("INSERT INTO slot (hour, why, n) VALUES (?, ?, ?)")?
                .execute((hour, word, slots))?;
            step.sql.prepare_cached("DELETE FROM slot WHERE hour < ?")?.execute([hour - i64::from(SLOT_HOURS)])?;
        }
    }
    Ok(())
}

/// A slot that was used was of no use: `lost` or `unsent`.
pub(super) fn wasted(step: &Step<'_>, why: &'static str) -> Result<(), LedgerError> {
    add(step, &[SlotCount::one(why, now_us(step))])
}

pub(super) fn slots(step: &Step<'_>, hours: u32) -> Result<SlotUse, LedgerError> {
    let now = now_us(step);
    let first = SlotCount::one("", now).hour + 1 - i64::from(hours.min(SLOT_HOURS));
    let mut all = SlotUse::default();
    let mut find = step.sql.prepare_cached("SELECT why, n FROM slot WHERE hour >= ?")?;
    let mut rows = find.query([first])?;
    while let Some(row) = rows.next()? {
        all.add(&row.get::<_, String>(0)?, row.get(1)?);
    }
    if let Some((why, slots)) = account::load(step.sql)?.still_idle(first, now) {
        all.add(why.as_str(), slots);
    }
    Ok(all)
}
