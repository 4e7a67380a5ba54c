//! The claim that is the intent: a queued job, a slot and a place in flight, taken in one script or not at all.

use std::time::Duration;

use redis::Value;
use veobatch_core::{BatchId, Timestamp, Token, millis};

use super::ledger::RedisLedger;
use super::reply::Reply;
use super::row::{Row, when};
use super::scripts::texts;
use crate::ledger::account::MOST_CANDIDATES;
use crate::ledger::grant::grant;
use crate::ledger::unreadable::Unreadable;
use crate::{Blocked, Claimed, LedgerError, SubmissionClaim};

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
        for _ in 0..MOST_CANDIDATES {
            let answer: Vec<Value> = self.server.run(&self.scripts.grant, &args).await?;
            match granted(answer, token)? {
                GrantAnswer::Granted(claimed, replicas) => {
                    self.confirmation.granted(replicas);
                    return Ok(SubmissionClaim::Granted(claimed));
                }
                GrantAnswer::Wait(wait) => return Ok(wait),
                GrantAnswer::Unreadable(job) => {
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
}

/// The answer to a claim of a submission.
enum GrantAnswer {
    /// With how many replicas the server has.
    Granted(Box<Claimed>, u32),
    Wait(SubmissionClaim),
    /// Granted, and this program cannot read it.
    Unreadable(Box<Unreadable>),
}

fn granted(answer: Vec<Value>, token: &Token) -> Result<GrantAnswer, LedgerError> {
    let mut reply = Reply::of(answer);
    let word: String = reply.take()?;
    if word == "lost" {
        return Err(LedgerError::LostLease);
    }
    let now = reply.time()?;
    if word == "granted" {
        let row: Row = reply.take()?;
        let replicas = reply.take()?;
        return Ok(match row.claimed(now)? {
            Ok(claimed) => GrantAnswer::Granted(Box::new(Claimed { grant: Some(grant(token)), ..claimed }), replicas),
            Err(job) => GrantAnswer::Unreadable(Box::new(job)),
        });
    }
    let why = reply.blocked()?;
    let until = when(reply.take()?);
    Ok(GrantAnswer::Wait(SubmissionClaim::Wait { why, until, now }))
}
