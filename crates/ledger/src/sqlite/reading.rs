//! Reading: one job by name, token or task; pages.

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::{JobKey, StateName, TaskId, Token};

use super::alias;
use super::row::{self, STORED, id_at, put_state};
use super::transaction::Transaction;
use crate::LedgerError;
use crate::digest::{of_task, task_key};
use crate::ledger::job::{JobFilter, Stored};
use crate::ledger::unreadable::Unreadable;

/// Most jobs in a page.
const PAGE_MAX: usize = 1000;

/// A batch's number and where its published jobs end.
pub(super) fn published(sql: &Connection, folded: &str) -> Result<Option<(i64, i64)>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT id, shown FROM batch WHERE folded = ? AND published IS NOT NULL")?;
    Ok(find.query_row([folded], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// A published job's number.
fn number(sql: &Connection, (batch, shown): (i64, i64), folded: &str) -> Result<Option<i64>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT id FROM job WHERE batch = ? AND ifnull(folded, name) = ? AND id < ?")?;
    match find.query_row((batch, folded, id_at(batch, shown)), |row| row.get(0)).optional()? {
        Some(number) => Ok(Some(number)),
        None => alias::find(sql, batch, folded),
    }
}

pub(super) fn read(tx: &Transaction<'_>, batch: &str, job: &str) -> Result<Option<Stored>, LedgerError> {
    let Some(batch) = published(tx.sql, batch)? else { return Ok(None) };
    let Some(id) = number(tx.sql, batch, job)? else { return Ok(None) };
    published_job(tx, id)
}

/// What to list.
#[derive(Debug)]
pub(super) struct PageQuery {
    /// Folded.
    pub(super) batch: String,
    pub(super) filter: JobFilter,
    /// Folded.
    pub(super) after: Option<String>,
    pub(super) limit: usize,
}

/// What was asked for, and what this program cannot read on the way.
pub(super) type Page = (Vec<Stored>, Vec<Unreadable>);

pub(super) fn page(tx: &Transaction<'_>, wanted: &PageQuery) -> Result<Page, LedgerError> {
    let Some((batch, shown)) = published(tx.sql, &wanted.batch)? else { return Ok(Page::default()) };
    let from = match &wanted.after {
        None => id_at(batch, 0),
        Some(job) => match number(tx.sql, (batch, shown), job)? {
            Some(number) => number + 1,
            None => return Ok(Page::default()),
        },
    };
    let (end, limit) = (id_at(batch, shown), wanted.limit.min(PAGE_MAX));
    let of =
        |filter: &str| format!("{STORED} spec.spec FROM job {filter} job.id >= ?1 AND job.id < ?2 ORDER BY job.id");
    let joined = "CROSS JOIN batch ON batch.id = job.batch LEFT JOIN spec ON spec.job = job.id WHERE";
    let (mut stored, mut unreadable) = Page::default();
    let mut take = |rows: &mut rusqlite::Rows<'_>| -> Result<(), LedgerError> {
        while stored.len() < limit
            && let Some(row) = rows.next()?
        {
            match row::stored(row, tx.now)? {
                Ok((job, _)) => stored.push(job),
                Err(job) => unreadable.push(job),
            }
        }
        Ok(())
    };
    match wanted.filter {
        JobFilter::All => take(&mut tx.sql.prepare_cached(&of(joined))?.query((from, end))?)?,
        JobFilter::In(state) => {
            let listed = of(&format!("INDEXED BY job_state {joined} job.state = ?3 AND"));
            take(&mut tx.sql.prepare_cached(&listed)?.query((from, end, put_state(state)))?)?;
        }
        JobFilter::Whole => {
            // The numbers of a state are written out, as they are in the index, or it would not be used.
            let done = put_state(StateName::Done);
            let filter = format!("job.batch = ?3 AND job.state = {done} AND job.compact = 0 AND");
            let listed = of(&format!("INDEXED BY job_whole {joined} {filter}"));
            take(&mut tx.sql.prepare_cached(&listed)?.query((from, end, batch))?)?;
        }
    }
    Ok((stored, unreadable))
}

pub(super) fn key_of(tx: &Transaction<'_>, id: i64) -> Result<JobKey, LedgerError> {
    let mut find = tx
        .sql
        .prepare_cached("SELECT batch.name, job.name FROM job JOIN batch ON batch.id = job.batch WHERE job.id = ?")?;
    let mut rows = find.query([id])?;
    row::key(rows.next()?.ok_or_else(|| LedgerError::Damaged(format!("there is no job {id}")))?, 0)
}

/// The job whose open attempt has this token.
pub(super) fn token_job(tx: &Transaction<'_>, token: &Token) -> Result<Option<i64>, LedgerError> {
    let mut find = tx.sql.prepare_cached("SELECT id FROM job WHERE token = ?")?;
    Ok(find.query_row([token.as_str()], |row| row.get(0)).optional()?)
}

pub(super) fn find_token(tx: &Transaction<'_>, token: &Token) -> Result<Option<Stored>, LedgerError> {
    token_job(tx, token)?.map_or(Ok(None), |id| published_job(tx, id))
}

pub(super) fn find_task(tx: &Transaction<'_>, task: &TaskId) -> Result<Option<Stored>, LedgerError> {
    let mut find = tx.sql.prepare_cached("SELECT job FROM task WHERE task IN (?, ?)")?;
    let names = (task.as_str(), task_key(&of_task(task.as_str())));
    let id: Option<i64> = find.query_row(names, |row| row.get(0)).optional()?;
    id.map_or(Ok(None), |id| published_job(tx, id))
}

/// A job, if it is published: what is left of a forgotten batch is not.
fn published_job(tx: &Transaction<'_>, id: i64) -> Result<Option<Stored>, LedgerError> {
    let Some(found) = super::unreadable::find(tx, id)? else { return Ok(None) };
    Ok(Some(found.map(|(stored, _)| stored)?))
}

/// Whether what is left of a batch is only to be removed.
pub(super) fn is_forgotten(sql: &Connection, batch: i64) -> Result<bool, LedgerError> {
    let mut find = sql.prepare_cached("SELECT 1 FROM batch WHERE id = ? AND forgotten IS NOT NULL")?;
    Ok(find.exists([batch])?)
}
