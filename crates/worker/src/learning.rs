//! How long videos take: told to the ledger for all machines, learned from what all of them told.
//!
//! A sample is no more than a hint, so it is kept here and told once a minute with others; those of a process that is
//! killed are lost. What is learned is the policy by which all steps of this process look at their tasks.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use veobatch_core::{Policy, Record, Rhythms, Timestamp, VideoKind, took};
use veobatch_ledger::Ledger;

use crate::blocking;

/// Between two exchanges with the ledger.
const EXCHANGE: Duration = Duration::from_secs(60);

/// More samples are not kept while the ledger is away.
const MOST_UNTOLD: usize = 1024;

/// What is known of how long videos take.
#[derive(Debug)]
pub(crate) struct Learning {
    policy: RwLock<Arc<Policy>>,
    untold: Mutex<Vec<(VideoKind, Duration)>>,
    exchanged: Mutex<Option<Instant>>,
}

impl Learning {
    /// Nothing yet: looks are as `policy` says.
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy: RwLock::new(Arc::new(policy)), untold: Mutex::default(), exchanged: Mutex::default() }
    }

    /// How often to look, as far as is known by now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A look at `now` found the job's video made; `reported` is how long the service says that it took.
    pub(crate) fn found(&self, record: &Record, now: Timestamp, reported: Option<Duration>) {
        let Some(took) = took(record, now, reported) else { return };
        debug!(kind = record.kind.as_str(), ?took, ?reported, "made");
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        if untold.len() < MOST_UNTOLD {
            untold.push((record.kind.clone(), took));
        }
    }

    /// Tells the ledger what was seen here, and learns from what all have seen; once a minute, however often it is called.
    pub(crate) async fn step(&self, ledger: &dyn Ledger) {
        let due = {
            let mut exchanged = self.exchanged.lock().unwrap_or_else(PoisonError::into_inner);
            let due = exchanged.is_none_or(|last| last.elapsed() >= EXCHANGE);
            if due {
                *exchanged = Some(Instant::now());
            }
            due
        };
        if due {
            self.tell(ledger).await;
            self.learn(ledger).await;
        }
    }

    /// Tells the ledger what was seen here. What it does not take is not told again.
    pub(crate) async fn tell(&self, ledger: &dyn Ledger) {
        let untold = std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
        if untold.is_empty() {
            return;
        }
        if let Err(error) = ledger.sample(&untold).await {
            debug!(%error, "how long videos took could not be told");
        }
    }

    async fn learn(&self, ledger: &dyn Ledger) {
        let samples = match ledger.samples().await {
            Ok(samples) => samples,
            Err(error) => return debug!(%error, "how long videos take could not be learned"),
        };
        // Some milliseconds of work for each kind of video.
        let Ok(rhythms) = blocking::run(move || Arc::new(Rhythms::learn(&samples))).await else { return };
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *policy = Arc::new(Policy { rhythms, ..Policy::clone(&policy) });
    }
}
