//! Leave for an upgrade call: a slot of the pace where the call counts in it, and nothing else of the account.

use std::time::Duration;

use redis::Value;
use veobatch_core::{Token, millis};

use super::ledger::RedisLedger;
use super::reply::Reply;
use super::scripts::texts;
use crate::ledger::grant::grant;
use crate::{Lease, LedgerError, UpgradeClaim};

impl RedisLedger {
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
        let mut reply = Reply::of(answer);
        let word: String = reply.take()?;
        match word.as_str() {
            "granted" => return Ok(UpgradeClaim::Granted(grant(token))),
            "lost" => return Err(LedgerError::LostLease),
            _ => {}
        }
        let now = reply.time()?;
        let why = reply.blocked()?;
        let until = reply.time()?;
        Ok(UpgradeClaim::Wait { why, until, now })
    }
}
