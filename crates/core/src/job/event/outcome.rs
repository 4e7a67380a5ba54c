//! What the service said, in our words. Made by the API client, read by the state table; nothing in between.
//!
//! The outcome of the paid call has three classes and no fourth: accepted, refused (or provably never sent), unknown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::spec::Resolution;
use crate::names::id::TaskId;
use crate::time::Timestamp;

/// What became of one paid call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is a task id, whatever the code beside it said. It is paid for.
    Accepted(TaskId),
    /// The service said no, with a code that is on the list of definite refusals. Nothing was paid.
    Refused(Refusal),
    /// It is provable that no byte of the request left: nothing was paid.
    NotSent(String),
    /// Everything else. It may have been paid for, so it is never submitted again by itself.
    Unknown(String),
}

/// A definite no to a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whose fault it is, and so what to do.
    pub kind: RefusalKind,
    /// The service's code.
    pub code: u16,
    /// The service's words.
    pub message: String,
    /// How long the service asked us to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// Why a submission was refused (docs/kie-api.md, section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// This job will never be accepted as it is: 400, 404, 422, 451, 505.
    Job,
    /// Too many submissions: 429, 430. Nothing is wrong with the job.
    RateLimited,
    /// Maintenance or a full queue on their side: 455, 550.
    Busy,
    /// The account's credits or the key's own cap are used up: 402, 433.
    NoCredits,
    /// The key is wrong, or not allowed from here: 401, and 403 in the service's own words.
    KeyRefused,
}

/// What a poll of a task said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not finished.
    Running,
    /// The video is there, at these URLs, the first one being the product.
    Made {
        /// Where the videos are, in the service's order; never empty.
        urls: Vec<String>,
        /// The size of the first one, as the service says or its picture shows; if nobody knows it, none that is larger is
        /// bought.
        resolution: Option<Resolution>,
    },
    /// Finished, the service says, but with no video to fetch.
    NoOutput,
    /// The service declared the attempt failed: nothing will come of it.
    Failed(TaskFailure),
    /// The service does not know the task: not yet, or no more.
    Missing(String),
    /// Nothing was learned.
    Trouble(Trouble),
}

/// The service's word that a task failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// Its code, if it gave one.
    pub code: Option<u16>,
    /// Its words.
    pub message: String,
    /// True if the content was refused (400, 451, a policy text): another attempt would end the same way.
    pub policy: bool,
}

/// What asking for a larger version of a finished video said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// It is there.
    Ready(String),
    /// It is being made.
    Waiting(String),
    /// There will be none; the base video is all there is.
    Unavailable(String),
    /// It was not asked for: the account's pace leaves no room for the call before then.
    NotAsked(Timestamp),
    /// Nothing was learned.
    Trouble(Trouble),
}

/// Why a call that spends nothing taught us nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind, and so what to do.
    pub kind: TroubleKind,
    /// In words.
    pub message: String,
    /// How long the service asked us to wait.
    pub retry_after: Option<Duration>,
}

/// Kinds of trouble with a call that spends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// Network, timeout, an unreadable answer, a server error.
    Transport,
    /// 429, 430.
    RateLimited,
    /// 455, 550.
    Busy,
    /// 401, and 403 in the service's own words. One such answer may be a mistake: it is confirmed before anything ends.
    KeyRefused,
    /// 403 from something in front of the service, a firewall's page for instance. Says nothing of the key.
    Blocked,
}
