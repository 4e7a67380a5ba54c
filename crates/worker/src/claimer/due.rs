//! The claimer of the follow and the save lane: whatever is due.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::Quota;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use veobatch_core::Lane;
use veobatch_ledger::{CLAIM_MAX, Claimed};

use super::{Limiter, limiter, rest};
use crate::claim::Claim;
use crate::leases::LEASE;
use crate::patience::Patience;
use crate::worker::Worker;

/// Claims what is due in one lane.
#[derive(Debug)]
pub(crate) struct Due {
    worker: Arc<Worker>,
    lane: Lane,
    slots: Arc<Semaphore>,
    claims: mpsc::Sender<Claim>,
    pace: Option<Limiter>,
}

impl Due {
    /// `per_second` limits how many jobs this process takes up: nobody waits in a step, where a lease is running.
    pub(crate) fn new(
        worker: Arc<Worker>,
        lane: Lane,
        slots: usize,
        claims: mpsc::Sender<Claim>,
        per_second: Option<NonZeroU32>,
    ) -> Self {
        let pace = per_second.map(|rate| limiter(Quota::per_second(rate)));
        Self { worker, lane, slots: Arc::new(Semaphore::new(slots)), claims, pace }
    }

    /// Claims until the worker is closing.
    pub(crate) async fn run(&self) {
        let mut patience = Patience::until(self.worker.ending.closing.clone());
        // Leave that the pace gave and no job took.
        let mut leave = 0;
        while let Some((slots, go_on)) = self.prepare(&mut leave).await {
            if !go_on {
                return;
            }
            let max = slots.len();
            let (claimed, next) = match self.worker.ledger.claim(self.lane, max, LEASE).await {
                Ok(answer) => answer,
                Err(error) => {
                    drop(slots);
                    if !patience.wait("nothing can be claimed", &error).await {
                        return;
                    }
                    continue;
                }
            };
            patience.over();
            let count = claimed.len();
            leave = usize::saturating_sub(leave, count);
            for (claimed, slot) in claimed.into_iter().zip(slots) {
                self.send(claimed, slot).await;
            }
            if count < max && !self.rest(next).await {
                return;
            }
        }
    }

    /// Waits for a free slot, and for the pace's leave; as many more of both as there are at once.
    async fn prepare(&self, leave: &mut usize) -> Option<(Vec<OwnedSemaphorePermit>, bool)> {
        let closing = &self.worker.ending.closing;
        let first = closing.run_until_cancelled(Arc::clone(&self.slots).acquire_owned()).await?.ok()?;
        let mut slots = vec![first];
        while slots.len() < CLAIM_MAX {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { break };
            slots.push(slot);
        }
        if let Some(pace) = &self.pace {
            if *leave == 0 {
                closing.run_until_cancelled(pace.until_ready()).await?;
                *leave = 1;
            }
            while *leave < slots.len() && pace.check().is_ok() {
                *leave += 1;
            }
            slots.truncate(*leave);
        }
        Some((slots, !closing.is_cancelled()))
    }

    async fn send(&self, claimed: Claimed, slot: OwnedSemaphorePermit) {
        self.worker.clock.saw(claimed.stored.now);
        let hold = self.worker.leases.hold(claimed.lease.clone(), self.lane);
        let claim = Claim { lane: self.lane, claimed: Box::new(claimed), grant: None, hold, _slot: slot };
        // There is room for every slot, and the lane outlives its claimer; if not, the lease ends by itself.
        drop(self.claims.send(claim).await);
    }

    async fn rest(&self, next: Option<veobatch_core::Timestamp>) -> bool {
        if next.is_some()
            && self.worker.clock.now().is_none()
            && let Ok(now) = self.worker.ledger.now().await
        {
            self.worker.clock.saw(now);
        }
        rest(&self.worker, next).await
    }
}
