//! Storing a change: version and fence compared, the old position taken out of all counters, the new one put in, the account settled; all or nothing.

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::{Lane, StateName};

use super::account_state::{self, now_us};
use super::counters;
use super::rest;
use super::row::{self, JobRow, Position, id, put_fence, put_lane, put_state, put_time};
use super::transaction::Transaction;
use crate::LedgerError;
use crate::digest::{of_task, task_key};
use crate::ledger::job::{Put, Version};

pub(super) fn put(tx: &mut Transaction<'_>, put: &Put) -> Result<Version, LedgerError> {
    let sql = tx.sql;
    let job = id(put.job);
    let row = row::load(sql, job)?.ok_or(LedgerError::Changed)?;
    let next = Version(put.version.0 + 1);
    if row.nonce == Some(put.nonce.0.cast_signed()) {
        return Ok(next);
    }
    if let Some(fence) = &put.fence
        && row.fence != put_fence(fence)
    {
        return Err(LedgerError::LostLease);
    }
    if row.version.cast_unsigned() != put.version.0 {
        return Err(LedgerError::Changed);
    }
    if row.position.state.is_settled() && super::reading::is_forgotten(sql, i64::from(put.job.batch))? {
        return Err(LedgerError::Changed);
    }
    let (position, kept) = placed(tx, &row, put)?;
    own_task(tx, put, job)?;
    store(sql, put, &position, kept)?;
    super::unreadable::was_read(tx, job)?;
    super::account::needs_no_price(sql, job)?;
    if let Some(spec) = &put.spec {
        sql.prepare_cached("UPDATE spec SET spec = ? WHERE job = ?")?.execute((spec.to_bytes(), job))?;
    }
    count(tx, put, &row, &position)?;
    settle(tx, put, &row, &position)?;
    tx.wakes |= makes_something_due(tx, &row.position, &position) || put.settle.is_some();
    Ok(next)
}

/// Writes the job's row as it is from now on; the lease is `kept` or ends.
fn store(sql: &Connection, put: &Put, position: &Position, kept: bool) -> Result<(), LedgerError> {
    sql.prepare_cached(
        "UPDATE job SET state = ?2, rank = ?3, lane = ?4, due = ?5, flight = ?6, version = version + 1, nonce = ?7, \
         body = ?8, compact = 0, credits = ?12, fence = iif(?9, fence, NULL), deliveries = iif(?9, deliveries, 0), \
         token = iif(?10, token, NULL), at = iif(?10, at, NULL), writer = iif(?11, writer, NULL) WHERE id = ?1",
    )?
    .execute((
        id(put.job),
        put_state(position.state),
        position.rank,
        position.due.map(|due| due.0),
        position.due.map(|due| due.1),
        position.flight,
        put.nonce.0.cast_signed(),
        &put.body,
        kept,
        matches!(position.state, StateName::Submitting | StateName::InDoubt),
        position.state == StateName::Submitting,
        put.facets.credits.as_millis(),
    ))?;
    Ok(())
}

/// The counters of the batch, its rest, and what its attempts may have cost.
fn count(tx: &Transaction<'_>, put: &Put, row: &JobRow, position: &Position) -> Result<(), LedgerError> {
    let batch = i64::from(put.job.batch);
    counters::moved(tx.sql, batch, &row.position, position)?;
    if rest::is_over(row.position.state) || rest::is_over(position.state) {
        rest::note(tx.sql, batch, tx.now, true)?;
    }
    counters::spent(tx, batch, (row.credits, put.facets.credits.as_millis()), row.at.map(row::time))
}

/// The end of a paid call, for the account; or its loss, if nobody told of it.
fn settle(tx: &Transaction<'_>, put: &Put, row: &JobRow, position: &Position) -> Result<(), LedgerError> {
    let is_submitting = |position: &Position| position.state == StateName::Submitting;
    if let Some(settle) = &put.settle {
        let mut account = account_state::load(tx.sql)?;
        account.settle(&settle.token, &settle.gate, now_us(tx));
        account_state::store(tx.sql, &account)?;
        super::arrivals::arrived(tx, settle)?;
    } else if is_submitting(&row.position) && !is_submitting(position) {
        super::slots::wasted(tx, "lost")?;
    }
    Ok(())
}

/// Where the job belongs from now on, and whether its lease stays.
fn placed(tx: &Transaction<'_>, row: &JobRow, put: &Put) -> Result<(Position, bool), LedgerError> {
    let mut position = Position::of(&put.facets, tx.now);
    if put.facets.state == StateName::Submitting {
        if row.position.state != StateName::Submitting {
            // Only a claim makes a job submitting.
            return Err(LedgerError::Changed);
        }
        // The follow lane finds it when the lease ends, which a holder's put does now.
        position.due = Some((put_lane(Lane::Follow), put_time(tx.now)));
    }
    let lane = |position: &Position| position.due.map(|(lane, _)| lane);
    let kept = put.fence.is_none() && lane(&position).is_some() && lane(&position) == lane(&row.position);
    let leased = row.fence.is_some() && row.position.due.is_some_and(|(_, until)| until > put_time(tx.now));
    if kept && leased {
        // Due at the end of the lease at the latest; the holder's own put says when really.
        position.due = row.position.due;
    }
    Ok((position, kept))
}

fn own_task(tx: &Transaction<'_>, put: &Put, id: i64) -> Result<(), LedgerError> {
    let Some(task) = &put.task else { return Ok(()) };
    let owner: Option<i64> = tx
        .sql
        .prepare_cached("SELECT job FROM task WHERE task IN (?, ?)")?
        .query_row((task.as_str(), task_key(&of_task(task.as_str()))), |row| row.get(0))
        .optional()?;
    match owner {
        Some(owner) if owner == id => Ok(()),
        Some(owner) => Err(LedgerError::TaskTaken { by: super::reading::key_of(tx, owner)? }),
        None => {
            tx.sql.prepare_cached("INSERT INTO task (task, job) VALUES (?, ?)")?.execute((task.as_str(), id))?;
            Ok(())
        }
    }
}

/// A hint for those who wait: something can be claimed that could not before.
fn makes_something_due(tx: &Transaction<'_>, old: &Position, new: &Position) -> bool {
    let due = new.due != old.due && new.due.is_some_and(|(_, at)| at <= put_time(tx.now));
    let ready = new.is_ready() && !old.is_ready();
    let expired = new.flight.is_none() && old.flight.is_some();
    due || ready || expired
}
