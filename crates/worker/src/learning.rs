//! How long videos take: told to the ledger for all machines, learned from what all of them told.
//!
//! Each look tells something, whether it finds a video made or not; it is no more than a hint, so it is added up here and told
//! now and then; what a process that is killed had not told is lost. What is learned is the policy by which all steps of this
//! process look at their tasks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use veobatch_core::{LifeTable, Policy, Record, Rhythms, Seen, Timestamp, VideoKind, ended, unfinished};
use veobatch_ledger::{KINDS, Ledger};

use crate::blocking;

/// Between two exchanges with the ledger, if little was seen.
const EXCHANGE: Duration = Duration::from_secs(60);

/// And if much was: as a night begins, what is known a minute later is of use for hundreds of videos.
const SOON: Duration = Duration::from_secs(10);

/// So many videos that ended are much.
const MUCH: u64 = 8;

/// What is known of how long videos take.
#[derive(Debug)]
pub(crate) struct Learning {
    policy: RwLock<Arc<Policy>>,
    untold: Mutex<BTreeMap<VideoKind, LifeTable>>,
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
    pub(crate) fn made(&self, record: &Record, now: Timestamp, reported: Option<Duration>) {
        let Some(seen) = ended(record, now, reported) else { return };
        debug!(kind = record.kind.as_str(), took = ?seen.to, ?reported, "made");
        self.add(&record.kind, &seen);
    }

    /// A look at `now` found that the job's video is still being made.
    pub(crate) fn running(&self, record: &Record, now: Timestamp) {
        if let Some(seen) = unfinished(record, now) {
            self.add(&record.kind, &seen);
        }
    }

    fn add(&self, kind: &VideoKind, seen: &Seen) {
        let mut untold = self.untold();
        if let Some(table) = untold.get_mut(kind) {
            table.add(seen);
        } else if untold.len() < KINDS {
            untold.entry(kind.clone()).or_default().add(seen);
        }
    }

    /// Tells the ledger what was seen here, and learns from what all have seen; now and then, however often it is called.
    pub(crate) async fn step(&self, ledger: &dyn Ledger) {
        let much = self.untold().values().any(|table| table.ended() >= MUCH);
        let due = {
            let mut exchanged = self.exchanged.lock().unwrap_or_else(PoisonError::into_inner);
            let due = exchanged.is_none_or(|last| last.elapsed() >= if much { SOON } else { EXCHANGE });
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
        let untold: Vec<_> = std::mem::take(&mut *self.untold()).into_iter().collect();
        if untold.is_empty() {
            return;
        }
        if let Err(error) = ledger.observe(&untold).await {
            debug!(%error, "what was seen of videos could not be told");
        }
    }

    async fn learn(&self, ledger: &dyn Ledger) {
        let tables = match ledger.life_tables().await {
            Ok(tables) => tables,
            Err(error) => return debug!(%error, "how long videos take could not be learned"),
        };
        // Some milliseconds of work for each kind of video.
        let Ok(rhythms) = blocking::run(move || Arc::new(Rhythms::learn(&tables))).await else { return };
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *policy = Arc::new(Policy { rhythms, ..Policy::clone(&policy) });
    }

    fn untold(&self) -> MutexGuard<'_, BTreeMap<VideoKind, LifeTable>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
