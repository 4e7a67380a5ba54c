//! What is done again and again beside the lanes: each task by itself, with a name, a pause between two turns, and a limit
//! of one turn.
//!
//! ```text
//! turn ─▶ pause ─▶ turn ─▶ …            ends when the worker closes
//!   ├─ takes longer than its limit ─▶ cut off, said once; the next one tries again
//!   ├─ panics ──────────────────────▶ said; the next one tries again
//!   └─ the ledger is away ──────────▶ waited out
//! ```
//!
//! None waits for another. A file system that hangs (a network disk whose server is gone may hold a call for ever) stops
//! the one that looks at it and nothing else: not the day's budget, not the recovery of the ledger, not the end.

pub(crate) mod compaction;
pub(crate) mod daily_budget;
pub(crate) mod in_doubt_policy;
pub(crate) mod maintenance;
pub(crate) mod pending_strays;
pub(crate) mod recurrence;
pub(crate) mod schedules;
pub(crate) mod sweep;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use veobatch_ledger::LedgerError;

use crate::lane::step::panic_words;
use crate::runtime::backoff::Backoff;
use crate::runtime::worker::Worker;

/// After a turn that was cut off or panicked.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// What a turn that is under way at the end may still take, and what is done last.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// A periodic task.
#[async_trait]
pub(crate) trait PeriodicTask: Send {
    /// What it does, for the log.
    fn name(&self) -> &'static str;

    /// How long one turn may take. Whoever needs longer than that must not start from nothing each time.
    fn limit(&self) -> Duration;

    /// Does what is to be done, and says how long the pause may be. May be dropped at any await.
    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError>;

    /// The ledger was away.
    fn outage(&mut self, _worker: &Worker) {}

    /// Called once, at the end.
    async fn last(&mut self, _worker: &Worker) {}
}

/// Takes one turn after the other until `end`.
pub(crate) async fn run_periodically(worker: Arc<Worker>, mut duty: Box<dyn PeriodicTask>, end: CancellationToken) {
    let mut backoff = Backoff::until(end.clone());
    let mut is_stuck = false;
    while !end.is_cancelled() {
        let Some(turn) = until_the_end(&end, timeout(duty.limit(), guarded(duty.as_mut(), &worker))).await else {
            break;
        };
        let task = duty.name();
        let pause = match turn {
            Ok(Ok(Ok(pause))) => {
                is_stuck = false;
                backoff.succeeded();
                pause
            }
            Ok(Ok(Err(ledger))) => {
                duty.outage(&worker);
                backoff.wait(task, &ledger).await;
                Duration::ZERO
            }
            Ok(Err(words)) => {
                error!(task, %words, "a periodic task panicked; it starts again");
                AFTER_TROUBLE
            }
            Err(_) if std::mem::replace(&mut is_stuck, true) => {
                debug!(task, "a periodic task takes too long again");
                AFTER_TROUBLE
            }
            Err(_) => {
                warn!(task, limit = ?duty.limit(), "a periodic task takes too long; it is cut off, and starts again");
                AFTER_TROUBLE
            }
        };
        end.run_until_cancelled(sleep(pause)).await;
    }
    if timeout(LAST_WITHIN, duty.last(&worker)).await.is_err() {
        debug!(task = duty.name(), "not everything was done at the end");
    }
}

/// One turn, or the words of its panic.
async fn guarded(duty: &mut dyn PeriodicTask, worker: &Worker) -> Result<Result<Duration, LedgerError>, String> {
    AssertUnwindSafe(duty.turn(worker)).catch_unwind().await.map_err(|panic| panic_words(panic.as_ref()))
}

/// `work`, if it ends before or soon after `end`.
async fn until_the_end<T>(end: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = work => Some(result),
        () = async { end.cancelled().await; sleep(LAST_WITHIN).await } => None,
    }
}

#[cfg(test)]
#[path = "upkeep/tests.rs"]
mod tests;
