//! What every lane and every periodic task works with: the ledger and its clock, the leases, and the shutdown signal.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;
use veobatch_core::{Event, Timestamp};
use veobatch_ledger::{Change, Changed, LedgerError, NoRetry, SharedLedger, Stored, Wake, change};

use crate::runtime::claim::Claim;
use crate::runtime::clock::LedgerClock;
use crate::runtime::learning::Learning;
use crate::runtime::leases::Leases;
use crate::runtime::random;
use crate::runtime::shutdown::Shutdown;

/// Longest wait between two claims, even if the ledger promised nothing.
const LONGEST_CLAIM_WAIT: Duration = Duration::from_secs(1);

/// Shortest wait between two claims, should the ledger promise something that does not come.
const SHORTEST_CLAIM_WAIT: Duration = Duration::from_millis(5);

/// Shared by all parts of one worker.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) ledger: SharedLedger,
    /// Hints that something became due.
    pub(crate) wake: Wake,
    pub(crate) clock: LedgerClock,
    pub(crate) learning: Arc<Learning>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) shutdown: Shutdown,
}

impl Context {
    /// Applies `event` to a job that is not claimed, without retrying if the ledger is unavailable.
    pub(crate) async fn change(&self, stored: Stored, event: &Event) -> Result<Changed, LedgerError> {
        let policy = self.learning.policy();
        let once = Change { event, lease: None, settle: None, jitter: random::jitter(), policy: &policy };
        change(self.ledger.as_ref(), stored, &once, &mut NoRetry).await
    }

    /// Gives a job back, due again now.
    pub(crate) async fn release(&self, claim: &Claim) {
        if let Err(error) = self.ledger.renew(std::slice::from_ref(&claim.claimed.lease), None).await {
            debug!(%error, "a lease could not be released; it will expire");
        }
    }

    /// Waits until `due` by the ledger's clock, until the ledger hints that something became due, or
    /// [`LONGEST_CLAIM_WAIT`]. Returns `false` if the worker is shutting down.
    pub(crate) async fn wait_until(&self, due: Option<Timestamp>) -> bool {
        let wait = match (due, self.clock.now()) {
            (Some(due), Some(now)) => due.since(now).clamp(SHORTEST_CLAIM_WAIT, LONGEST_CLAIM_WAIT),
            (None, _) | (_, None) => LONGEST_CLAIM_WAIT,
        };
        tokio::select! {
            biased;
            () = self.shutdown.closing.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
            () = self.wake.notified() => true,
        }
    }
}
