//! What can happen to a job.

mod outcome;

pub use self::outcome::{Outcome, Progress, Refusal, RefusalKind, TaskFailure, Trouble, TroubleKind, Upgrade};
use crate::job::doubt::Presumption;
use crate::job::record::Files;
use crate::job::spec::Resolution;
use crate::job::spec::Restated;
use crate::money::Balances;
use crate::names::id::{TaskId, Token};

/// One thing that happened. Those that carry a token need no lease: they are evidence, whoever brings it and whenever.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The paid call of this attempt ended; told by the worker that made it, or by a journal.
    Submission {
        /// Which attempt.
        token: Token,
        /// How it ended.
        outcome: Outcome,
    },
    /// The service called back for this attempt: a hint that something can be learned, never the truth itself.
    CalledBack {
        /// Which attempt, as the URL said.
        token: Token,
        /// Which task, if the body said.
        task: Option<TaskId>,
    },
    /// The task that a callback named for an attempt in doubt was looked up, to see whether it is this job's.
    Compared {
        /// Which attempt.
        token: Token,
        /// Which task.
        task: TaskId,
        /// What it is.
        found: TaskMatch,
    },
    /// A policy (`--in-doubt`) presumes that a job in doubt was not made, or prefers to pay again.
    Presumed {
        /// Which attempt.
        token: Token,
        /// Which policy, and why.
        because: Presumption,
    },
    /// The account's balance was read around this attempt, which is in doubt: evidence for a person.
    BalanceRead {
        /// Which attempt.
        token: Token,
        /// What is known of it.
        balances: Balances,
    },
    /// Found in `submitting` by a lease holder that did not write its intent.
    Orphaned,
    /// A poll of this task was answered.
    Polled {
        /// Which task.
        task: TaskId,
        /// With what.
        progress: Progress,
    },
    /// A larger version of this task's video was asked for.
    Upgraded {
        /// Which task.
        task: TaskId,
        /// Which size.
        to: Resolution,
        /// With what answer.
        upgrade: Upgrade,
    },
    /// `record-info` named the links of a finished task anew.
    Relinked {
        /// Which task.
        task: TaskId,
        /// The links.
        urls: Vec<String>,
    },
    /// The video is on disk, whole, checked, synced and renamed.
    Saved {
        /// Which task.
        task: TaskId,
        /// What was written.
        files: Files,
        /// What a person should know about it (the wrong shape, a smaller size).
        remark: Option<String>,
    },
    /// Saving did not succeed this time.
    NotSaved {
        /// Which task.
        task: TaskId,
        /// What is in the way.
        why: SaveError,
    },
    /// A step ended without an answer of its own (a panic, or deliveries without a put).
    Stuck {
        /// In words.
        why: String,
        /// How often in a row.
        deliveries: u32,
    },
    /// A person wants no (further) attempt.
    Cancel,
    /// A person wants it tried again, from the furthest paid point.
    Retry,
    /// A person gives it another rank among the queued jobs of its batch.
    Prioritize(i16),
    /// Its file says otherwise than before how to work at it.
    Restated(Restated),
    /// A person settles a job in doubt.
    Resolve(Verdict),
}

/// Whether a task is the job's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskMatch {
    /// The service knows it, and reports the job's prompt or none.
    Ours,
    /// It is somebody else's, in words.
    Another(String),
    /// The service does not know it: not yet, or never.
    Missing(String),
    /// Nothing was learned.
    Trouble(Trouble),
}

/// What keeps a video from being saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveError {
    /// The link is refused or expired: ask for a new one.
    Link(String),
    /// The file host or the network.
    Transfer(String),
    /// What came is not a whole video.
    Content(String),
    /// Our disk or directory.
    Disk(String),
}

impl SaveError {
    /// Its words, and whether new links may help, after so many failed tries.
    pub(crate) fn weighed(&self, tries: u32) -> (&str, bool) {
        match self {
            Self::Link(words) => (words, true),
            Self::Content(words) => (words, tries > 0),
            Self::Transfer(words) | Self::Disk(words) => (words, false),
        }
    }
}

/// How a person settles a job in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was made: this is its task.
    Adopt(TaskId),
    /// Pay for it, possibly again.
    Resubmit,
    /// Let it go.
    GiveUp,
}
