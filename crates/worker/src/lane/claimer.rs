//! The claimer of the follow and the save lane: whatever is due.

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use veobatch_core::Lane;
use veobatch_ledger::{CLAIM_MAX, Claimed};

use crate::runtime::backoff::Backoff;
use crate::runtime::claim::Claim;
use crate::runtime::claimer::{is_over, rest};
use crate::runtime::leases::LEASE;
use crate::runtime::worker::Worker;

/// Claims what is due in one lane.
#[derive(Debug)]
pub(crate) struct Due {
    worker: Arc<Worker>,
    lane: Lane,
    slots: Arc<Semaphore>,
    claims: mpsc::Sender<Claim>,
}

impl Due {
    pub(crate) fn new(worker: Arc<Worker>, lane: Lane, slots: usize, claims: mpsc::Sender<Claim>) -> Self {
        Self { worker, lane, slots: Arc::new(Semaphore::new(slots)), claims }
    }

    /// Claims until the worker is closing.
    pub(crate) async fn run(&self) {
        let mut backoff = Backoff::until(self.worker.shutdown.closing.clone());
        while let Some((slots, go_on)) = self.prepare().await {
            if !go_on {
                return;
            }
            let max = slots.len();
            let (claimed, next) = match self.worker.ledger.claim(self.lane, max, LEASE).await {
                Ok(answer) => answer,
                Err(error) if is_over(&error) => return self.worker.shutdown.outdated(error),
                Err(error) => {
                    drop(slots);
                    if !backoff.wait("nothing can be claimed", &error).await {
                        return;
                    }
                    continue;
                }
            };
            backoff.succeeded();
            let count = claimed.len();
            for (claimed, slot) in claimed.into_iter().zip(slots) {
                self.send(claimed, slot).await;
            }
            if count < max && !self.rest(next).await {
                return;
            }
        }
    }

    /// Waits for a free slot; as many more as there are at once.
    async fn prepare(&self) -> Option<(Vec<OwnedSemaphorePermit>, bool)> {
        let closing = &self.worker.shutdown.closing;
        let first = closing.run_until_cancelled(Arc::clone(&self.slots).acquire_owned()).await?.ok()?;
        let mut slots = vec![first];
        while slots.len() < CLAIM_MAX {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { break };
            slots.push(slot);
        }
        Some((slots, !closing.is_cancelled()))
    }

    async fn send(&self, claimed: Claimed, slot: OwnedSemaphorePermit) {
        self.worker.clock.saw(claimed.stored.now);
        let hold = self.worker.leases.hold(claimed.lease.clone(), self.lane);
        let claim = Claim {
            lane: self.lane,
            claimed: Box::new(claimed),
            permit: None,
            settle: OnceLock::new(),
            hold,
            _slot: slot,
        };
        // There is room for every slot, and the lane outlives its claimer; if not, the lease ends by itself.
        drop(self.claims.send(claim).await);
    }

    async fn rest(&self, next: Option<veobatch_core::Timestamp>) -> bool {
        if next.is_some()
            && self.worker.clock.now().is_none()
            && let Ok(info) = self.worker.ledger.info().await
        {
            self.worker.clock.saw(info.now);
        }
        rest(&self.worker, next).await
    }
}
