//! A task that was paid for beside its job's own: by an attempt that a late answer or a callback told of after the job had
//! moved on. It is followed and saved, under a name of its own, and nothing that becomes of it moves the job.
//!
//! ```text
//! awaited ─▶ made ─▶ saved
//!     └───────┴─▶ gone        by the service's word, or after the retention
//! ```
//!
//! A job is due in one lane at a time, so its strays wait until it needs no lane of its own: done, failed, cancelled, or in
//! doubt with nothing to compare. No larger version is asked for: that would be a further payment.

use serde::{Deserialize, Serialize};

use super::state::{Files, Task};
use crate::job::facets::Lane;
use crate::names::id::{TaskId, Token};
use crate::time::Timestamp;

/// A task that was paid for by an attempt which is not the job's present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// Its id.
    #[serde(rename = "i")]
    pub task: TaskId,
    /// The token that named it.
    #[serde(rename = "t")]
    pub token: Token,
    /// When it became known.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// What became of it.
    #[serde(rename = "f", default, skip_serializing_if = "StrayState::is_new")]
    pub fate: StrayState,
    /// What is in the way, in words.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What became of a stray.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrayState {
    /// The service is making it, as far as is known.
    Awaited {
        /// Polls in a row that did not find it, or not its video.
        misses: u32,
        /// The next poll.
        due: Timestamp,
    },
    /// The video is there and must be fetched.
    Made {
        /// Where from.
        urls: Vec<String>,
        /// The links are refused or expired: ask for new ones first.
        stale: bool,
        /// Failed tries so far.
        tries: u32,
        /// The next try.
        due: Timestamp,
    },
    /// The video is on disk, whole and checked, under these names.
    Saved(Files),
    /// Nothing will come of it, for this reason.
    Gone(String),
}

impl Stray {
    /// A task of which only the id is known; due as soon as its job needs no lane of its own.
    pub fn new(task: TaskId, token: Token, at: Timestamp) -> Self {
        Self { task, token, at, fate: StrayState::default(), trouble: None }
    }

    /// When and in which lane something is to be done about it; `None` if nothing is.
    pub fn due(&self) -> Option<(Lane, Timestamp)> {
        match self.fate {
            StrayState::Awaited { due, .. } => Some((Lane::Follow, due)),
            StrayState::Made { due, .. } => Some((Lane::Save, due)),
            StrayState::Saved(_) | StrayState::Gone(_) => None,
        }
    }

    /// As a task. It counts as submitted when it became known: later than it was, so it is given up too late at most.
    pub(crate) fn as_task(&self) -> Task {
        Task { id: self.task.clone(), attempt: 0, at: self.at }
    }
}

impl StrayState {
    /// Whether it was paid for in vain, as far as is known.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_))
    }

    fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

/// Due since ever.
impl Default for StrayState {
    fn default() -> Self {
        Self::Awaited { misses: 0, due: Timestamp::default() }
    }
}
