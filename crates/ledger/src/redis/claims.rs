//! Taking work: the grant of a submission, leases on due jobs, and giving them back.

use std::time::Duration;

use redis::Value;
use tracing::debug;
use veobatch_core::{BatchId, Lane, Timestamp, Token, millis};

use super::RedisLedger;
use super::admission::texts;
use super::answers::{Row, damaged, when};
use crate::account::LOOKS;
use crate::grant::grant;
use crate::job::Fence;
use crate::unreadable::Unreadable;
use crate::{Blocked, CLAIM_MAX, Claimed, Lease, LedgerError, SubmissionClaim, UpgradeClaim};

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
        let mut now = Timestamp::default();
        for _ in 0..LOOKS {
            let answer: Vec<Value> = self.server.run(&self.scripts.grant, &args).await?;
            match granted(answer, token)? {
                Answer::Granted(claimed, replicas) => {
                    self.confirmation.granted(replicas);
                    return Ok(SubmissionClaim::Granted(claimed));
                }
                Answer::Wait(wait) => return Ok(wait),
                Answer::Unreadable(job) => {
                    now = job.since;
                    let met = texts([token.as_str(), &job.why]);
                    if self.server.run::<u8>(&self.scripts.take_back, &met).await? == 1 {
                        job.log();
                    }
                }
            }
        }
        Ok(SubmissionClaim::Wait { why: Blocked::Work, until: Some(now), now })
    }

    pub(super) async fn grant_upgrade(
        &self,
        lease: &Lease,
        token: &Token,
        stall: Option<Duration>,
    ) -> Result<UpgradeClaim, LedgerError> {
        let [batch, seq] = [lease.job.batch, lease.job.seq].map(|number| number.to_string());
        let stall = stall.map(|stall| millis(stall).to_string()).unwrap_or_default();
        let args = texts([&batch, &seq, &lease.fence.0, token.as_str(), &stall]);
        let answer: Vec<Value> = self.server.run(&self.scripts.upgrade, &args).await?;
        let unread = |error: redis::ParsingError| LedgerError::Damaged(error.to_string());
        let mut parts = answer.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let word: String = redis::from_redis_value(next()).map_err(unread)?;
        match word.as_str() {
            "granted" => return Ok(UpgradeClaim::Granted(grant(token))),
            "lost" => return Err(LedgerError::LostLease),
            _ => {}
        }
        let now = Timestamp::from_millis(redis::from_redis_value(next()).map_err(unread)?);
        let why = waiting(&redis::from_redis_value::<String>(next()).map_err(unread)?)?;
        let until = Timestamp::from_millis(redis::from_redis_value(next()).map_err(unread)?);
        Ok(UpgradeClaim::Wait { why, until, now })
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
        let (mut claimed, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match row.claimed(now)? {
                Ok(job) => claimed.push(job),
                Err(job) => unreadable.push(job),
            }
        }
        if let Err(error) = self.set_aside(&unreadable).await {
            debug!(%error, "jobs that cannot be read could not be set aside; their leases end by themselves");
        }
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

/// The answer to a claim of a submission.
enum Answer {
    /// With how many replicas the server has.
    Granted(Box<Claimed>, u32),
    Wait(SubmissionClaim),
    /// Granted, and this program cannot read it.
    Unreadable(Box<Unreadable>),
}

fn granted(answer: Vec<Value>, token: &Token) -> Result<Answer, LedgerError> {
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
        return Ok(match row.claimed(now)? {
            Ok(claimed) => Answer::Granted(Box::new(Claimed { grant: Some(grant(token)), ..claimed }), replicas),
            Err(job) => Answer::Unreadable(Box::new(job)),
        });
    }
    let why = waiting(&redis::from_redis_value::<String>(next()).map_err(unread)?)?;
    let until = when(redis::from_redis_value(next()).map_err(unread)?);
    Ok(Answer::Wait(SubmissionClaim::Wait { why, until, now }))
}

fn waiting(word: &str) -> Result<Blocked, LedgerError> {
    Ok(match word {
        "work" => Blocked::Work,
        "slot" => Blocked::Slot,
        "cap" => Blocked::Cap,
        "gate" => Blocked::Gate,
        "window" => Blocked::Window,
        "budget" => Blocked::Budget,
        "recovery" => Blocked::Recovery,
        other => return Err(damaged("the answer to a claim", other.as_bytes())),
    })
}
