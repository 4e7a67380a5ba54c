//! Long-running and periodic tasks, each supervised on its own: a name, an interval and a time limit per tick.
//!
//! ```text
//! tick ─▶ wait ─▶ tick ─▶ …                     ends when the worker shuts down
//!   ├─ exceeds its time limit ─▶ cancelled and logged once; the next tick tries again
//!   ├─ panics ─────────────────▶ logged; the next tick tries again
//!   └─ ledger unavailable ─────▶ retried with backoff
//! ```
//!
//! No task waits for another. A file system that hangs (a network disk whose server is gone may block a call for ever)
//! stops only the task that uses it: not the daily budget, not the recovery of the ledger, not shutdown.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use veobatch_ledger::LedgerError;

use crate::runtime::backoff::Backoff;

/// Wait after a tick that was cancelled or panicked.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a running tick may still take once the worker shuts down, and how long the final step may take.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Time limit for a tick that makes a few ledger calls.
pub(crate) const SHORT_TICK_LIMIT: Duration = Duration::from_secs(30);

/// Time limit for a tick that may go through a whole batch.
pub(crate) const LONG_TICK_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Interval of tasks that nobody waits for.
pub(crate) const IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// A periodic task.
#[async_trait]
pub(crate) trait PeriodicTask: Send {
    /// What it does, for the log.
    fn name(&self) -> &'static str;

    /// How long one tick may take. Work that may take longer must be resumable by the next tick.
    fn time_limit(&self) -> Duration;

    /// Does one round of work and returns the interval until the next. May be dropped at any await.
    async fn tick(&mut self) -> Result<Duration, LedgerError>;

    /// Called when a tick failed because the ledger was unavailable.
    fn on_outage(&mut self) {}

    /// Called once, when the worker shuts down.
    async fn on_shutdown(&mut self) {}
}

/// Runs `task` tick by tick until `end`.
pub(crate) async fn run_periodically(mut task: Box<dyn PeriodicTask>, end: CancellationToken) {
    let mut backoff = Backoff::until(end.clone());
    let mut is_stuck = false;
    while !end.is_cancelled() {
        let Some(tick) = with_grace(&end, timeout(task.time_limit(), caught(task.as_mut()))).await else {
            break;
        };
        let name = task.name();
        let wait = match tick {
            Ok(Ok(Ok(interval))) => {
                is_stuck = false;
                backoff.succeeded();
                interval
            }
            Ok(Ok(Err(ledger))) => {
                task.on_outage();
                backoff.wait(name, &ledger).await;
                Duration::ZERO
            }
            Ok(Err(message)) => {
                error!(task = name, %message, "a periodic task panicked; it will run again");
                RETRY_AFTER
            }
            Err(_) if std::mem::replace(&mut is_stuck, true) => {
                debug!(task = name, "a periodic task exceeded its time limit again");
                RETRY_AFTER
            }
            Err(_) => {
                let limit = task.time_limit();
                warn!(task = name, ?limit, "a periodic task exceeded its time limit; cancelled, it will run again");
                RETRY_AFTER
            }
        };
        end.run_until_cancelled(sleep(wait)).await;
    }
    if timeout(SHUTDOWN_LIMIT, task.on_shutdown()).await.is_err() {
        debug!(task = task.name(), "a periodic task could not finish its work at shutdown");
    }
}

/// One tick, or the message of its panic.
async fn caught(task: &mut dyn PeriodicTask) -> Result<Result<Duration, LedgerError>, String> {
    AssertUnwindSafe(task.tick()).catch_unwind().await.map_err(|panic| panic_message(panic.as_ref()))
}

/// The result of `work`, if it completes before `end` or within [`SHUTDOWN_LIMIT`] after it.
async fn with_grace<T>(end: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = work => Some(result),
        () = async { end.cancelled().await; sleep(SHUTDOWN_LIMIT).await } => None,
    }
}

/// Runs `task` to its end, restarting it if it panics: a lane without a claimer would stall silently.
pub(crate) async fn supervise<F: Future<Output = ()>>(task: impl Fn() -> F) {
    while let Err(panic) = AssertUnwindSafe(task()).catch_unwind().await {
        error!(message = %panic_message(panic.as_ref()), "a part of the worker panicked; restarting it");
        sleep(RETRY_AFTER).await;
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
#[path = "supervise/tests.rs"]
mod tests;
