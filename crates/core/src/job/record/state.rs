//! Where a job is, with what is known there and only there. Values that are stored; nothing is decided here.

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use crate::job::defaults::is_default;
use crate::job::facets::StateName;
use crate::job::spec::Resolution;
use crate::money::{Balances, Credits};
use crate::names::JobKey;
use crate::names::id::{TaskId, Token};
use crate::time::Timestamp;

/// Where a job is, with what is known there and only there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for a slot, from `due` on if it is given.
    Queued {
        /// Not before this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// The paid call is under way, or was cut off.
    Submitting {
        /// Which attempt.
        attempt: Attempt,
    },
    /// The service is making the video.
    Generating {
        /// The paid task.
        task: Task,
        /// Polls so far.
        polls: u32,
        /// Polls since the task was last seen that did not find it, or not its video.
        #[serde(default, skip_serializing_if = "is_default")]
        misses: u32,
        /// The next poll.
        due: Timestamp,
        /// The service called back since the last poll was told; one that was under way then may not have seen why.
        #[serde(default, skip_serializing_if = "is_default")]
        called: bool,
    },
    /// The video is there; a larger version is being made.
    Upscaling {
        /// The paid task.
        task: Task,
        /// The base video, used if no larger one comes.
        base: Vec<String>,
        /// Since when.
        since: Timestamp,
        /// Answers so far that it is being made.
        tries: u32,
        /// The next asking.
        due: Timestamp,
    },
    /// The video is there and must be fetched.
    Downloading {
        /// The paid task.
        task: Task,
        /// Where from.
        urls: Vec<String>,
        /// The size the service promised for the first of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<Resolution>,
        /// The first of them came from an upgrade, so `record-info` does not know it.
        #[serde(default, skip_serializing_if = "is_default")]
        upgraded: bool,
        /// The links are refused or expired: ask `record-info` for new ones first.
        #[serde(default, skip_serializing_if = "is_default")]
        stale: bool,
        /// Failed tries so far.
        #[serde(default, skip_serializing_if = "is_default")]
        tries: u32,
        /// The next try; the first one is due since the submission, so that the oldest goes first.
        due: Timestamp,
    },
    /// The video is on disk, whole and checked.
    Done {
        /// The paid task.
        task: Task,
        /// What was written.
        files: Files,
    },
    /// The paid call's outcome is unknown. Nothing but evidence, a person or the policy of a person moves it.
    InDoubt {
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        why: String,
        /// What the service told by calling back for it, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        called: Option<Called>,
        /// The account's balance around it, once it was read. Nobody needs it any more once the doubt is settled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        balances: Option<Balances>,
        /// What the job had failed of when this doubt was raised, if it had: it fails of that again if the attempt turns out
        /// not to have been paid for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<Box<Failed>>,
    },
    /// Ended without a video.
    Failed {
        /// Why.
        failure: Failure,
        /// The task, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<Task>,
    },
    /// Ended by a person before anything was paid.
    Cancelled,
}

/// How a job ended without a video.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Why.
    #[serde(rename = "f")]
    pub failure: Failure,
    /// The task, if there was one.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
}

/// What the service told of an attempt in doubt by calling back: it was made. Which task it is must be compared first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// The task that it named, if it named one that could be the job's.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The check of that task, while it is still to be made. None: there is no task, or it was refused.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// A task whose record must be read before it is taken for the job's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Since when.
    #[serde(rename = "at")]
    pub since: Timestamp,
    /// How often it was not found.
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    pub misses: u32,
    /// The next poll.
    #[serde(rename = "d")]
    pub due: Timestamp,
}

/// What the ledger keeps beside the record while the paid call is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The attempt's token.
    pub token: Token,
    /// When it was written, by the ledger's clock.
    pub at: Timestamp,
    /// What all attempts of the job may have cost, this one included.
    pub credits: Credits,
}

/// A paid task of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    #[serde(rename = "i")]
    pub id: TaskId,
    /// The attempt that made it; its token is in [`super::Record::last`] as long as no later attempt was sent.
    #[serde(rename = "n")]
    pub attempt: u32,
    /// When it was submitted.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

/// The files of a finished job, relative to the output directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Files {
    /// This many, under the usual names: `<batch>/<job>.mp4`, `<job>.2.mp4` …
    Usual(u32),
    /// Under names that had to differ.
    Named(Vec<String>),
}

impl Files {
    /// Their names, relative to the output directory.
    pub fn names(&self, key: &JobKey) -> Vec<String> {
        match self {
            Self::Named(names) => names.clone(),
            Self::Usual(count) => {
                (1..=*count).map(|n| if n == 1 { format!("{key}.mp4") } else { format!("{key}.{n}.mp4") }).collect()
            }
        }
    }
}

/// Why a job ended without a video. A value that is stored and shown, not an error in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind; decides what `retry` may do.
    #[serde(rename = "k")]
    pub kind: FailureKind,
    /// The service's words, or ours.
    #[serde(rename = "m")]
    pub message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The submission was refused; nothing was paid.
    Refused,
    /// The service declared the task failed because of its content.
    Policy,
    /// The service declared the task failed.
    Generation,
    /// The service says the video is made, but there is none to fetch.
    NoOutput,
    /// The service no longer knows the task, or its video is past its retention.
    Lost,
    /// A person ended a job in doubt. It may have been paid for.
    GivenUp,
}

/// A change of state: when, and what happened in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry(pub Timestamp, pub String);

impl State {
    /// Its name.
    pub fn name(&self) -> StateName {
        match self {
            Self::Queued { .. } => StateName::Queued,
            Self::Submitting { .. } => StateName::Submitting,
            Self::Generating { .. } => StateName::Generating,
            Self::Upscaling { .. } => StateName::Upscaling,
            Self::Downloading { .. } => StateName::Downloading,
            Self::Done { .. } => StateName::Done,
            Self::InDoubt { .. } => StateName::InDoubt,
            Self::Failed { .. } => StateName::Failed,
            Self::Cancelled => StateName::Cancelled,
        }
    }
}
