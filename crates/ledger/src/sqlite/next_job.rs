//! Which queued job goes next: the first of the batch whose turn it is, of those in their window with something left to spend.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use veobatch_core::account::{Blocked, UNPRICED_WAIT, expected_price, is_over_budget};
use veobatch_core::{Credits, Lane, StateName, TimeRange, Timestamp};

use super::row::{id_at, put_lane, put_time, time};
use super::transaction::Transaction;
use super::{account, account_state, counters};
use crate::LedgerError;
use crate::ledger::account::{MOST_CANDIDATES, PROMOTED, WOKEN};
use crate::ledger::unreadable::{SET_ASIDE, Unreadable};

/// Why nothing may be submitted now, and until when.
pub(super) type BlockedUntil = (Blocked, Option<Timestamp>);

/// The job that may go.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) batch: i64,
    /// The batch's share.
    pub(super) weight: i64,
    pub(super) id: i64,
    pub(super) rank: i64,
    pub(super) price: Credits,
}

/// What there is to do.
pub(super) enum Next {
    Job(Ready),
    Nothing(BlockedUntil),
}

/// A runnable batch, as a claim sees it.
struct Runnable {
    id: i64,
    weight: i64,
    range: (i64, i64),
    budget: Option<Credits>,
    spent: Credits,
}

/// The first job of the batch whose turn it is, of those that are in their range and have something left.
pub(super) fn next(tx: &Transaction<'_>, only: Option<&[String]>) -> Result<Next, LedgerError> {
    let sql = tx.sql;
    let now = put_time(tx.clock.wall);
    open_windows(sql, now)?;
    let has_day = account_state::daily(sql)?.is_some();
    for _ in 0..MOST_CANDIDATES {
        let Some(batch) = next_batch(sql, only)? else { return Ok(Next::Nothing(nothing(tx, only)?)) };
        if now < batch.range.0 || now >= batch.range.1 {
            sql.prepare_cached("UPDATE batch SET asleep = 1 WHERE id = ?")?.execute([batch.id])?;
            continue;
        }
        let (id, rank) = next_job(sql, batch.id)?
            .ok_or_else(|| LedgerError::Damaged(format!("batch {} counts ready jobs, but has none", batch.id)))?;
        if let Some(job) = unreadable(tx, id)? {
            super::unreadable::note(tx, &[job])?;
            defer(tx, batch.id, id, SET_ASIDE)?;
            continue;
        }
        let mut find = sql.prepare_cached(
            "SELECT price.credits FROM spec JOIN price ON price.class = spec.class WHERE spec.job = ?",
        )?;
        let known: Option<i64> = find.query_row([id], |row| row.get(0)).optional()?;
        let has_budget = batch.budget.is_some() || has_day;
        let Some(price) = expected_price(known.map(Credits::from_millis), has_budget) else {
            defer(tx, batch.id, id, UNPRICED_WAIT)?;
            account::waits_for_price(sql, id)?;
            continue;
        };
        if is_over_budget(batch.budget, batch.spent, price) {
            sql.prepare_cached("UPDATE batch SET short = 1 WHERE id = ?")?.execute([batch.id])?;
            continue;
        }
        return Ok(Next::Job(Ready { batch: batch.id, weight: batch.weight, id, rank, price }));
    }
    Ok(Next::Nothing((Blocked::Work, Some(tx.now))))
}

/// Batches whose time has come come in at the present turn.
fn open_windows(sql: &Connection, now: i64) -> Result<(), LedgerError> {
    let asleep = format!("SELECT id FROM batch WHERE asleep = 1 AND opens <= ?1 AND closes > ?1 LIMIT {WOKEN}");
    if sql.prepare_cached(&asleep)?.exists([now])? {
        sql.prepare_cached(&format!("UPDATE batch SET {}, asleep = 0 WHERE id IN ({asleep})", counters::PRESENT))?
            .execute([now])?;
    }
    Ok(())
}

/// The job, if nothing may be paid for it because this program does not know what was asked for.
fn unreadable(tx: &Transaction<'_>, id: i64) -> Result<Option<Unreadable>, LedgerError> {
    let found = super::unreadable::find(tx, id)?
        .ok_or_else(|| LedgerError::Damaged(format!("job {id} is ready, but cannot be seen")))?;
    Ok(match found {
        Ok((stored, _)) if stored.compacted => {
            let state = Some(StateName::Queued);
            Some(Unreadable::new(stored.key, stored.job, state, "what was asked for was dropped", tx.now))
        }
        Ok(_) => None,
        Err(job) => Some(job),
    })
}

/// A job that must not be paid for now waits: until somebody may have set its price, or a program can read it.
fn defer(tx: &Transaction<'_>, batch: i64, id: i64, wait: Duration) -> Result<(), LedgerError> {
    let due = put_time(tx.now + wait);
    tx.sql.prepare_cached("UPDATE job SET lane = ?2, due = ?3 WHERE id = ?1")?.execute((
        id,
        put_lane(Lane::Submit),
        due,
    ))?;
    counters::readied(tx.sql, batch, -1)
}

