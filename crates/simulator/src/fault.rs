//! What can go wrong between a client and the service, and when it does.
//!
//! A [`Rule`] says *what* (a [`Fault`]) and *when*: for the n-th request of its kind, for prompts with a certain text,
//! with a probability, so many times at most; a rule without any "when" always holds. The first rule that holds is
//! the one that counts. For a submission it also says on which side of the acceptance it happens: before (nothing was
//! made, nothing is charged) or after (the task exists and is paid for, and the client cannot know).

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// The rules for each kind of request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Submissions: generate and extend, counted together as they arrive, from 1.
    pub submit: Vec<Rule>,
    /// Status polls, counted for each task from 1.
    pub poll: Vec<Rule>,
    /// Requests for 1080p and 4k, counted for each task from 1.
    pub upgrade: Vec<Rule>,
    /// Requests for a file (not `HEAD`), counted for each task from 1.
    pub download: Vec<Rule>,
    /// Balance and download links, counted together from 1.
    pub other: Vec<Rule>,
}

impl Faults {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Rule> {
        [&self.submit, &self.poll, &self.upgrade, &self.download, &self.other].into_iter().flatten()
    }

    pub(crate) fn of(&self, kind: FaultKind) -> &[Rule] {
        match kind {
            FaultKind::Submit => &self.submit,
            FaultKind::Poll => &self.poll,
            FaultKind::Upgrade => &self.upgrade,
            FaultKind::Download => &self.download,
            FaultKind::Other => &self.other,
        }
    }
}

/// The kinds of requests that have rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    Submit,
    Poll,
    Upgrade,
    Download,
    Other,
}

/// One way for a request to go wrong, and when it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// For [`Fault::Code`], [`Fault::Html`], [`Fault::Status`] and [`Fault::Redirect`]: which one. Default: 500, 502,
    /// 404 and 302.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// For [`Fault::Stall`] and [`Fault::Trickle`]: how long. Default: 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Only for these requests of their kind, counted from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nth: Vec<u64>,
    /// Only for tasks whose prompt contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Only with this probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// At most so many times since the rules were last changed or the service was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// For submissions: the task is made and charged, and only then the fault happens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_accepting: bool,
}

impl Rule {
    /// A rule that always holds.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            code: None,
            delay_ms: None,
            nth: Vec::new(),
            prompt: None,
            probability: None,
            times: None,
            after_accepting: false,
        }
    }

    /// A rule for these requests of their kind, counted from 1.
    #[must_use]
    pub fn nth(fault: Fault, nth: impl IntoIterator<Item = u64>) -> Self {
        Self { nth: nth.into_iter().collect(), ..Self::always(fault) }
    }

    /// A rule that holds with this probability.
    #[must_use]
    pub fn chance(fault: Fault, probability: f64) -> Self {
        Self { probability: Some(probability), ..Self::always(fault) }
    }

    /// The same, with this code.
    #[must_use]
    pub fn code(self, code: u16) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The same, with this delay.
    #[must_use]
    pub fn delay_ms(self, delay_ms: u64) -> Self {
        Self { delay_ms: Some(delay_ms), ..self }
    }

    /// The same, only for tasks whose prompt contains this.
    #[must_use]
    pub fn prompt(self, prompt: impl Into<String>) -> Self {
        Self { prompt: Some(prompt.into()), ..self }
    }

    /// The same, at most so many times.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The same, but after the task was made and charged.
    #[must_use]
    pub fn after_accepting(self) -> Self {
        Self { after_accepting: true, ..self }
    }

    /// Whether the rule holds on this occasion, when it has held `used` times.
    pub(crate) fn holds(&self, occasion: &Occasion<'_>, used: u64, rng: &mut Rng) -> bool {
        let roll = rng.fraction(); // always drawn, so that one rule's filter does not change another's luck
        let is_early = self.fault == Fault::Unread && !self.after_accepting;
        is_early == occasion.is_early
            && self.times.is_none_or(|times| used < times)
            && (self.nth.is_empty() || self.nth.contains(&occasion.nth))
            && self.prompt.as_ref().is_none_or(|part| occasion.prompt.contains(part.as_str()))
            && self.probability.is_none_or(|chance| roll < chance)
    }
}

/// A request that rules are held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    /// Its number among its kind, from 1.
    pub(crate) nth: u64,
    /// The prompt of its task.
    pub(crate) prompt: &'a str,
    /// What tells it from requests of the same kind and number: the task's submission.
    pub(crate) key: u64,
    /// Whether its body is still unread; only [`Fault::Unread`] happens then, and only then.
    pub(crate) is_early: bool,
}

/// What can happen to a request or to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A submission's connection ends before its body was read. Knows no `prompt` therefore.
    Unread,
    /// The connection ends without an answer.
    Close,
    /// The connection is reset (RST) without an answer.
    Reset,
    /// The connection ends in the middle of the answer.
    Half,
    /// There is never an answer; the connection stays open.
    Hang,
    /// The answer comes, after `delay_ms`.
    Stall,
    /// An error in the API's own envelope: `code` (default 500).
    Code,
    /// A page for people, with the HTTP status `code` (default 502; 200 is possible too).
    Html,
    /// A bare HTTP status `code` (default 404) with an XML body, as a file store sends it.
    Status,
    /// HTTP 200 with something that is almost JSON.
    NotJson,
    /// HTTP 200 without a body.
    Empty,
    /// HTTP 302 (or `code`) to another place on the same host, which serves the same.
    Redirect,
    /// A download ends early: the length is right, the connection closes at two thirds.
    Truncate,
    /// A download is reset (RST) midway.
    ResetMidway,
    /// A download is shorter than the file, and its length says so too.
    WrongLength,
    /// A download has the right length and the wrong bytes.
    Corrupt,
    /// A download in drops: its pieces are spread over `delay_ms`.
    Trickle,
}

impl Fault {
    /// Whether the client learns what a clean answer would have told it.
    pub(crate) fn delivers(self) -> bool {
        matches!(self, Self::Stall | Self::Trickle)
    }
}
