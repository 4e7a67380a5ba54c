//! Looking without touching: one job, pages, tokens and tasks.

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::{JobKey, StateName, TaskId, Token};

use super::alias;
use super::row::{self, STORED, id_at, put_state};
use super::writer::Step;
use crate::LedgerError;
use crate::digest::{of_task, task_key};
use crate::job::Stored;
use crate::unreadable::Unreadable;

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

pub(super) fn read(step: &Step<'_>, batch: &str, job: &str) -> Result<Option<Stored>, LedgerError> {
    let Some(batch) = published(step.sql, batch)? else { return Ok(None) };
    let Some(id) = number(step.sql, batch, job)? else { return Ok(None) };
    let Some(found) = super::unreadable::find(step, id)? else { return Ok(None) };
    Ok(Some(found.map(|(stored, _)| stored)?))
}

/// Which jobs to list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// All.
    All,
    /// Those in this state.
    In(StateName),
    /// Done ones that are not compact.
    Whole,
}

/// What to list.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Folded.
    pub(super) batch: String,
    pub(super) which: Which,
    /// Folded.
    pub(super) after: Option<String>,
    pub(super) limit: usize,
}

/// What was asked for, and what this program cannot read on the way.
pub(super) type Page = (Vec<Stored>, Vec<Unreadable>);

pub(super) fn page(step: &Step<'_>, wanted: &Wanted) -> Result<Page, LedgerError> {
    let Some((batch, shown)) = published(step.sql, &wanted.batch)? else { return Ok(Page::default()) };
    let from = match &wanted.after {
        None => id_at(batch, 0),
        Some(job) => match number(step.sql, (batch, shown), job)? {
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
            match row::stored(row, step.now)? {
                Ok((job, _)) => stored.push(job),
                Err(job) => unreadable.push(job),
            }
        }
        Ok(())
    };
    match wanted.which {
        Which::All => take(&mut step.sql.prepare_cached(&of(joined))?.query((from, end))?)?,
        Which::In(state) => {
            let listed = of(&format!("INDEXED BY job_state {joined} job.state = ?3 AND"));
            take(&mut step.sql.prepare_cached(&listed)?.query((from, end, put_state(state)))?)?;
        }
        Which::Whole => {
            // The numbers of a state are written out, as they are in the index, or it would not be used.
            let done = put_state(StateName::Done);
            let filter = format!("job.batch = ?3 AND job.state = {done} AND job.compact = 0 AND");
            let listed = of(&format!("INDEXED BY job_whole {joined} {filter}"));
            take(&mut step.sql.prepare_cached(&listed)?.query((from, end, batch))?)?;
        }
    }
    Ok((stored, unreadable))
}

pub(super) fn key_of(step: &Step<'_>, id: i64) -> Result<JobKey, LedgerError> {
    let mut find = step
        .sql
        .prepare_cached("SELECT batch.name, job.name FROM job JOIN batch ON batch.id = job.batch WHERE job.id = ?")?;
    let mut rows = find.query([id])?;
    row::key(rows.next()?.ok_or_else(|| LedgerError::Damaged(format!("there is no job {id}")))?, 0)
}

pub(super) fn find_token(step: &Step<'_>, token: &Token) -> Result<Option<JobKey>, LedgerError> {
    let mut find = step.sql.prepare_cached("SELECT id FROM job WHERE token = ?")?;
    let id = find.query_row([token.as_str()], |row| row.get(0)).optional()?;
    id.map(|id| key_of(step, id)).transpose()
}

pub(super) fn find_task(step: &Step<'_>, task: &TaskId) -> Result<Option<JobKey>, LedgerError> {
    let mut find = step.sql.prepare_cached("SELECT job FROM task WHERE task IN (?, ?)")?;
    let names = (task.as_str(), task_key(&of_task(task.as_str())));
    let id: Option<i64> = find.query_row(names, |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(None) };
    if is_forgotten(step.sql, id >> 32)? { Ok(None) } else { key_of(step, id).map(Some) }
}

/// Whether what is left of a batch is only to be removed.
pub(super) fn is_forgotten(sql: &Connection, batch: i64) -> Result<bool, LedgerError> {
    let mut find = sql.prepare_cached("SELECT 1 FROM batch WHERE id = ? AND forgotten IS NOT NULL")?;
    Ok(find.exists([batch])?)
}
