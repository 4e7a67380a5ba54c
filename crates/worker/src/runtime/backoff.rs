//! Waiting out a ledger that cannot be reached: exponential, jittered, until told to give up.
//!
//! The only place that knows the `backoff` crate. It is no longer maintained (RUSTSEC-2025-0012); it is wanted, small
//! and complete for what is asked of it here, and this file is all there is to replace.

use std::fmt::Display;
use std::time::Duration;

use ::backoff::backoff::Backoff as _;
use ::backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use veobatch_ledger::LedgerError;

use crate::runtime::random;

/// First wait: a server that restarts is back within a second.
const FIRST: Duration = Duration::from_millis(100);

/// Longest wait: work goes on at most so late after an outage.
const LONGEST: Duration = Duration::from_secs(5);

/// The patience of one caller with one outage after another.
#[derive(Debug)]
pub(crate) struct Backoff {
    backoff: ExponentialBackoff,
    until: CancellationToken,
    waiting: bool,
}

impl Backoff {
    /// Endless, until `until` is cancelled.
    pub(crate) fn until(until: CancellationToken) -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST)
            .with_max_interval(LONGEST)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        Self { backoff, until, waiting: false }
    }

    /// Waits before the next try; `false` if it is time to give up. The first wait of an outage is logged.
    pub(crate) async fn wait(&mut self, what: &str, error: &(dyn Display + Sync)) -> bool {
        if !self.waiting {
            warn!(%error, "{what}: waiting");
            self.waiting = true;
        }
        let wait = self.backoff.next_backoff().unwrap_or(LONGEST).mul_f64(0.5 + random::jitter());
        tokio::select! {
            biased;
            () = self.until.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Something succeeded: the next outage starts from the first wait.
    pub(crate) fn succeeded(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.backoff.reset();
            info!("the ledger can be reached again");
        }
    }
}

#[async_trait]
impl veobatch_ledger::Backoff for Backoff {
    async fn again(&mut self, error: &LedgerError) -> bool {
        self.wait("the ledger did not take a change", error).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_when_it_is_told_to_and_not_before() {
        let until = CancellationToken::new();
        let mut patience = Backoff::until(until.clone());
        for _ in 0..100 {
            assert!(patience.wait("x", &"y").await);
        }
        until.cancel();
        assert!(!patience.wait("x", &"y").await);
    }
}
