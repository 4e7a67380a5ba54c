//! Taking work: the grant of a submission, leases on due jobs, and giving them back.

use std::time::Duration;

use redis::Value;
use veobatch_core::{BatchId, Lane, Timestamp, Token, millis};

use super::RedisLedger;
use super::admission::texts;
use super::answers::{Row, damaged, when};
use crate::job::Fence;
use crate::{CLAIM_MAX, Claimed, Lease, LedgerError, SubmissionClaim, Waiting};

impl RedisLedger {
    pub(super) async fn grant(
        &self,
        token: &Token,
        only: Option<&[BatchId]>,
        lease: Duration,
        stall: Duration,
    ) -> Result<SubmissionClaim, LedgerError> {
        let (lease, stall) = (millis(lease).to_string(), millis(stall).to_string());
        let mut args = texts([token.as_str(), &lease, &stall, if only.is_some() { "1" } else { "0" }]);
        args.extend(only.unwrap_or_default().iter().map(|batch| batch.folded().into_bytes()));
        let answer: Vec<Value> = self.server.run(&self.scripts.grant, &args).await?;
        let (claim, replicas) = granted(answer)?;
        if matches!(claim, SubmissionClaim::Granted(_)) {
            self.confirmation.granted(replicas);
        }
        Ok(claim)
    }

    pub(super) async fn claim_due(
        &self,
        lane: Lane,
        max: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError> {
        let (max, lease) = (max.min(CLAIM_MAX).to_string(), millis(lease).to_string());
        let args = texts([lane.as_str(), &max, &lease, &Fence::random().0]);
        let (now, next, rows): (u64, u64, Vec<Row>) = self.server.run(&self.scripts.claim, &args).await?;
        let now = Timestamp::from_millis(now);
        let claimed = rows.into_iter().map(|row| row.claimed(now)).collect::<Result<_, _>>()?;
        Ok((claimed, when(next)))
    }

    /// Prolongs leases by this much from now; `None` gives them back.
    pub(super) async fn change_leases(
        &self,
        leases: &[Lease],
        lease: Option<Duration>,
    ) -> Result<Vec<bool>, LedgerError> {
        let lease = lease.map_or_else(|| "-".to_owned(), |lease| millis(lease).to_string());
        let mut all = Vec::with_capacity(leases.len());
        for leases in leases.chunks(CLAIM_MAX) {
            let mut args = texts([&lease]);
            for Lease { job, fence } in leases {
                args.extend(texts([&job.batch.to_string(), &job.seq.to_string(), &fence.0]));
            }
            all.extend(self.server.run::<Vec<bool>>(&self.scripts.leases, &args).await?);
        }
        Ok(all)
    }
}

/// The answer to a claim, and how many replicas the server has, if it was granted.
fn granted(answer: Vec<Value>) -> Result<(SubmissionClaim, u32), LedgerError> {
    let unread = |error: redis::ParsingError| LedgerError::Damaged(error.to_string());
    let mut parts = answer.into_iter();
    let mut next = || parts.next().unwrap_or(Value::Nil);
    let word: String = redis::from_redis_value(next()).map_err(unread)?;
    if word == "lost" {
        return Err(LedgerError::LostLease);
    }
    let now = Timestamp::from_millis(redis::from_redis_value(next()).map_err(unread)?);
    if word == "granted" {
        let row: Row = redis::from_redis_value(next()).map_err(unread)?;
        let replicas = redis::from_redis_value(next()).map_err(unread)?;
        return Ok((SubmissionClaim::Granted(Box::new(row.claimed(now)?)), replicas));
    }
    let why: String = redis::from_redis_value(next()).map_err(unread)?;
    let why = match why.as_str() {
        "work" => Waiting::Work,
        "slot" => Waiting::Slot,
        "cap" => Waiting::Cap,
        "gate" => Waiting::Gate,
        "window" => Waiting::Window,
        "budget" => Waiting::Budget,
        "recovery" => Waiting::Recovery,
        other => return Err(damaged("the answer to a claim", other.as_bytes())),
    };
    Ok((SubmissionClaim::Wait { why, until: when(redis::from_redis_value(next()).map_err(unread)?), now }, 0))
}
