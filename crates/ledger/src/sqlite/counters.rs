//! What follows from jobs changing their places: counts by state, ready jobs of a batch, jobs in flight.
//!
//! The one function that touches these counters, called in the transaction of every change; so nothing can drift.

use rusqlite::Connection;
use veobatch_core::Timestamp;

use super::account_state;
use super::row::{Position, put_state};
use super::transaction::Transaction;
use crate::LedgerError;

/// Takes `old` out of the counters of `batch` and puts `new` in.
pub(super) fn moved(sql: &Connection, batch: i64, old: &Position, new: &Position) -> Result<(), LedgerError> {
    if old.state != new.state {
        counted(sql, batch, put_state(old.state), -1)?;
        counted(sql, batch, put_state(new.state), 1)?;
    }
    let change = |old: bool, new: bool| i64::from(new) - i64::from(old);
    let ready = change(old.is_ready(), new.is_ready());
    let is_reranked = old.is_ready() && new.is_ready() && old.rank != new.rank;
    if ready != 0 || is_reranked {
        readied(sql, batch, ready)?;
    }
    let in_flight = change(old.flight.is_some(), new.flight.is_some());
    if in_flight != 0 {
        sql.prepare_cached("UPDATE account SET flying = flying + ?")?.execute([in_flight])?;
    }
    Ok(())
}

/// `n` more jobs of `batch` are in `state`.
pub(super) fn counted(sql: &Connection, batch: i64, state: i64, n: i64) -> Result<(), LedgerError> {
    sql.prepare_cached(
        "INSERT INTO tally (batch, state, n) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n",
    )?
    .execute((batch, state, n))?;
    Ok(())
}

/// `n` more queued jobs of `batch` wait for nothing but a slot. A batch that had none comes in at the present turn:
/// what it did not use is not saved up. One that waits for its budget may have another first job now, which fits.
pub(super) fn readied(sql: &Connection, batch: i64, n: i64) -> Result<(), LedgerError> {
    sql.prepare_cached(&format!("UPDATE batch SET {PRESENT}, ready = ready + ?2, short = 0 WHERE id = ?1"))?
        .execute((batch, n))?;
    Ok(())
}

/// Brings a batch that was out of the way to the virtual time of those of its priority; before it comes in.
pub(super) const PRESENT: &str = "vt = iif(turn IS NULL, max(vt, ifnull((SELECT level.turn FROM level WHERE \
     level.priority = batch.priority), 0)), vt)";

/// What the attempts of a job of `batch` may have cost changes from `old` to `new`; the present one was claimed `at`. What
/// comes back may be enough for a batch that waits for its budget. Days are those of the wall clock.
pub(super) fn spent(
    tx: &Transaction<'_>,
    batch: i64,
    (old, new): (i64, i64),
    at: Option<Timestamp>,
) -> Result<(), LedgerError> {
    if old == new {
        return Ok(());
    }
    let sql = tx.sql;
    sql.prepare_cached(&format!("UPDATE batch SET {PRESENT}, credits = credits + ?2, short = 0 WHERE id = ?1"))?
        .execute((batch, new - old))?;
    if let Some(mut daily) = account_state::daily(sql)? {
        daily.charge(new - old, at.map(|at| tx.clock.wall_at(at)));
        account_state::store_daily(sql, Some(&daily))?;
    }
    Ok(())
}
