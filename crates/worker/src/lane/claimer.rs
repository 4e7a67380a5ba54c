//! Claims for the follow and save lanes: whatever is due.
//!
//! ```text
//! room in the lane ─▶ claim as many jobs ─▶ bounded channel ─▶ lane ─▶ step ─▶ room in the lane
//! ```
//!
//! A claimer never fails: an outage of the ledger is waited out here, so that the lane never notices it.

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use veobatch_core::{Lane, Timestamp};
use veobatch_ledger::{CLAIM_MAX, Claimed};

use crate::runtime::backoff::Backoff;
use crate::runtime::claim::Claim;
use crate::runtime::context::Context;
use crate::runtime::leases::LEASE;
use crate::runtime::shutdown::is_permanent;

/// Claims what is due in one lane.
#[derive(Debug)]
pub(crate) struct DueClaimer {
    context: Arc<Context>,
    lane: Lane,
    room: Arc<Semaphore>,
    claims: mpsc::Sender<Claim>,
}

impl DueClaimer {
    pub(crate) fn new(context: Arc<Context>, lane: Lane, concurrency: usize, claims: mpsc::Sender<Claim>) -> Self {
        Self { context, lane, room: Arc::new(Semaphore::new(concurrency)), claims }
    }

    /// Claims until the worker shuts down.
    pub(crate) async fn run(&self) {
        let shutdown = &self.context.shutdown;
        let mut backoff = Backoff::until(shutdown.closing.clone());
        while let Some(room) = self.wait_for_room().await {
            let max = room.len();
            let (claimed, next) = match self.context.ledger.claim(self.lane, max, LEASE).await {
                Ok(answer) => answer,
                Err(error) if is_permanent(&error) => return shutdown.ledger_unusable(error),
                Err(error) => {
                    drop(room);
                    if !backoff.wait("nothing can be claimed", &error).await {
                        return;
                    }
                    continue;
                }
            };
            backoff.succeeded();
            let count = claimed.len();
            for (claimed, room) in claimed.into_iter().zip(room) {
                self.send(claimed, room).await;
            }
            if count < max && !self.wait(next).await {
                return;
            }
        }
    }

    /// Waits for room for one job, and takes all the room there is; `None` if the worker is shutting down.
    async fn wait_for_room(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let closing = &self.context.shutdown.closing;
        let first = closing.run_until_cancelled(Arc::clone(&self.room).acquire_owned()).await?.ok()?;
        let mut room = vec![first];
        while room.len() < CLAIM_MAX {
            let Ok(more) = Arc::clone(&self.room).try_acquire_owned() else { break };
            room.push(more);
        }
        (!closing.is_cancelled()).then_some(room)
    }

    async fn send(&self, claimed: Claimed, room: OwnedSemaphorePermit) {
        self.context.clock.set(claimed.stored.now);
        let hold = self.context.leases.hold(claimed.lease.clone(), self.lane);
        let claimed = Box::new(claimed);
        let claim = Claim { lane: self.lane, claimed, permit: None, settle: OnceLock::new(), hold, _room: room };
        // The channel has room, and the lane outlives its claimer. If not, the lease expires.
        drop(self.claims.send(claim).await);
    }

    async fn wait(&self, next: Option<Timestamp>) -> bool {
        let Context { ledger, clock, .. } = self.context.as_ref();
        if next.is_some()
            && clock.now().is_none()
            && let Ok(info) = ledger.info().await
        {
            clock.set(info.now);
        }
        self.context.wait_until(next).await
    }
}
