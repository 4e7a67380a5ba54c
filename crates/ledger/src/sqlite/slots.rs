//! What became of the slots, stored by the hour and the reason.

use veobatch_core::account::{SLOT_HOURS, SlotCount};

use super::account_state::{self, now_us};
use super::transaction::Transaction;
use crate::LedgerError;
use crate::ledger::slots::SlotUse;

/// Adds slots to what is kept of their hours.
pub(super) fn add(tx: &Transaction<'_>, counts: &[SlotCount]) -> Result<(), LedgerError> {
    for SlotCount { hour, word, slots } in counts {
        let mut add = tx.sql.prepare_cached("UPDATE slot SET n = n + ?3 WHERE hour = ?1 AND why = ?2")?;
        if add.execute((hour, word, slots))? == 0 {
            tx.sql.prepare_cached("INSERT INTO slot (hour, why, n) VALUES (?, ?, ?)")?.execute((hour, word, slots))?;
            tx.sql.prepare_cached("DELETE FROM slot WHERE hour < ?")?.execute([hour - i64::from(SLOT_HOURS)])?;
        }
    }
    Ok(())
}

/// A slot that was used was of no use: `lost` or `unsent`.
pub(super) fn wasted(tx: &Transaction<'_>, why: &'static str) -> Result<(), LedgerError> {
    add(tx, &[SlotCount::one(why, now_us(tx))])
}

pub(super) fn slots(tx: &Transaction<'_>, hours: u32) -> Result<SlotUse, LedgerError> {
    let now = now_us(tx);
    let first = SlotCount::one("", now).hour + 1 - i64::from(hours.min(SLOT_HOURS));
    let mut all = SlotUse::default();
    let mut find = tx.sql.prepare_cached("SELECT why, n FROM slot WHERE hour >= ?")?;
    let mut rows = find.query([first])?;
    while let Some(row) = rows.next()? {
        all.add(&row.get::<_, String>(0)?, row.get(1)?);
    }
    if let Some((why, slots)) = account_state::load(tx.sql)?.still_idle(first, now) {
        all.add(why.as_str(), slots);
    }
    Ok(all)
}
