//! What can go wrong with the ledger, by what the caller can do about it.

use veobatch_core::{BatchId, JobKey};

/// Why the ledger did not do what it was asked for. Completes "failed to …:".
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// It could not be reached, or did not answer. It may have happened: ask again, the same way.
    #[error("the ledger cannot be reached: {0}")]
    Unavailable(String),
    /// The job was changed meanwhile: reload, reapply, put.
    #[error("the job was changed meanwhile")]
    Changed,
    /// The lease is no longer held.
    #[error("the lease on the job is no longer held")]
    LostLease,
    /// The task belongs to another job.
    #[error("task belongs to job {by} already")]
    TaskTaken {
        /// Which one.
        by: JobKey,
    },
    /// Another admission is staging into the batch.
    #[error("another `run` or `enqueue` is admitting jobs to batch {batch} right now")]
    Busy {
        /// Which batch.
        batch: BatchId,
    },
    /// The admission was taken for dead and dropped.
    #[error("this admission was dropped, because it staged nothing for a minute and another one came")]
    Dropped,
    /// No such batch.
    #[error("there is no batch {0}")]
    UnknownBatch(BatchId),
    /// Some of the batch's jobs are still to be paid for, followed, saved or settled.
    #[error("batch {0} has jobs that are queued, under way or in doubt, or due for a task beside their own")]
    Unsettled(BatchId),
    /// Bound to another API base or key.
    #[error("this ledger belongs to {what}")]
    Bound {
        /// "API base …" or "another API key".
        what: String,
    },
    /// A program that knows more has brought it to another format, or this one has not yet.
    #[error("the ledger has format {found}, and this program knows format {known}")]
    Format {
        /// What it says.
        found: String,
        /// What we know.
        known: u32,
    },
    /// Its format is an older one and cannot be brought to ours now. It was left as it is.
    #[error("the ledger has format {found} and cannot be brought to format {known} now: {why}")]
    Outdated {
        /// What it says.
        found: String,
        /// What we know.
        known: u32,
        /// What is in the way.
        why: String,
    },
    /// Its jobs were moved to another ledger, and it changes no more. It can be read.
    #[error("its jobs were moved to {to}, and it changes no more")]
    Moved {
        /// Where, as a person reads it.
        to: String,
    },
    /// It is the target of an import that has not come to its end.
    #[error("jobs are being imported into this ledger, and the import has not come to its end")]
    Importing,
    /// An export or an import is refused; completes itself.
    #[error("{0}")]
    Transfer(String),
    /// `SQLite`: another process works on this file.
    #[error("another worker process is working on this ledger")]
    WorkerPresent,
    /// The URL cannot be a ledger's.
    #[error("{0}")]
    Url(String),
    /// The job is there, and this program cannot read it. Others can be.
    #[error("this program cannot read job {key}: {why}")]
    Unreadable {
        /// Which one.
        key: JobKey,
        /// What cannot be read.
        why: String,
    },
    /// What is stored cannot be read, or the server refuses what we ask for.
    #[error("the ledger is damaged or refuses: {0}")]
    Damaged(String),
}

impl From<serde_json::Error> for LedgerError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
