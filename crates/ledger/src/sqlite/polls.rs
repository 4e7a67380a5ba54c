//! How many jobs of the follow lane may be claimed: a token bucket that holds a second's worth (as `redis/leave.lua`).

use std::time::Duration;

use veobatch_core::{Lane, Timestamp};

use super::row::{put_time, time};
use super::writer::Step;
use crate::LedgerError;
use crate::account::{POLLS_WORTH_WHILE, default_poll_rate};

/// `rate` is absent until somebody told one; `used` is until when leave was used up, in microseconds.
pub(super) const TABLE: &str = "CREATE TABLE polls (one INTEGER PRIMARY KEY CHECK (one = 1), rate INTEGER, \
     used INTEGER NOT NULL DEFAULT 0) STRICT; INSERT INTO polls (one) VALUES (1);";

/// A second, in microseconds.
const SECOND: i64 = 1_000_000;

/// Leave to claim.
#[derive(Debug)]
pub(super) struct Leave {
    /// For so many jobs.
    pub(super) count: i64,
    /// `None`: there is no limit, and nothing is taken down.
    bucket: Option<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    used: i64,
    gap: i64,
}

impl Leave {
    /// For at most `max` jobs of `lane`.
    pub(super) fn load(step: &Step<'_>, lane: Lane, max: i64) -> Result<Self, LedgerError> {
        if lane != Lane::Follow || max == 0 {
            return Ok(Self { count: max, bucket: None });
        }
        let now = put_time(step.now) * 1000;
        let mut used: i64 = step.sql.prepare_cached("SELECT used FROM polls")?.query_row([], |row| row.get(0))?;
        if used > now {
            // Of a clock that was ahead. That must neither lift the limit nor stop everything until it is there again.
            used = now;
            step.sql.prepare_cached("UPDATE polls SET used = ?")?.execute([used])?;
        }
        let bucket = Bucket { used: used.max(now - SECOND), gap: (SECOND / i64::from(rate(step)?)).max(1) };
        Ok(Self { count: max.min((now - bucket.used) / bucket.gap), bucket: Some(bucket) })
    }

    /// Takes it for `count` jobs. Returns when a claim is worth while again.
    pub(super) fn take(&self, step: &Step<'_>, count: usize) -> Result<Timestamp, LedgerError> {
        let Some(Bucket { used, gap }) = self.bucket else { return Ok(Timestamp::default()) };
        let used = used + i64::try_from(count).unwrap_or(0) * gap;
        if count > 0 {
            step.sql.prepare_cached("UPDATE polls SET used = ?")?.execute([used])?;
        }
        let one = Duration::from_micros(gap.unsigned_abs());
        Ok(time((used + 999) / 1000).after(one.max(POLLS_WORTH_WHILE)))
    }
}

/// Jobs a second.
pub(super) fn rate(step: &Step<'_>) -> Result<u32, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (told, cap): (Option<u32>, u32) =
        step.sql.prepare_cached("SELECT rate, cap FROM polls, account")?.query_row([], columns)?;
    Ok(told.unwrap_or_else(|| default_poll_rate(cap)).max(1))
}

/// Sets the rate; returns what it was.
pub(super) fn limit(step: &mut Step<'_>, per_second: u32) -> Result<u32, LedgerError> {
    let before = rate(step)?;
    step.sql.execute("UPDATE polls SET rate = ?", [per_second])?;
    step.nudge |= per_second != before;
    Ok(before)
}
