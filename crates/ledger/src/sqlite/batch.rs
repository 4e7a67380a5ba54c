//! What concerns a batch as a whole: its flags and its terms.

use rusqlite::OptionalExtension as _;
use veobatch_core::{BatchId, fold};

use super::reading::published;
use super::row::put_time;
use super::sums::PRESENT;
use super::writer::Step;
use crate::LedgerError;
use crate::job::{BatchFlag, BatchUpdate};

/// Sets a flag. A batch that may go (again) comes in at the present turn.
pub(super) fn flag(step: &mut Step<'_>, name: &BatchId, flag: &BatchFlag) -> Result<(), LedgerError> {
    let (id, _) = published(step.sql, &fold(name.as_str()))?.ok_or_else(|| LedgerError::UnknownBatch(name.clone()))?;
    let (set, value, why) = match flag {
        BatchFlag::Paused(true) => ("paused = 1, paused_because = ?2", true, None),
        BatchFlag::PausedBecause(why) => ("paused = 1, paused_because = ?2", true, Some(why)),
        BatchFlag::Paused(false) => ("paused = 0, cancelling = 0, paused_because = ?2", false, None),
        BatchFlag::Cancelling(true) => ("cancelling = 1, paused_because = ?2", true, None),
        BatchFlag::Cancelling(false) => ("cancelling = 0, paused_because = ifnull(paused_because, ?2)", false, None),
    };
    step.sql.prepare_cached(&format!("UPDATE batch SET {PRESENT}, {set} WHERE id = ?1"))?.execute((id, why))?;
    super::rest::note(step.sql, id, step.now, false)?;
    step.nudge |= !value;
    Ok(())
}

/// Changes the terms. The batch is looked at anew: it may go, sleep or be short by the next claim.
pub(super) fn arrange(step: &mut Step<'_>, name: &BatchId, new: &BatchUpdate) -> Result<(), LedgerError> {
    let mut find = step.sql.prepare_cached("SELECT id, schedule, priority FROM batch WHERE folded = ?")?;
    let found = find.query_row([fold(name.as_str())], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (id, schedule, priority): (i64, String, i16) =
        found.optional()?.ok_or_else(|| LedgerError::UnknownBatch(name.clone()))?;
    if new.only_if.as_ref().is_some_and(|wanted| *wanted != schedule) {
        return Ok(());
    }
    // What it has had counts among those of its priority only; and it comes in at their present turn.
    let had = if new.priority.is_some_and(|new| new != priority) { "vt = 0" } else { "vt = vt" };
    step.sql
        .prepare_cached(&format!(
            "UPDATE batch SET {had}, weight = ifnull(?2, weight), priority = ifnull(?3, priority), \
             schedule = ifnull(?4, schedule), opens = ifnull(?5, opens), closes = ifnull(?6, closes), \
             budget = iif(?7, ?8, budget), asleep = 0, short = 0 WHERE id = ?1"
        ))?
        .execute((
            id,
            new.weight,
            new.priority,
            &new.schedule,
            new.range.map(|range| put_time(range.from)),
            new.range.map(|range| put_time(range.until)),
            new.budget.is_some(),
            new.budget.flatten().map(veobatch_core::Credits::as_millis),
        ))?;
    step.sql
        .prepare_cached(
            "UPDATE batch SET vt = max(vt, ifnull((SELECT level.turn FROM level WHERE level.priority = batch.priority), 0)) \
             WHERE id = ?",
        )?
        .execute([id])?;
    if new.budget.is_some() {
        super::settings::look_for_prices(step.sql)?;
    }
    step.nudge = true;
    Ok(())
}
