//! What `status --json` and `jobs --json` say, as far as the contract goes.

use serde::Deserialize;

/// One batch of `status --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the states, by their names")]
pub struct Counts {
    pub batch: String,
    pub total: u64,
    pub queued: u64,
    pub submitting: u64,
    pub generating: u64,
    pub upscaling: u64,
    pub downloading: u64,
    pub done: u64,
    pub failed: u64,
    pub in_doubt: u64,
    pub cancelled: u64,
    pub paused: bool,
}

impl Counts {
    /// Jobs that were submitted, or may have been.
    pub fn sent(&self) -> u64 {
        self.total - self.queued - self.cancelled
    }

    /// Jobs that nothing but a person moves.
    pub fn settled(&self) -> u64 {
        self.done + self.failed + self.in_doubt + self.cancelled
    }
}

/// `status --json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) batches: Vec<Counts>,
}

/// One job of `jobs --json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, by their names")]
pub struct Job {
    pub batch: String,
    pub job: String,
    pub state: String,
    pub prompt: String,
    pub task_id: Option<String>,
    pub attempt: u32,
    pub files: Vec<String>,
    pub error: Option<String>,
}
