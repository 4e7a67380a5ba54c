//! The list of jobs that a program could not read (see [`crate::unreadable`]).

use veobatch_core::StateName;

use super::row::{self, Found, STORED, get_time, put_state, put_time};
use super::writer::Step;
use crate::LedgerError;
use crate::unreadable::{SET_ASIDE, Unreadable};

/// Made at every opening: older files have none.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS unreadable (job INTEGER PRIMARY KEY, since INTEGER NOT NULL, why TEXT NOT NULL) STRICT;";

/// Job `id` with its spec, if it is there and published.
pub(super) fn find(step: &Step<'_>, id: i64) -> Result<Option<Found>, LedgerError> {
    let mut find = step.sql.prepare_cached(&format!(
        "{STORED} spec.spec FROM job JOIN batch ON batch.id = job.batch LEFT JOIN spec ON spec.job = job.id \
         WHERE job.id = ? AND batch.published IS NOT NULL"
    ))?;
    let mut rows = find.query([id])?;
    rows.next()?.map(|row| row::stored(row, step.now)).transpose()
}

/// Puts these on the list.
pub(super) fn note(step: &Step<'_>, found: &[Unreadable]) -> Result<(), LedgerError> {
    let mut known = step.sql.prepare_cached("UPDATE unreadable SET why = ?2 WHERE job = ?1 AND why <> ?2")?;
    let mut add = step.sql.prepare_cached("INSERT OR IGNORE INTO unreadable (job, since, why) VALUES (?, ?, ?)")?;
    for job in found {
        let id = row::id(job.job);
        if add.execute((id, put_time(step.now), &job.why))? > 0 {
            job.log();
        } else {
            known.execute((id, &job.why))?;
        }
    }
    Ok(())
}

/// A claim met these: they are on the list, held by nobody, and due again later.
pub(super) fn set_aside(step: &Step<'_>, found: &[Unreadable]) -> Result<(), LedgerError> {
    note(step, found)?;
    let mut later = step.sql.prepare_cached("UPDATE job SET due = ?2, fence = NULL WHERE id = ?1")?;
    // Its call is over by now, and if it was accepted it counts as one in doubt would.
    let mut lands =
        step.sql.prepare_cached("UPDATE job SET flight = ?2 WHERE id = ?1 AND state = ?3 AND flight > ?2")?;
    for job in found {
        let id = row::id(job.job);
        later.execute((id, put_time(step.now + SET_ASIDE)))?;
        let lands_at = put_time(step.now + veobatch_core::SOFT_DEADLINE);
        lands.execute((id, lands_at, put_state(StateName::Submitting)))?;
    }
    Ok(())
}

/// The job was stored by a program that can read it.
pub(super) fn was_read(step: &Step<'_>, id: i64) -> Result<(), LedgerError> {
    step.sql.prepare_cached("DELETE FROM unreadable WHERE job = ?")?.execute([id])?;
    Ok(())
}

/// What was set aside is due now.
pub(super) fn retry(step: &mut Step<'_>) -> Result<(), LedgerError> {
    let due = step
        .sql
        .prepare_cached(
            "UPDATE job SET due = ?1 WHERE id IN (SELECT job FROM unreadable) AND lane IS NOT NULL AND fence IS NULL AND due > ?1",
        )?
        .execute([put_time(step.now)])?;
    step.nudge |= due > 0;
    Ok(())
}

/// Up to `max` of those on the list that cannot be read, and those that can be, or are gone.
pub(super) fn list(step: &Step<'_>, max: usize) -> Result<(Vec<Unreadable>, Vec<i64>), LedgerError> {
    let mut noted = step.sql.prepare_cached("SELECT job, since FROM unreadable ORDER BY since, job")?;
    let mut rows = noted.query([])?;
    let (mut unreadable, mut others) = (Vec::new(), Vec::new());
    while unreadable.len() < max
        && let Some(row) = rows.next()?
    {
        let (id, since) = (row.get(0)?, get_time(row, 1)?);
        match find(step, id)? {
            Some(Err(job)) => unreadable.push(Unreadable { since, ..job }),
            Some(Ok(_)) | None => others.push(id),
        }
    }
    Ok((unreadable, others))
}
