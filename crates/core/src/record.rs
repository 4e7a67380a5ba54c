//! The mutable part of a job, as it is stored.
//!
//! ```text
//! queued ─▶ submitting ══▶ generating ─▶ (upscaling) ─▶ downloading ─▶ done
//!    ▲          │ ║            │              └─ degrade ──▲  │
//!    └─refused──┘ ║            └──────────▶ failed ◀──────────┘
//!    ▲            ╚▶ in_doubt ─▶ generating (late evidence, a callback's task, resolve)
//!    └── a new attempt: only by the service's own word that the last one failed, or a person's (or his `--in-doubt`)
//! ```
//!
//! `══▶` is where money is spent. `submitting` is never written here: the ledger's claim sets an *intent* beside the
//! record, and [`Record::load`] reads it as the state. A job found there by anyone but the intent's writer was cut off
//! mid-call, may have been charged, and is never resubmitted by itself.

mod attempts;
mod compact;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::attempts::{Attempt, OpenAttempt};
use self::compact::Short;
use crate::balances::Balances;
use crate::facets::{Facets, Flight, Lane, StateName};
use crate::id::{TaskId, Token};
use crate::kind::VideoKind;
use crate::name::JobKey;
use crate::price::Credits;
use crate::spec::{Resolution, Spec};
use crate::stray::Stray;
use crate::time::Timestamp;
use crate::work_policy::FORMAT_MAX_ATTEMPTS;

/// How long a generation counts as in flight (kie-api.md, section 11: hardly any video takes longer). Polling goes on.
pub const SOFT_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// Most history entries that are kept; the oldest ones after the first go.
const MAX_HISTORY: usize = 24;

/// One job's life so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where it is.
    #[serde(rename = "s")]
    pub state: State,
    /// Attempts that were, or may have been, sent and not refused.
    #[serde(rename = "a", default, skip_serializing_if = "is_default")]
    pub attempts: u32,
    /// The last attempt that was, or may have been, sent.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Attempt>,
    /// The task of the last attempt, once the service declared it failed and another attempt is due.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub failed_task: Option<TaskId>,
    /// How many attempts may be paid for. From the spec, until its file says otherwise.
    #[serde(rename = "n", default = "format_max_attempts", skip_serializing_if = "is_format_max_attempts")]
    pub max_attempts: u32,
    /// The size asked for. From the spec.
    #[serde(rename = "r", default, skip_serializing_if = "is_default")]
    pub resolution: Resolution,
    /// Orders the queue. From the spec, until its file or a person says otherwise.
    #[serde(rename = "y", default, skip_serializing_if = "is_default")]
    pub priority: i16,
    /// What its attempts may have cost so far, by the prices at their claims; refused ones cost nothing.
    #[serde(rename = "q", default, skip_serializing_if = "is_default")]
    pub credits: Credits,
    /// What is to be made. From the spec; not kept once the job is compact.
    #[serde(rename = "v", default, skip_serializing_if = "is_default")]
    pub kind: VideoKind,
    /// Cancelled by a person: no further attempt, whatever happens to this one.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub cancelled: bool,
    /// What is in the way, in words; cleared by the next step that succeeds.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Tasks that were paid for beside the job's own.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<Stray>,
    /// Attempts that may have been paid for beside the one that the state is about: a journal told of them after the
    /// ledger had forgotten them. Oldest first.
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenAttempt>,
    /// Attempts that were in doubt when the job was submitted again: what still comes for them is known by these.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Token>,
    /// The other attempts that ended, [`Record::last`] aside: what is told of them late, or again, is known by these. Oldest
    /// first, at most 32; a compact record has none.
    #[serde(rename = "z", default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Token>,
    /// Changes of state, oldest first.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

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
    /// The task is still to be looked up. None: there is none, or it was refused.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// A task that is to be looked up before it is taken for the job's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Since when.
    #[serde(rename = "at")]
    pub since: Timestamp,
    /// How often it was not found.
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    pub misses: u32,
    /// The next look.
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
    /// The attempt that made it; its token is in [`Record::last`] as long as no later attempt was sent.
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

