//! How values are written into columns, and the row of a job.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, types::Type};
use veobatch_core::{BatchId, Credits, Facets, Flight, Intent, JobId, JobKey, Lane, StateName, Timestamp, Token};

use crate::ledger::job::{Fence, JobRef, Lease, Stored, Version};
use crate::ledger::unreadable::Unreadable;
use crate::{Claimed, LedgerError};

/// In flight until the next change.
pub(super) const UNLIMITED: i64 = i64::MAX;

/// What every operation that hands out jobs selects, from `job JOIN batch`; then comes the spec, which it may leave out.
pub(super) const STORED: &str = "SELECT job.id, batch.name, job.name, job.version, job.state, job.token, job.at, \
     job.fence, job.due, job.deliveries, job.body, job.digest IS NOT NULL, job.credits, ";

/// A job's number: its batch's number and its sequence in it, so that a batch is a range.
pub(super) fn id(job: JobRef) -> i64 {
    (i64::from(job.batch) << 32) | i64::from(job.seq)
}

/// The numbers of a batch's jobs from `seq` on start here.
pub(super) fn id_at(batch: i64, seq: i64) -> i64 {
    (batch << 32) + seq
}

fn job_ref(id: i64) -> JobRef {
    let half = |bits: i64| u32::try_from(bits & i64::from(u32::MAX)).unwrap_or_default();
    JobRef { batch: half(id >> 32), seq: half(id) }
}

pub(super) fn put_time(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX - 1)
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(ms).unwrap_or_default())
}

pub(super) fn get_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(time)
}

/// A duration in milliseconds.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX >> 1)
}

pub(super) fn put_fence(fence: &Fence) -> Option<i64> {
    u64::from_str_radix(&fence.0, 16).ok().map(u64::cast_signed)
}

pub(super) fn get_fence(bits: i64) -> Fence {
    Fence(format!("{:016x}", bits.cast_unsigned()))
}

pub(super) fn put_state(state: StateName) -> i64 {
    match state {
        StateName::Queued => 0,
        StateName::Submitting => 1,
        StateName::Generating => 2,
        StateName::Upscaling => 3,
        StateName::Downloading => 4,
        StateName::Done => 5,
        StateName::Failed => 6,
        StateName::InDoubt => 7,
        StateName::Cancelled => 8,
    }
}

pub(super) fn get_state(row: &Row<'_>, column: usize) -> rusqlite::Result<StateName> {
    let code: i64 = row.get(column)?;
    state_of(code).ok_or_else(|| unreadable(column, format!("state {code}")))
}

fn state_of(code: i64) -> Option<StateName> {
    StateName::ALL.iter().copied().find(|state| put_state(*state) == code)
}

pub(super) fn put_lane(lane: Lane) -> i64 {
    match lane {
        Lane::Submit => 0,
        Lane::Follow => 1,
        Lane::Save => 2,
    }
}

fn unreadable(column: usize, what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

/// What the indexes and counters know of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) state: StateName,
    /// Its place among the queued jobs of its batch: the lowest goes first. None if it is not queued.
    pub(super) rank: Option<i64>,
    /// In which lane it is due, and when; a leased job when its lease ends.
    pub(super) due: Option<(i64, i64)>,
    /// Until when it counts as in flight.
    pub(super) flight: Option<i64>,
}

impl Position {
    /// Where a job with these facets belongs at `now`.
    pub(super) fn of(facets: &Facets, now: Timestamp) -> Self {
        let due = facets.due.map(|(lane, at)| (put_lane(lane), put_time(at)));
        let flight = match facets.flight {
            Flight::None => None,
            Flight::Until(until) => (until > now).then(|| put_time(until)),
            Flight::Unlimited => Some(UNLIMITED),
        };
        if facets.state == StateName::Queued {
            let due = due.filter(|(_, at)| *at > put_time(now));
            return Self { state: facets.state, rank: Some(rank(facets.priority)), due, flight };
        }
        Self { state: facets.state, rank: None, due, flight }
    }

    /// Queued, and waits for nothing but a slot.
    pub(super) fn is_ready(&self) -> bool {
        self.rank.is_some() && self.due.is_none()
    }
}

