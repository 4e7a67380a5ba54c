//! What becomes of finished jobs: compact in time, forgotten if a person wants that.

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::{BatchId, Spec, StateName};

use super::reading::is_forgotten;
use super::row::{self, id_at, put_state, put_time};
use super::transaction::Transaction;
use crate::digest::of_content;
use crate::{Compaction, LedgerError, STAGING_TIMEOUT};

/// Jobs made compact in one transaction.
pub(super) const CHUNK: usize = 200;

/// Rows that one step of clearing away reads.
const CLEARED: i64 = 5_000;

pub(super) fn compact(tx: &mut Transaction<'_>, jobs: &[Compaction]) -> Result<u64, LedgerError> {
    let mut spec = tx.sql.prepare_cached("SELECT spec FROM spec WHERE job = ?")?;
    let mut drop = tx.sql.prepare_cached("DELETE FROM spec WHERE job = ?")?;
    let mut keep = tx.sql.prepare_cached(
        "UPDATE job SET body = ?4, digest = ifnull(?5, digest), compact = 1, nonce = NULL \
         WHERE id = ?1 AND version = ?2 AND state = ?3 AND lane IS NULL AND compact = 0",
    )?;
    let mut compacted = 0;
    for Compaction { job, version, body } in jobs {
        let id = row::id(*job);
        if is_forgotten(tx.sql, i64::from(job.batch))? {
            continue;
        }
        let asked: Option<Vec<u8>> = spec.query_row([id], |row| row.get(0)).optional()?;
        let (done, asked) = (put_state(StateName::Done), asked.as_deref().map(Spec::content_of).map(of_content));
        if keep.execute((id, version.0.cast_signed(), done, body, asked))? == 1 {
            drop.execute([id])?;
            compacted += 1;
        }
    }
    Ok(compacted)
}

pub(super) fn forget(tx: &mut Transaction<'_>, name: &BatchId) -> Result<(), LedgerError> {
    let mut find = tx.sql.prepare_cached(
        "SELECT id, admission, progress FROM batch WHERE folded = ? AND published IS NOT NULL AND forgotten IS NULL",
    )?;
    let found = find.query_row([name.folded()], |row| Ok((row.get(0)?, row.get(1)?, row::get_time(row, 2)?)));
    let (id, admission, progress): (i64, Option<String>, _) =
        found.optional()?.ok_or_else(|| LedgerError::UnknownBatch(name.clone()))?;
    if admission.is_some() && tx.now.since(progress) < STAGING_TIMEOUT {
        return Err(LedgerError::Busy { batch: name.clone() });
    }
    if !is_settled(tx.sql, id)? {
        return Err(LedgerError::Unsettled(name.clone()));
    }
    if let Some(dead) = admission {
        tx.sql.prepare_cached("INSERT OR IGNORE INTO dropped (admission) VALUES (?)")?.execute([dead])?;
    }
    // No batch can be called that: the name is free.
    tx.sql
        .prepare_cached(
            "UPDATE batch SET folded = '/' || id, published = NULL, admission = NULL, shown = 0, progress = ?2, \
             forgotten = '' WHERE id = ?1",
        )?
        .execute((id, put_time(tx.now)))?;
    super::rest::forget(tx.sql, id)
}

/// Whether every job of the batch is done, failed or cancelled, and none is due all the same.
fn is_settled(sql: &Connection, batch: i64) -> Result<bool, LedgerError> {
    let over = [StateName::Done, StateName::Failed, StateName::Cancelled].map(put_state);
    let mut open = sql.prepare_cached("SELECT 1 FROM tally WHERE batch = ? AND n <> 0 AND state NOT IN (?, ?, ?)")?;
    // The states are written out, as they are in the index, or it could not be used.
    let [done, failed, cancelled] = over;
    let mut due = sql.prepare_cached(&format!(
        "SELECT 1 FROM job INDEXED BY job_beside \
         WHERE batch = ? AND lane IS NOT NULL AND state IN ({done}, {failed}, {cancelled})"
    ))?;
    Ok(!open.exists((batch, done, failed, cancelled))? && !due.exists([batch])?)
}

/// Whether a forgotten batch left anything behind.
pub(super) fn is_left(tx: &Transaction<'_>) -> Result<bool, LedgerError> {
    Ok(tx.sql.prepare_cached("SELECT 1 FROM batch WHERE forgotten IS NOT NULL")?.exists([])?)
}

/// Removes some of it: first its tasks, as the jobs tell whose they are, then its jobs, then the batch.
pub(super) fn clear(tx: &mut Transaction<'_>) -> Result<bool, LedgerError> {
    let sql = tx.sql;
    let mut first = sql.prepare_cached("SELECT id, forgotten, next FROM batch WHERE forgotten IS NOT NULL LIMIT 1")?;
    let first = first.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((batch, after, next)): Option<(i64, String, i64)> = first else { return Ok(false) };
    let range = (id_at(batch, 0), id_at(batch, next));
    let mut last =
        sql.prepare_cached("SELECT max(task) FROM (SELECT task FROM task WHERE task > ? ORDER BY task LIMIT ?)")?;
    let last: Option<String> = last.query_row((&after, CLEARED), |row| row.get(0))?;
    if let Some(last) = last {
        sql.prepare_cached("DELETE FROM task WHERE task > ? AND task <= ? AND job >= ? AND job < ?")?
            .execute((&after, &last, range.0, range.1))?;
        sql.prepare_cached("UPDATE batch SET forgotten = ? WHERE id = ?")?.execute((last, batch))?;
        return Ok(true);
    }
    let from = id_at(batch, (next - CLEARED).max(0));
    sql.prepare_cached("DELETE FROM spec WHERE job >= ? AND job < ?")?.execute((from, range.1))?;
    sql.prepare_cached("DELETE FROM job WHERE id >= ? AND id < ?")?.execute((from, range.1))?;
    sql.prepare_cached("UPDATE batch SET next = ? WHERE id = ?")?.execute(((next - CLEARED).max(0), batch))?;
    if next <= CLEARED {
        sql.prepare_cached("DELETE FROM tally WHERE batch = ?")?.execute([batch])?;
        super::alias::clear(sql, batch)?;
        sql.prepare_cached("DELETE FROM batch WHERE id = ?")?.execute([batch])?;
    }
    Ok(true)
}
