//! The leases this process holds, renewed by a task of its own and never from a worker's poll loop.
//!
//! A lease lasts 30 s and is renewed every 10 s, but only within its step's limit: a step that hangs loses its job to
//! somebody else instead of keeping it for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, warn};
use veobatch_core::Lane;
use veobatch_ledger::{CLAIM_MAX, Lease, LedgerError};

use crate::runtime::worker::Worker;
use crate::upkeep::PeriodicTask;

/// How long a lease lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How often leases are renewed.
const EVERY: Duration = Duration::from_secs(10);

/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How long a step of `lane` may hold its job without a sign of life.
fn limit(lane: Lane) -> Duration {
    match lane {
        Lane::Submit | Lane::Save => Duration::from_secs(60),
        Lane::Follow => Duration::from_secs(20),
    }
}

/// The leases that are held.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    next: u64,
    leases: BTreeMap<u64, (Lease, Instant)>,
}

/// One lease that is held; given up (not released) when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    leases: Arc<Leases>,
    number: u64,
    limit: Duration,
}

impl Leases {
    /// Holds `lease` for a step of `lane`.
    pub(crate) fn hold(self: &Arc<Self>, lease: Lease, lane: Lane) -> Hold {
        let limit = limit(lane);
        let mut held = self.lock();
        held.next += 1;
        let number = held.next;
        held.leases.insert(number, (lease, Instant::now() + limit));
        Hold { leases: Arc::clone(self), number, limit }
    }

    /// Those whose step is within its limit.
    fn live(&self) -> Vec<Lease> {
        let now = Instant::now();
        self.lock().leases.values().filter(|(_, until)| *until > now).map(|(lease, _)| lease.clone()).collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Lease> {
        self.lock().leases.values().map(|(lease, _)| lease.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// A sign of life: the limit starts anew.
    pub(crate) fn alive(&self) {
        if let Some((_, until)) = self.leases.lock().leases.get_mut(&self.number) {
            *until = Instant::now() + self.limit;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.leases.lock().leases.remove(&self.number);
    }
}

/// Renews what is held.
#[derive(Debug)]
pub(crate) struct Renewals;

#[async_trait]
impl PeriodicTask for Renewals {
    fn name(&self) -> &'static str {
        "renew leases"
    }

    /// A lease lasts longer, so one that is cut off here may still be renewed in time.
    fn limit(&self) -> Duration {
        EVERY
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        for some in worker.leases.live().chunks(CLAIM_MAX) {
            match worker.ledger.renew(some, Some(LEASE)).await {
                Ok(held) => {
                    let lost = held.iter().filter(|held| !**held).count();
                    if lost > 0 {
                        debug!(lost, "leases are no longer held");
                    }
                }
                Err(error) => {
                    warn!(%error, "leases could not be renewed");
                    return Ok(RETRY);
                }
            }
        }
        Ok(EVERY)
    }
}
