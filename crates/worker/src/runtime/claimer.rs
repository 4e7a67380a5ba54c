//! Claimers: a task per lane that takes free slots, claims at most that many jobs, and sends them to the lane.
//!
//! ```text
//! slot free ─▶ claim ─▶ bounded channel ─▶ lane ─▶ step ─▶ slot free
//! ```
//!
//! A claimer never fails: an outage of the ledger is waited out here, so that the lane behind it never learns of it.
//! The stop signal ends the claimers at once and their lanes after what is under way; a claim that is under way when
//! the signal comes is not cut off, since its answer may be a grant.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tracing::error;
use veobatch_core::Timestamp;
use veobatch_ledger::LedgerError;

use crate::lane::step::panic_words;
use crate::runtime::worker::Worker;

/// The ledger is looked at so often even if it promised nothing.
const LOOK: Duration = Duration::from_secs(1);

/// And not more often than this, should it promise something that does not come.
const BLINK: Duration = Duration::from_millis(5);

/// Whether the ledger is over for this process: it has another format, or its jobs were moved.
pub(crate) fn is_over(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Format { .. } | LedgerError::Moved { .. } | LedgerError::Importing)
}

/// Rests until `due` by the ledger's clock, a hint that something became due, or the next regular look.
///
/// Returns `false` if this worker is closing.
pub(crate) async fn rest(worker: &Worker, due: Option<Timestamp>) -> bool {
    let wait = match (due, worker.clock.now()) {
        (Some(due), Some(now)) => due.since(now).clamp(BLINK, LOOK),
        (None, _) | (_, None) => LOOK,
    };
    tokio::select! {
        biased;
        () = worker.shutdown.closing.cancelled() => false,
        () = tokio::time::sleep(wait) => true,
        () = worker.wake.notified() => true,
    }
}

/// Runs `task` to its end, again if it panicked: a lane without a claimer would be silent for ever.
pub(crate) async fn supervise<F: Future<Output = ()>>(task: impl Fn() -> F) {
    while let Err(panic) = AssertUnwindSafe(task()).catch_unwind().await {
        error!(words = %panic_words(panic.as_ref()), "a part of the worker panicked; it starts again");
        tokio::time::sleep(LOOK).await;
    }
}
