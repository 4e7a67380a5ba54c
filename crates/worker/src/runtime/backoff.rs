//! Retrying while the ledger is unavailable: exponential waits with jitter, until told to give up.
//!
//! The only file that uses the `backoff` crate. It is no longer maintained (RUSTSEC-2025-0012), but small and complete for
//! what is needed here; replacing it means replacing this file.

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

/// Longest wait: work resumes at most this long after an outage.
const LONGEST: Duration = Duration::from_secs(5);

/// The waits of one caller through one outage after another.
#[derive(Debug)]
pub(crate) struct Backoff {
    waits: ExponentialBackoff,
    until: CancellationToken,
    waiting: bool,
}

impl Backoff {
    /// Retries for ever, until `until` is cancelled.
    pub(crate) fn until(until: CancellationToken) -> Self {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST)
            .with_max_interval(LONGEST)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        Self { waits, until, waiting: false }
    }

    /// Waits before the next try; `false` if it is time to give up. The first wait of an outage is logged.
    pub(crate) async fn wait(&mut self, what: &str, error: &(dyn Display + Sync)) -> bool {
        if !self.waiting {
            warn!(%error, "{what}: retrying");
            self.waiting = true;
        }
        let wait = self.waits.next_backoff().unwrap_or(LONGEST).mul_f64(0.5 + random::jitter());
        tokio::select! {
            biased;
            () = self.until.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// A call succeeded: the next outage starts with the shortest wait again.
    pub(crate) fn succeeded(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.waits.reset();
            info!("the ledger is available again");
        }
    }
}

#[async_trait]
impl veobatch_ledger::Backoff for Backoff {
    async fn again(&mut self, error: &LedgerError) -> bool {
        self.wait("a change could not be stored", error).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_it_is_told_to_and_not_before() {
        let until = CancellationToken::new();
        let mut backoff = Backoff::until(until.clone());
        for _ in 0..100 {
            assert!(backoff.wait("x", &"y").await);
        }
        until.cancel();
        assert!(!backoff.wait("x", &"y").await);
    }
}
