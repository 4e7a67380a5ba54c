//! How and why this worker ends.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;
use tracing::error;
use veobatch_ledger::LedgerError;

use crate::{Stop, WorkError, WorkerExit};

/// Told by whoever finds out; looked at by everybody.
#[derive(Debug)]
pub(crate) struct Shutdown {
    /// No new claims.
    pub(crate) closing: CancellationToken,
    /// Calls under way are not waited for any more.
    pub(crate) now: CancellationToken,
    reason: OnceLock<Reason>,
}

#[derive(Debug)]
enum Reason {
    Finished,
    KeyRefused(String),
    Ledger(LedgerError),
}

impl Shutdown {
    pub(crate) fn of(stop: &Stop) -> Self {
        // Children: what ends this worker does not end what else the caller stops with the same tokens.
        Self { closing: stop.graceful.child_token(), now: stop.now.child_token(), reason: OnceLock::new() }
    }

    /// Nothing is left to do.
    pub(crate) fn finished(&self) {
        drop(self.reason.set(Reason::Finished));
        self.closing.cancel();
    }

    /// The service refuses the key for certain: nothing of this process can go on, and a person must act.
    pub(crate) fn key_refused(&self, words: &str) {
        if self.reason.set(Reason::KeyRefused(words.to_owned())).is_ok() {
            error!(%words, "the service refuses the API key: stopping");
        }
        self.closing.cancel();
    }

    /// The ledger has another format, or its jobs were moved: nothing of this process can be stored any more.
    pub(crate) fn outdated(&self, error: LedgerError) {
        let words = error.to_string();
        if self.reason.set(Reason::Ledger(error)).is_ok() {
            error!(%words, "the ledger cannot be used any more: stopping");
        }
        self.closing.cancel();
    }

    /// What [`crate::work`] returns.
    pub(crate) fn result(&self) -> Result<WorkerExit, WorkError> {
        match self.reason.get() {
            Some(Reason::Finished) => Ok(WorkerExit::Finished),
            Some(Reason::KeyRefused(words)) => Err(WorkError::KeyRefused(words.clone())),
            Some(Reason::Ledger(error)) => Err(WorkError::Ledger(error.clone())),
            None => Ok(WorkerExit::Stopped),
        }
    }
}
