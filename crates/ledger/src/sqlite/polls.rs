//! The bucket of polls, stored.

use veobatch_core::account::{PollBucket, poll_rate};
use veobatch_core::{Lane, Timestamp};

use super::account::now_us;
use super::row::time;
use super::writer::Step;
use crate::LedgerError;

/// `rate` is absent until somebody told one; `used` is until when leave was used up, in microseconds.
pub(super) const TABLE: &str = "CREATE TABLE polls (one INTEGER PRIMARY KEY CHECK (one = 1), rate INTEGER, \
     used INTEGER NOT NULL DEFAULT 0) STRICT; INSERT INTO polls (one) VALUES (1);";

/// Polls that may be made by a claim.
#[derive(Debug)]
pub(super) struct Room {
    /// For so many jobs.
    pub(super) count: i64,
    /// `None`: there is no limit.
    bucket: Option<PollBucket>,
}

impl Room {
    /// For at most `max` jobs of `lane`.
    pub(super) fn load(step: &Step<'_>, lane: Lane, max: i64) -> Result<Self, LedgerError> {
        if lane != Lane::Follow || max == 0 {
            return Ok(Self { count: max, bucket: None });
        }
        let now = now_us(step);
        let used: i64 = step.sql.prepare_cached("SELECT used FROM polls")?.query_row([], |row| row.get(0))?;
        let bucket = PollBucket::load(used, rate(step)?, now);
        if bucket.used_us < used {
            store(step, &bucket)?;
        }
        Ok(Self { count: bucket.room(max, now), bucket: Some(bucket) })
    }

    /// Takes it for `count` jobs. Returns when a claim is worth while again.
    pub(super) fn take(&self, step: &Step<'_>, count: usize) -> Result<Timestamp, LedgerError> {
        let Some(mut bucket) = self.bucket else { return Ok(Timestamp::default()) };
        let again = bucket.take(i64::try_from(count).unwrap_or(0));
        if count > 0 {
            store(step, &bucket)?;
        }
        Ok(time(again))
    }
}

fn store(step: &Step<'_>, bucket: &PollBucket) -> Result<(), LedgerError> {
    step.sql.prepare_cached("UPDATE polls SET used = ?")?.execute([bucket.used_us])?;
    Ok(())
}

/// Polls per second.
pub(super) fn rate(step: &Step<'_>) -> Result<u32, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (told, cap): (Option<u32>, u32) =
        step.sql.prepare_cached("SELECT rate, cap FROM polls, account")?.query_row([], columns)?;
    Ok(poll_rate(told, cap))
}

/// Sets the rate; returns what it was.
pub(super) fn limit(step: &mut Step<'_>, per_second: u32) -> Result<u32, LedgerError> {
    let before = rate(step)?;
    step.sql.execute("UPDATE polls SET rate = ?", [per_second])?;
    step.nudge |= per_second != before;
    Ok(before)
}
