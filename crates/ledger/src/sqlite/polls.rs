//! The bucket of polls, stored.

use veobatch_core::account::{PollBucket, poll_rate};
use veobatch_core::{Lane, Timestamp};

use super::account_state::now_us;
use super::row::time;
use super::transaction::Transaction;
use crate::LedgerError;

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
    pub(super) fn load(tx: &Transaction<'_>, lane: Lane, max: i64) -> Result<Self, LedgerError> {
        if lane != Lane::Follow || max == 0 {
            return Ok(Self { count: max, bucket: None });
        }
        let now = now_us(tx);
        let used: i64 = tx.sql.prepare_cached("SELECT used FROM polls")?.query_row([], |row| row.get(0))?;
        let bucket = PollBucket::load(used, rate(tx)?, now);
        if bucket.used_us < used {
            store(tx, &bucket)?;
        }
        Ok(Self { count: bucket.room(max, now), bucket: Some(bucket) })
    }

    /// Takes it for `count` jobs. Returns when a claim is worth while again.
    pub(super) fn take(&self, tx: &Transaction<'_>, count: usize) -> Result<Timestamp, LedgerError> {
        let Some(mut bucket) = self.bucket else { return Ok(Timestamp::default()) };
        let again = bucket.take(i64::try_from(count).unwrap_or(0));
        if count > 0 {
            store(tx, &bucket)?;
        }
        Ok(time(again))
    }
}

fn store(tx: &Transaction<'_>, bucket: &PollBucket) -> Result<(), LedgerError> {
    tx.sql.prepare_cached("UPDATE polls SET used = ?")?.execute([bucket.used_us])?;
    Ok(())
}

/// Polls per second.
pub(super) fn rate(tx: &Transaction<'_>) -> Result<u32, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (told, cap): (Option<u32>, u32) =
        tx.sql.prepare_cached("SELECT rate, cap FROM polls, account")?.query_row([], columns)?;
    Ok(poll_rate(told, cap))
}

/// Sets the rate.
pub(super) fn set_rate(tx: &mut Transaction<'_>, per_second: u32) -> Result<(), LedgerError> {
    tx.wakes |= per_second != rate(tx)?;
    tx.sql.execute("UPDATE polls SET rate = ?", [per_second])?;
    Ok(())
}