/// Why no batch has a job that may go, and until when.
fn nothing(tx: &Transaction<'_>, only: Option<&[String]>) -> Result<BlockedUntil, LedgerError> {
    let any = |is: &str| -> Result<bool, LedgerError> {
        let Some(only) = only else {
            return Ok(tx.sql.prepare_cached(&format!("SELECT 1 FROM batch WHERE {is}"))?.exists([])?);
        };
        let mut one = tx.sql.prepare_cached(&format!("SELECT 1 FROM batch WHERE folded = ? AND {is}"))?;
        for name in only {
            if one.exists([name])? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let mut first = tx.sql.prepare_cached("SELECT min(opens) FROM batch WHERE asleep = 1 AND opens > ?")?;
    let opens: Option<i64> = first.query_row([put_time(tx.clock.wall)], |row| row.get(0))?;
    let opens = opens.map(time).filter(|at| *at < TimeRange::NEVER.from).map(|at| tx.clock.when_wall_is(at));
    let until = next_delayed(tx.sql)?.into_iter().chain(opens).min();
    let why = if any("short = 1")? {
        Blocked::Budget
    } else if any(&format!("asleep = 1 AND opens < {}", put_time(TimeRange::NEVER.from)))? {
        Blocked::Window
    } else {
        Blocked::Work
    };
    Ok((why, until))
}

const RUNNABLE: &str = "SELECT id, turn, weight, opens, closes, budget, credits FROM batch";

/// The runnable batch whose turn it is.
fn next_batch(sql: &Connection, only: Option<&[String]>) -> Result<Option<Runnable>, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| {
        let range = (row.get(3)?, row.get(4)?);
        let budget: Option<i64> = row.get(5)?;
        let (budget, spent) = (budget.map(Credits::from_millis), Credits::from_millis(row.get(6)?));
        let batch = Runnable { id: row.get(0)?, weight: row.get(2)?, range, budget, spent };
        Ok((batch, row.get::<_, i64>(1)?))
    };
    let Some(only) = only else {
        let mut first = sql.prepare_cached(&format!(
            "{RUNNABLE} INDEXED BY batch_turn WHERE turn IS NOT NULL ORDER BY turn, id LIMIT 1"
        ))?;
        return Ok(first.query_row([], columns).optional()?.map(|(batch, _)| batch));
    };
    let mut one = sql.prepare_cached(&format!("{RUNNABLE} WHERE folded = ? AND turn IS NOT NULL"))?;
    let mut first: Option<(Runnable, i64)> = None;
    for name in only {
        let found = one.query_row([name], columns).optional()?;
        let is_earlier = |(batch, turn): &(Runnable, i64)| {
            first.as_ref().is_none_or(|(best, at)| (*turn, batch.id) < (*at, best.id))
        };
        first = found.filter(is_earlier).or(first);
    }
    Ok(first.map(|(batch, _)| batch))
}

/// The first ready job of a batch: number and rank.
///
/// Jobs that are staged but not published are in the same index, behind the published ones of their rank, as their
/// numbers are higher: if a rank's first one is not published, none of that rank is.
fn next_job(sql: &Connection, batch: i64) -> Result<Option<(i64, i64)>, LedgerError> {
    let mut shown = sql.prepare_cached("SELECT shown FROM batch WHERE id = ?")?;
    let shown = id_at(batch, shown.query_row([batch], |row| row.get(0))?);
    let mut first = sql.prepare_cached(
        "SELECT id, rank FROM job INDEXED BY job_ready WHERE batch = ? AND lane IS NULL AND rank > ? ORDER BY rank, id LIMIT 1",
    )?;
    let mut above = i64::MIN;
    loop {
        let found = first.query_row((batch, above), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((id, rank)) if id >= shown => above = rank,
            found => return Ok(found),
        }
    }
}

fn next_delayed(sql: &Connection) -> Result<Option<Timestamp>, LedgerError> {
    let mut first = sql.prepare_cached("SELECT min(due) FROM job WHERE lane = ?")?;
    let first: Option<i64> = first.query_row([put_lane(Lane::Submit)], |row| row.get(0))?;
    Ok(first.map(time))
}

/// Delayed jobs whose time has come wait for nothing but a slot from now on.
pub(super) fn promote(tx: &Transaction<'_>) -> Result<(), LedgerError> {
    let lane = put_lane(Lane::Submit);
    let mut due =
        tx.sql.prepare_cached("SELECT id, batch FROM job WHERE lane = ? AND due <= ? ORDER BY due LIMIT ?")?;
    let ready: Vec<(i64, i64)> = due
        .query_map((lane, put_time(tx.now), PROMOTED), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, batch) in ready {
        tx.sql.prepare_cached("UPDATE job SET lane = NULL, due = NULL WHERE id = ?")?.execute([id])?;
        account::needs_no_price(tx.sql, id)?;
        counters::readied(tx.sql, batch, 1)?;
    }
    Ok(())
}
