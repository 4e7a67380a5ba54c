//! How long videos take: told to the ledger for all machines, and learned from what all of them told.
//!
//! It is no more than a hint: a process that is killed loses what it had not told yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use veobatch_core::{Durations, PollPolicy, PollSchedule, Record, Timestamp, VideoKind, duration};
use veobatch_ledger::{KINDS, Ledger};

/// Between two exchanges with the ledger if nothing was seen here, and if something was: early in a run, what is known ten
/// seconds later is of use for hundreds of videos.
const QUIET_EXCHANGE: Duration = Duration::from_secs(60);
const BUSY_EXCHANGE: Duration = Duration::from_secs(10);

/// What is known of how long videos take.
#[derive(Debug)]
pub(crate) struct Learning {
    policy: RwLock<Arc<PollPolicy>>,
    untold: Mutex<BTreeMap<VideoKind, Durations>>,
    exchanged: Mutex<Option<Instant>>,
}

impl Learning {
    /// Nothing yet: polls are as `policy` says.
    pub(crate) fn new(policy: PollPolicy) -> Self {
        Self { policy: RwLock::new(Arc::new(policy)), untold: Mutex::default(), exchanged: Mutex::default() }
    }

    /// How often to poll, as far as is known by now.
    pub(crate) fn policy(&self) -> Arc<PollPolicy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A poll at `now` found the job's video made.
    pub(crate) fn add(&self, record: &Record, now: Timestamp) {
        let Some(took) = duration(record, now) else { return };
        debug!(kind = record.kind.as_str(), ?took, "made");
        let mut untold = self.untold();
        if untold.len() < KINDS || untold.contains_key(&record.kind) {
            untold.entry(record.kind.clone()).or_default().add(took);
        }
    }

    /// Tells the ledger what was seen here and learns from what all have seen, if it is time.
    pub(crate) async fn step(&self, ledger: &dyn Ledger) {
        let pause = if self.untold().is_empty() { QUIET_EXCHANGE } else { BUSY_EXCHANGE };
        {
            let mut exchanged = self.exchanged.lock().unwrap_or_else(PoisonError::into_inner);
            if exchanged.is_some_and(|last| last.elapsed() < pause) {
                return;
            }
            *exchanged = Some(Instant::now());
        }
        self.tell(ledger).await;
        match ledger.durations().await {
            Ok(known) => self.learn(&known),
            Err(error) => debug!(%error, "how long videos take could not be read"),
        }
    }

    /// Tells the ledger what was seen here. What it does not take is not told again.
    pub(crate) async fn tell(&self, ledger: &dyn Ledger) {
        let untold: Vec<_> = std::mem::take(&mut *self.untold()).into_iter().collect();
        if untold.is_empty() {
            return;
        }
        if let Err(error) = ledger.observe(&untold).await {
            debug!(%error, "how long videos took could not be stored");
        }
    }

    fn learn(&self, known: &[(VideoKind, Durations)]) {
        let learned = known.iter().filter_map(|(kind, known)| Some((kind.clone(), PollSchedule::learn(known)?)));
        let schedules = Arc::new(learned.collect());
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *policy = Arc::new(PollPolicy { schedules, ..PollPolicy::clone(&policy) });
    }

    fn untold(&self) -> MutexGuard<'_, BTreeMap<VideoKind, Durations>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
