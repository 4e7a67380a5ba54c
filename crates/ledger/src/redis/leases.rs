//! Leases: a claimed job's due time *is* the end of its lease, so nobody has to bring it back.

use std::time::Duration;

use tracing::debug;
use veobatch_core::{Lane, Timestamp, millis};

use super::ledger::RedisLedger;
use super::row::{Row, when};
use super::scripts::texts;
use crate::ledger::job::Fence;
use crate::{CLAIM_MAX, Claimed, Lease, LedgerError};

impl RedisLedger {
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