/// Higher priority, lower rank.
pub(super) fn rank(priority: i16) -> i64 {
    -i64::from(priority)
}

/// A job as a change finds it.
pub(super) struct JobRow {
    pub(super) position: Position,
    pub(super) version: i64,
    pub(super) fence: Option<i64>,
    pub(super) nonce: Option<i64>,
    /// Since when its attempt is open.
    pub(super) at: Option<i64>,
    pub(super) credits: i64,
}

/// The row of job `id`.
pub(super) fn load(sql: &Connection, id: i64) -> Result<Option<JobRow>, LedgerError> {
    let mut statement = sql.prepare_cached(
        "SELECT state, rank, lane, due, flight, version, fence, nonce, at, credits FROM job WHERE id = ?",
    )?;
    let row = statement.query_row([id], |row| {
        let lane: Option<i64> = row.get(2)?;
        let position =
            Position { state: get_state(row, 0)?, rank: row.get(1)?, due: lane.zip(row.get(3)?), flight: row.get(4)? };
        Ok(JobRow {
            position,
            version: row.get(5)?,
            fence: row.get(6)?,
            nonce: row.get(7)?,
            at: row.get(8)?,
            credits: row.get(9)?,
        })
    });
    Ok(row.optional()?)
}

/// A job and its deliveries, or that this program cannot read it.
pub(super) type Found = Result<(Stored, u32), Unreadable>;

/// Reads a row of [`STORED`] and the spec.
pub(super) fn stored(row: &Row<'_>, now: Timestamp) -> Result<Found, LedgerError> {
    let job = job_ref(row.get(0)?);
    let key = key(row, 1)?;
    let code: i64 = row.get(4)?;
    let Some(state) = state_of(code) else {
        return Ok(Err(Unreadable::new(key, job, None, &format!("its state has the number {code}"), now)));
    };
    let token: Option<String> = row.get(5)?;
    let at: Option<i64> = row.get(6)?;
    let intent = match (state, token.as_deref().and_then(Token::parse), at) {
        (StateName::Submitting, Some(token), Some(at)) => {
            Some(Intent { token, at: time(at), credits: Credits::from_millis(row.get(12)?) })
        }
        _ => None,
    };
    let version = Version(row.get::<_, i64>(3)?.cast_unsigned());
    let body: Option<Vec<u8>> = row.get(10)?;
    let was_dropped: bool = row.get(11)?;
    let spec: Option<Vec<u8>> = if was_dropped { Some(Vec::new()) } else { row.get(13)? };
    let read = Stored::assemble(key.clone(), job, spec.as_deref(), body.as_deref(), intent, version, now);
    let mut stored = match read {
        Ok(stored) => stored,
        Err(why) => return Ok(Err(Unreadable::new(key, job, Some(state), &why, now))),
    };
    let due: Option<i64> = row.get(8)?;
    let leased = row.get::<_, Option<i64>>(7)?.is_some();
    stored.leased_until = due.filter(|_| leased).map(time).filter(|until| *until > now);
    Ok(Ok((stored, row.get(9)?)))
}

/// A job that was just leased, with `deliveries` and the fence as they are now.
pub(super) fn claimed((mut stored, before): (Stored, u32), fence: Fence, until: Timestamp) -> Claimed {
    stored.leased_until = Some(until).filter(|until| *until > stored.now);
    let lease = Lease { job: stored.job, fence };
    Claimed { stored, lease, deliveries: before.saturating_add(1), grant: None }
}

/// Reads a job's name from two columns.
pub(super) fn key(row: &Row<'_>, column: usize) -> Result<JobKey, LedgerError> {
    let name = |column| row.get::<_, String>(column);
    let bad = |error: veobatch_core::NameError| LedgerError::Damaged(format!("a stored name {error}"));
    Ok(JobKey {
        batch: BatchId::parse(&name(column)?).map_err(bad)?,
        job: JobId::parse(&name(column + 1)?).map_err(bad)?,
    })
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, SystemIoFailure};
        match error.sqlite_error_code() {
            Some(CannotOpen | DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory | SystemIoFailure) => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}
