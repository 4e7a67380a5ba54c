//! The leases this process holds, renewed by a task of their own.
//!
//! A lease lasts 30 s and is renewed every 10 s, but only while its step shows progress: a step that hangs loses its job to
//! another worker instead of keeping it for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, warn};
use veobatch_core::Lane;
use veobatch_ledger::{CLAIM_MAX, Lease, LedgerError, SharedLedger};

use crate::runtime::supervise::PeriodicTask;

/// How long a lease lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How often leases are renewed.
const RENEW_INTERVAL: Duration = Duration::from_secs(10);

/// How soon a failed renewal is retried.
const RENEW_RETRY: Duration = Duration::from_secs(2);

/// How long a step of `lane` may hold its job without showing progress.
fn limit(lane: Lane) -> Duration {
    match lane {
        Lane::Submit | Lane::Save => Duration::from_secs(60),
        Lane::Follow => Duration::from_secs(20),
    }
}

/// The leases held by this process.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    next: u64,
    leases: BTreeMap<u64, (Lease, Instant)>,
}

/// One held lease. Dropping it stops the renewal; it does not release the job.
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

    /// Leases whose steps are within their limit.
    fn live(&self) -> Vec<Lease> {
        let now = Instant::now();
        self.lock().leases.values().filter(|(_, until)| *until > now).map(|(lease, _)| lease.clone()).collect()
    }

    pub(crate) fn all(&self) -> Vec<Lease> {
        self.lock().leases.values().map(|(lease, _)| lease.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// The step made progress: its limit starts again.
    pub(crate) fn progressed(&self) {
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

/// Renews the held leases.
#[derive(Debug)]
pub(crate) struct Renewals {
    pub(crate) ledger: SharedLedger,
    pub(crate) leases: Arc<Leases>,
}

#[async_trait]
impl PeriodicTask for Renewals {
    fn name(&self) -> &'static str {
        "renew leases"
    }

    /// A lease lasts longer, so the next tick may still renew it in time.
    fn time_limit(&self) -> Duration {
        RENEW_INTERVAL
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        for some in self.leases.live().chunks(CLAIM_MAX) {
            match self.ledger.renew(some, Some(LEASE)).await {
                Ok(held) => {
                    let lost = held.iter().filter(|held| !**held).count();
                    if lost > 0 {
                        debug!(lost, "leases are no longer held");
                    }
                }
                Err(error) => {
                    warn!(%error, "leases could not be renewed");
                    return Ok(RENEW_RETRY);
                }
            }
        }
        Ok(RENEW_INTERVAL)
    }
}
