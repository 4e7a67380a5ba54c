//! How and why this worker shuts down.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;
use tracing::error;
use veobatch_ledger::LedgerError;

use crate::options::{Stop, WorkError, WorkerExit};

/// Set by whoever finds a reason, observed by every part of the worker.
#[derive(Debug)]
pub(crate) struct Shutdown {
    /// No new claims.
    pub(crate) closing: CancellationToken,
    /// Do not wait for calls in progress.
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
        // Child tokens: what shuts this worker down must not stop anything else that the caller stops with the same tokens.
        Self { closing: stop.graceful.child_token(), now: stop.now.child_token(), reason: OnceLock::new() }
    }

    /// Nothing is left to do.
    pub(crate) fn finished(&self) {
        drop(self.reason.set(Reason::Finished));
        self.closing.cancel();
    }

    /// The service has refused the key twice: this process cannot continue, and a person must act.
    pub(crate) fn key_refused(&self, message: &str) {
        if self.reason.set(Reason::KeyRefused(message.to_owned())).is_ok() {
            error!(%message, "the service refuses the API key: stopping");
        }
        self.closing.cancel();
    }

    /// The ledger has another format, or its jobs were moved: this process can store nothing more in it.
    pub(crate) fn ledger_unusable(&self, error: LedgerError) {
        let message = error.to_string();
        if self.reason.set(Reason::Ledger(error)).is_ok() {
            error!(%message, "the ledger can no longer be used: stopping");
        }
        self.closing.cancel();
    }

    /// What [`crate::work`] returns.
    pub(crate) fn result(&self) -> Result<WorkerExit, WorkError> {
        match self.reason.get() {
            Some(Reason::Finished) => Ok(WorkerExit::Finished),
            Some(Reason::KeyRefused(message)) => Err(WorkError::KeyRefused(message.clone())),
            Some(Reason::Ledger(error)) => Err(WorkError::Ledger(error.clone())),
            None => Ok(WorkerExit::Stopped),
        }
    }
}

/// Whether this process can never use the ledger again: it has another format, or its jobs were moved.
pub(crate) fn is_permanent(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Format { .. } | LedgerError::Moved { .. } | LedgerError::Importing)
}
