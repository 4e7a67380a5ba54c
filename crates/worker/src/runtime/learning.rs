//! How long videos take: reported to the ledger, and learned from what all workers reported.
//!
//! Only a hint for polling: a process that is killed loses what it has not reported yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::debug;
use veobatch_core::{Durations, PollPolicy, PollSchedule, Record, Timestamp, VideoKind, duration};
use veobatch_ledger::{KINDS, Ledger, LedgerError, SharedLedger};

use crate::runtime::supervise::{IDLE_INTERVAL, PeriodicTask, SHORT_TICK_LIMIT};

/// Interval of exchanges with the ledger if nothing was seen here, and if something was: early in a run, a duration learned
/// ten seconds later still helps hundreds of polls.
const QUIET_EXCHANGE: Duration = Duration::from_secs(60);
const BUSY_EXCHANGE: Duration = Duration::from_secs(10);

/// What is known about how long videos take.
#[derive(Debug)]
pub(crate) struct Learning {
    policy: RwLock<Arc<PollPolicy>>,
    unreported: Mutex<BTreeMap<VideoKind, Durations>>,
    exchanged: Mutex<Option<Instant>>,
}

impl Learning {
    /// Nothing is known yet: polls follow `policy`.
    pub(crate) fn new(policy: PollPolicy) -> Self {
        Self { policy: RwLock::new(Arc::new(policy)), unreported: Mutex::default(), exchanged: Mutex::default() }
    }

    /// How often to poll, by what is known now.
    pub(crate) fn policy(&self) -> Arc<PollPolicy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A poll at `now` found the job's video finished.
    pub(crate) fn add(&self, record: &Record, now: Timestamp) {
        let Some(took) = duration(record, now) else { return };
        debug!(kind = record.kind.as_str(), ?took, "made");
        let mut unreported = self.unreported();
        if unreported.len() < KINDS || unreported.contains_key(&record.kind) {
            unreported.entry(record.kind.clone()).or_default().add(took);
        }
    }

    /// Reports what was seen here and learns from all workers, if it is time.
    pub(crate) async fn exchange(&self, ledger: &dyn Ledger) {
        let pause = if self.unreported().is_empty() { QUIET_EXCHANGE } else { BUSY_EXCHANGE };
        {
            let mut exchanged = self.exchanged.lock().unwrap_or_else(PoisonError::into_inner);
            if exchanged.is_some_and(|last| last.elapsed() < pause) {
                return;
            }
            *exchanged = Some(Instant::now());
        }
        self.report(ledger).await;
        match ledger.durations().await {
            Ok(known) => self.learn(&known),
            Err(error) => debug!(%error, "durations could not be read"),
        }
    }

    /// Reports what was seen here. What the ledger does not take is not reported again.
    pub(crate) async fn report(&self, ledger: &dyn Ledger) {
        let unreported: Vec<_> = std::mem::take(&mut *self.unreported()).into_iter().collect();
        if unreported.is_empty() {
            return;
        }
        if let Err(error) = ledger.observe(&unreported).await {
            debug!(%error, "durations could not be stored");
        }
    }

    fn learn(&self, known: &[(VideoKind, Durations)]) {
        let learned = known.iter().filter_map(|(kind, known)| Some((kind.clone(), PollSchedule::learn(known)?)));
        let schedules = Arc::new(learned.collect());
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *policy = Arc::new(PollPolicy { schedules, ..PollPolicy::clone(&policy) });
    }

    fn unreported(&self) -> MutexGuard<'_, BTreeMap<VideoKind, Durations>> {
        self.unreported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exchanges durations with the ledger.
#[derive(Debug)]
pub(crate) struct DurationExchange {
    pub(crate) ledger: SharedLedger,
    pub(crate) learning: Arc<Learning>,
}

#[async_trait]
impl PeriodicTask for DurationExchange {
    fn name(&self) -> &'static str {
        "exchange durations of videos"
    }

    fn time_limit(&self) -> Duration {
        SHORT_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        self.learning.exchange(self.ledger.as_ref()).await;
        Ok(IDLE_INTERVAL)
    }
}
