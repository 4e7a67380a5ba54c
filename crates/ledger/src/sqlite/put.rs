//! Storing a change: version and fence compared, old place out, new place in, the account settled; all or nothing.

use rusqlite::OptionalExtension;
use veobatch_core::{Lane, StateName};

use super::account::{self, now_us};
use super::rest;
use super::row::{self, JobRow, Place, id, put_fence, put_lane, put_state, put_time};
use super::sums;
use super::writer::Step;
use crate::LedgerError;
use crate::digest::{of_task, task_key};
use crate::job::{Put, Version};

pub(super) fn put(step: &mut Step<'_>, put: &Put) -> Result<Version, LedgerError> {
    let sql = step.sql;
    let id = id(put.job);
    let row = row::load(sql, id)?.ok_or(LedgerError::Changed)?;
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
    if row.place.state.is_settled() && super::reading::is_forgotten(sql, i64::from(put.job.batch))? {
        return Err(LedgerError::Changed);
    }
    let (place, kept) = placed(step, &row, put)?;
    own_task(step, put, id)?;

    sql.prepare_cached(
        "UPDATE job SET state = ?2, rank = ?3, lane = ?4, due = ?5, flight = ?6, version = version + 1, nonce = ?7, \
         body = ?8, compact = 0, credits = ?12, fence = iif(?9, fence, NULL), deliveries = iif(?9, deliveries, 0), \
         token = iif(?10, token, NULL), at = iif(?10, at, NULL), writer = iif(?11, writer, NULL) WHERE id = ?1",
    )?
    .execute((
        id,
        put_state(place.state),
        place.rank,
        place.due.map(|due| due.0),
        place.due.map(|due| due.1),
        place.flight,
        put.nonce.0.cast_signed(),
        &put.body,
        kept,
        matches!(place.state, StateName::Submitting | StateName::InDoubt),
        place.state == StateName::Submitting,
        put.facets.credits.as_millis(),
    ))?;
    super::unreadable::was_read(step, id)?;
    super::settings::needs_no_price(sql, id)?;
    if let Some(spec) = &put.spec {
        sql.prepare_cached("UPDATE spec SET spec = ? WHERE job = ?")?.execute((spec.to_bytes(), id))?;
    }
    sums::moved(sql, i64::from(put.job.batch), &row.place, &place)?;
    if rest::is_over(row.place.state) || rest::is_over(place.state) {
        rest::note(sql, i64::from(put.job.batch), step.now, true)?;
    }
    sums::spent(step, i64::from(put.job.batch), (row.credits, put.facets.credits.as_millis()), row.at.map(row::time))?;
    if let Some(settle) = &put.settle {
        let mut account = account::load(sql)?;
        account.settle(&settle.token, &settle.gate, now_us(step));
        account::store(sql, &account)?;
        super::submission::arrived(step, settle)?;
    } else if row.place.state == StateName::Submitting && place.state != StateName::Submitting {
        super::slots::wasted(step, "lost")?;
    }
    step.nudge |= makes_something_due(step, &row.place, &place) || put.settle.is_some();
    Ok(next)
}

/// Where the job belongs from now on, and whether its lease stays.
fn placed(step: &Step<'_>, row: &JobRow, put: &Put) -> Result<(Place, bool), LedgerError> {
    let mut place = Place::of(&put.facets, step.now);
    if put.facets.state == StateName::Submitting {
        if row.place.state != StateName::Submitting {
            // Only a claim makes a job submitting.
            return Err(LedgerError::Changed);
        }
        // The follow lane finds it when the lease ends, which a holder's put does now.
        place.due = Some((put_lane(Lane::Follow), put_time(step.now)));
    }
    let lane = |place: &Place| place.due.map(|(lane, _)| lane);
    let kept = put.fence.is_none() && lane(&place).is_some() && lane(&place) == lane(&row.place);
    let leased = row.fence.is_some() && row.place.due.is_some_and(|(_, until)| until > put_time(step.now));
    if kept && leased {
        // Due at the end of the lease at the latest; the holder's own put says when really.
        place.due = row.place.due;
    }
    Ok((place, kept))
}

fn own_task(step: &Step<'_>, put: &Put, id: i64) -> Result<(), LedgerError> {
    let Some(task) = &put.task else { return Ok(()) };
    let owner: Option<i64> = step
        .sql
        .prepare_cached("SELECT job FROM task WHERE task IN (?, ?)")?
        .query_row((task.as_str(), task_key(&of_task(task.as_str()))), |row| row.get(0))
        .optional()?;
    match owner {
        Some(owner) if owner == id => Ok(()),
        Some(owner) => Err(LedgerError::TaskTaken { by: super::reading::key_of(step, owner)? }),
        None => {
            step.sql.prepare_cached("INSERT INTO task (task, job) VALUES (?, ?)")?.execute((task.as_str(), id))?;
            Ok(())
        }
    }
}

/// A hint for those who wait: something can be claimed that could not before.
fn makes_something_due(step: &Step<'_>, old: &Place, new: &Place) -> bool {
    let due = new.due != old.due && new.due.is_some_and(|(_, at)| at <= put_time(step.now));
    let ready = new.is_ready() && !old.is_ready();
    let landed = new.flight.is_none() && old.flight.is_some();
    due || ready || landed
}
