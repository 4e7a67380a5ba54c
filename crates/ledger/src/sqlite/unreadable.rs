//! The list of jobs that a program could not read (see [`crate::ledger::unreadable`]).

use veobatch_core::StateName;

use super::row::{self, Found, STORED, get_time, put_state, put_time};
use super::transaction::Transaction;
use crate::LedgerError;
use crate::ledger::unreadable::{SET_ASIDE, Unreadable};

/// Job `id` with its spec, if it is there and published.
pub(super) fn find(tx: &Transaction<'_>, id: i64) -> Result<Option<Found>, LedgerError> {
    let mut find = tx.sql.prepare_cached(&format!(
        "{STORED} spec.spec FROM job JOIN batch ON batch.id = job.batch LEFT JOIN spec ON spec.job = job.id \
         WHERE job.id = ? AND batch.published IS NOT NULL"
    ))?;
    let mut rows = find.query([id])?;
    rows.next()?.map(|row| row::stored(row, tx.now)).transpose()
}

/// Puts these on the list.
pub(super) fn note(tx: &Transaction<'_>, found: &[Unreadable]) -> Result<(), LedgerError> {
    let mut known = tx.sql.prepare_cached("UPDATE unreadable SET why = ?2 WHERE job = ?1 AND why <> ?2")?;
    let mut add = tx.sql.prepare_cached("INSERT OR IGNORE INTO unreadable (job, since, why) VALUES (?, ?, ?)")?;
    for job in found {
        let id = row::id(job.job);
        if add.execute((id, put_time(tx.now), &job.why))? > 0 {
            job.log();
        } else {
            known.execute((id, &job.why))?;
        }
    }
    Ok(())
}

/// A claim met these: they are on the list, held by nobody, and due again later.
pub(super) fn set_aside(tx: &Transaction<'_>, found: &[Unreadable]) -> Result<(), LedgerError> {
    note(tx, found)?;
    let mut later = tx.sql.prepare_cached("UPDATE job SET due = ?2, fence = NULL WHERE id = ?1")?;
    // Its call is over by now, and if it was accepted it counts as one in doubt would.
    let mut expire =
        tx.sql.prepare_cached("UPDATE job SET flight = ?2 WHERE id = ?1 AND state = ?3 AND flight > ?2")?;
    for job in found {
        let id = row::id(job.job);
        later.execute((id, put_time(tx.now + SET_ASIDE)))?;
        let expires_at = put_time(tx.now + veobatch_core::SOFT_DEADLINE);
        expire.execute((id, expires_at, put_state(StateName::Submitting)))?;
    }
    Ok(())
}

/// The job was stored by a program that can read it.
pub(super) fn was_read(tx: &Transaction<'_>, id: i64) -> Result<(), LedgerError> {
    tx.sql.prepare_cached("DELETE FROM unreadable WHERE job = ?")?.execute([id])?;
    Ok(())
}

/// What was set aside is due now.
pub(super) fn retry(tx: &mut Transaction<'_>) -> Result<(), LedgerError> {
    let due = tx
        .sql
        .prepare_cached(
            "UPDATE job SET due = ?1 WHERE id IN (SELECT job FROM unreadable) AND lane IS NOT NULL AND fence IS NULL AND due > ?1",
        )?
        .execute([put_time(tx.now)])?;
    tx.wakes |= due > 0;
    Ok(())
}

/// Up to `max` of those on the list that cannot be read, and those that can be, or are gone.
pub(super) fn list(tx: &Transaction<'_>, max: usize) -> Result<(Vec<Unreadable>, Vec<i64>), LedgerError> {
    let mut noted = tx.sql.prepare_cached("SELECT job, since FROM unreadable ORDER BY since, job")?;
    let mut rows = noted.query([])?;
    let (mut unreadable, mut others) = (Vec::new(), Vec::new());
    while unreadable.len() < max
        && let Some(row) = rows.next()?
    {
        let (id, since) = (row.get(0)?, get_time(row, 1)?);
        match find(tx, id)? {
            Some(Err(job)) => unreadable.push(Unreadable { since, ..job }),
            Some(Ok(_)) | None => others.push(id),
        }
    }
    Ok((unreadable, others))
}
