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

mod attempt;
mod attempts;
mod compact;
mod state;
mod stored;
mod stray;
mod strays;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::attempt::{Attempt, OpenAttempt};
pub use self::state::{Called, Comparison, Failed, Failure, FailureKind, Files, HistoryEntry, Intent, State, Task};
pub use self::stray::{Stray, StrayState};
use super::defaults::is_default;
use super::facets::{Facets, Flight, Lane};
use super::spec::kind::VideoKind;
use super::spec::{FORMAT_MAX_ATTEMPTS, Resolution, Spec};
use crate::money::Credits;
use crate::names::id::{TaskId, Token};
use crate::time::Timestamp;

/// How long a generation counts as in flight (docs/kie-api.md, section 11: hardly any video takes longer). Polling goes on.
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

fn format_max_attempts() -> u32 {
    FORMAT_MAX_ATTEMPTS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_format_max_attempts(count: &u32) -> bool {
    *count == FORMAT_MAX_ATTEMPTS
}
