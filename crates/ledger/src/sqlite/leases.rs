//! Leases: a claimed job's due time *is* the end of its lease, so nobody has to bring it back.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use veobatch_core::{Lane, Timestamp};

use super::polls::Room;
use super::row::{self, STORED, put_fence, put_lane, put_time, time};
use super::transaction::Transaction;
use crate::ledger::job::{Claimed, Fence, Lease};
use crate::{CLAIM_MAX, LedgerError};

pub(super) fn claim(
    tx: &mut Transaction<'_>,
    lane: Lane,
    max: usize,
    lease: Duration,
) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError> {
    let until = tx.now + lease;
    let max = i64::try_from(max.min(CLAIM_MAX)).unwrap_or_default();
    let allowed = Room::load(tx, lane, max)?;
    let mut due = tx.sql.prepare_cached(&format!(
        "{STORED} CASE WHEN ?4 OR job.body IS NULL THEN (SELECT spec FROM spec WHERE spec.job = job.id) END \
         FROM job JOIN batch ON batch.id = job.batch WHERE lane = ?1 AND due <= ?2 ORDER BY due LIMIT ?3"
    ))?;
    let mut rows = due.query((put_lane(lane), put_time(tx.now), allowed.count, lane == Lane::Save))?;
    let (mut claimed, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        match row::stored(row, tx.now)? {
            Ok(found) => claimed.push((number, row::claimed(found, Fence::random(), until))),
            Err(job) => unreadable.push(job),
        }
    }
    drop(rows);
    super::unreadable::set_aside(tx, &unreadable)?;
    let mut take =
        tx.sql.prepare_cached("UPDATE job SET due = ?2, fence = ?3, deliveries = deliveries + 1 WHERE id = ?1")?;
    for (number, job) in &claimed {
        take.execute((number, put_time(until), put_fence(&job.lease.fence)))?;
    }
    let again = allowed.take(tx, claimed.len())?;
    let next = next_due(tx.sql, lane)?.map(|due| if allowed.count < max { due.max(again) } else { due });
    Ok((claimed.into_iter().map(|(_, job)| job).collect(), next))
}

fn next_due(sql: &Connection, lane: Lane) -> Result<Option<Timestamp>, LedgerError> {
    let mut first = sql.prepare_cached(
        "SELECT due FROM job WHERE lane = ? AND NOT EXISTS (SELECT 1 FROM unreadable WHERE unreadable.job = job.id) \
         ORDER BY due LIMIT 1",
    )?;
    let first: Option<i64> = first.query_row([put_lane(lane)], |row| row.get(0)).optional()?;
    Ok(first.map(time))
}

pub(super) fn renew(tx: &mut Transaction<'_>, leases: &[Lease], lease: Duration) -> Result<Vec<bool>, LedgerError> {
    let until = put_time(tx.now + lease);
    let mut renew = tx.sql.prepare_cached("UPDATE job SET due = ?3 WHERE id = ?1 AND fence = ?2")?;
    let mut held = Vec::with_capacity(leases.len());
    for lease in leases {
        held.push(renew.execute((row::id(lease.job), put_fence(&lease.fence), until))? == 1);
    }
    Ok(held)
}

pub(super) fn release(tx: &mut Transaction<'_>, leases: &[Lease]) -> Result<Vec<bool>, LedgerError> {
    let submitting = row::put_state(veobatch_core::StateName::Submitting);
    let mut release =
        tx.sql.prepare_cached("UPDATE job SET due = ?3, fence = NULL WHERE id = ?1 AND fence = ?2 AND state <> ?4")?;
    let mut released = Vec::with_capacity(leases.len());
    for lease in leases {
        let id = row::id(lease.job);
        released.push(release.execute((id, put_fence(&lease.fence), put_time(tx.now), submitting))? == 1);
    }
    tx.wakes |= released.contains(&true);
    Ok(released)
}