impl Record {
    /// The record of a job that nothing has happened to.
    pub fn fresh(spec: &Spec) -> Self {
        Self {
            state: State::Queued { due: None },
            attempts: 0,
            last: None,
            failed_task: None,
            max_attempts: spec.policy.max_attempts,
            resolution: spec.resolution,
            priority: spec.policy.priority,
            credits: Credits::default(),
            kind: VideoKind::of(spec),
            cancelled: false,
            trouble: None,
            strays: Vec::new(),
            open: Vec::new(),
            earlier: Vec::new(),
            ended: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Reads what the ledger stores: the body (absent until the first change) and the intent beside it.
    ///
    /// `spec` is needed only where there is no body.
    pub fn load(body: Option<&[u8]>, intent: Option<Intent>, spec: &Spec) -> Result<Self, serde_json::Error> {
        let mut record = match body {
            Some(body) if Short::is(body) => Short::read(body)?,
            Some(body) => serde_json::from_slice(body)?,
            None => Self::fresh(spec),
        };
        if let Some(Intent { token, at, credits }) = intent {
            let (number, price) = (record.attempts + 1, credits.saturating_sub(record.credits));
            record.state = State::Submitting { attempt: Attempt { token, number, at, price } };
            record.credits = credits;
        }
        Ok(record)
    }

    /// The body to store. The intent is the ledger's: `submitting` is stored as `queued` beneath it.
    pub fn body(&self) -> Vec<u8> {
        let bytes = match &self.state {
            State::Submitting { attempt } => {
                let credits = self.credits.saturating_sub(attempt.price);
                serde_json::to_vec(&Self { state: State::Queued { due: None }, credits, ..self.clone() })
            }
            State::Queued { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::Done { .. }
            | State::InDoubt { .. }
            | State::Failed { .. }
            | State::Cancelled => serde_json::to_vec(self),
        };
        bytes.unwrap_or_default()
    }

    /// The few facts the ledger may index by.
    pub fn facets(&self) -> Facets {
        let (due, flight) = match &self.state {
            State::Queued { due } => (due.map(|at| (Lane::Submit, at)), Flight::None),
            State::Submitting { .. } => (None, Flight::Unlimited),
            State::Generating { task, due, .. } => (Some((Lane::Follow, *due)), Flight::Until(task.at + SOFT_DEADLINE)),
            State::Upscaling { due, .. } => (Some((Lane::Follow, *due)), Flight::None),
            State::Downloading { due, .. } => (Some((Lane::Save, *due)), Flight::None),
            State::InDoubt { attempt, called, .. } => {
                let comparison = called.as_ref().and_then(|called| called.comparison.as_ref());
                let due = comparison.map(|comparison| (Lane::Follow, comparison.due));
                (due, Flight::Until(attempt.at + SOFT_DEADLINE))
            }
            State::Done { .. } | State::Failed { .. } | State::Cancelled => (None, Flight::None),
        };
        // What the job itself needs goes first.
        let due = due.or_else(|| self.next_stray().and_then(Stray::due));
        Facets { state: self.state.name(), due, priority: self.priority, flight, credits: self.credits }
    }

    /// The present task, or the one that the job ended with.
    pub fn task(&self) -> Option<&Task> {
        match &self.state {
            State::Generating { task, .. }
            | State::Upscaling { task, .. }
            | State::Downloading { task, .. }
            | State::Done { task, .. } => Some(task),
            State::Failed { task, .. } => task.as_ref(),
            State::Queued { .. } | State::Submitting { .. } | State::InDoubt { .. } | State::Cancelled => None,
        }
    }

    /// The task whose failure ended the job before it came to be in doubt about another attempt.
    pub(crate) fn failed_before(&self) -> Option<&Failed> {
        match &self.state {
            State::InDoubt { failed, .. } => failed.as_deref(),
            State::Queued { .. }
            | State::Submitting { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::Done { .. }
            | State::Failed { .. }
            | State::Cancelled => None,
        }
    }

    pub(crate) fn note(&mut self, at: Timestamp, words: impl Into<String>) {
        if self.history.len() >= MAX_HISTORY {
            self.history.remove(1);
        }
        self.history.push(HistoryEntry(at, words.into()));
    }
}

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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn format_max_attempts() -> u32 {
    FORMAT_MAX_ATTEMPTS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_format_max_attempts(count: &u32) -> bool {
    *count == FORMAT_MAX_ATTEMPTS
}
