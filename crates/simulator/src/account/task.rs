//! One task of the service: what was asked for, and what will become of it.
//!
//! A task's whole fate is decided when it is accepted, by the rng of its number. Nothing happens to it later: whether
//! it is done is a comparison of its end with the clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Generation;
use crate::fault::Fault;
use crate::rng::Rng;
use crate::video::Movie;
use crate::video::shape::{Ratio, Resolution};

/// A task as it is kept, in memory and in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// Number of the submission, from 1, refused ones included.
    pub(crate) submission: u64,
    pub(crate) kind: TaskKind,
    pub(crate) prompt: String,
    pub(crate) model: String,
    pub(crate) ratio: Ratio,
    pub(crate) resolution: Resolution,
    pub(crate) seconds: u32,
    /// The request's body, as it was received.
    pub(crate) fields: String,
    /// The task that was extended.
    pub(crate) source: Option<String>,
    pub(crate) callback: Option<String>,
    pub(crate) price: u64,
    pub(crate) accepted_ms: u64,
    /// When it ends; `u64::MAX` for never.
    pub(crate) finish_ms: u64,
    pub(crate) outcome: Outcome,
    /// Whether its price comes back at the end.
    pub(crate) refund: bool,
    /// What happened to the answer to its submission.
    pub(crate) fault: Option<Fault>,
}

/// Which request made the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// `/api/v1/veo/generate`
    Generate,
    /// `/api/v1/veo/extend`
    Extend,
}

/// How a task ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Video,
    /// Success without a link.
    Nothing,
    Failed {
        /// `successFlag`: 2 or 3.
        flag: u8,
        code: u16,
        message: String,
    },
    Never,
}

/// What a task shows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It is being generated.
    Generating,
    /// It ended with a video (or with a success that has none).
    Succeeded,
    /// It ended without one.
    Failed,
}

impl Task {
    pub(crate) fn state(&self, now_ms: u64) -> TaskState {
        if now_ms < self.finish_ms {
            return TaskState::Generating;
        }
        match self.outcome {
            Outcome::Video | Outcome::Nothing => TaskState::Succeeded,
            Outcome::Failed { .. } => TaskState::Failed,
            Outcome::Never => TaskState::Generating,
        }
    }

    /// The `index`-th of its videos, in this resolution. `joined` is the whole movie of an extension.
    pub(crate) fn movie(&self, index: u32, resolution: Resolution, joined: bool, bytes: usize) -> Movie {
        let (width, height) = resolution.pixels(self.ratio);
        let whole = if joined { "joined " } else { "" };
        Movie {
            name: format!("{} {index} {whole}{}", self.id, resolution.word()),
            width,
            height,
            seconds: if joined { self.seconds * 2 } else { self.seconds },
            bytes,
        }
    }
}

/// Decides how the task of a submission ends, and after what time.
pub(crate) fn fate(generation: &Generation, seed: u64, submission: u64, prompt: &str) -> (Outcome, Option<Duration>) {
    let mut rng = Rng::new(seed, "fate", submission);
    let time = rng.log_normal(Duration::from_millis(generation.median_ms), generation.sigma);
    let mut happens = |marker: &str, share: f64| rng.chance(share) || prompt.contains(marker);
    let stuck = happens("[stuck]", generation.stuck);
    let refused = happens("[refuse]", generation.refused);
    let failed = happens("[fail]", generation.failed);
    let blank = happens("[no-output]", generation.no_output);
    let outcome = match (stuck, refused, failed, blank) {
        (true, ..) => return (Outcome::Never, None),
        (_, true, ..) => refusal(),
        (_, _, true, _) => failure(rng.below(3)),
        (.., true) => Outcome::Nothing,
        _ => Outcome::Video,
    };
    (outcome, Some(time))
}

fn refusal() -> Outcome {
    Outcome::Failed {
        flag: 2,
        code: 400,
        message: "Your prompt was flagged by Website as violating content policies.".to_owned(),
    }
}

fn failure(which: u64) -> Outcome {
    let (flag, code, message) = match which {
        0 => {
            (2, 422, "Your request was rejected by Flow(INTERNAL). You may consider using our other fallback channels.")
        }
        1 => (2, 500, "Internal Error - Timeout"),
        _ => (3, 501, "Failed - Video generation task failed"),
    };
    Outcome::Failed { flag, code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fated(generation: &Generation, submission: u64, prompt: &str) -> Outcome {
        fate(generation, 1, submission, prompt).0
    }

    #[test]
    fn a_marker_in_the_prompt_decides_the_fate() {
        let plain = Generation::default();
        assert_eq!(fated(&plain, 1, "a cat"), Outcome::Video);
        assert_eq!(fated(&plain, 1, "a cat [refuse]"), refusal());
        assert_eq!(fated(&plain, 1, "a cat [stuck]"), Outcome::Never);
        assert_eq!(fated(&plain, 1, "a cat [no-output]"), Outcome::Nothing);
        assert!(matches!(fated(&plain, 1, "a cat [fail]"), Outcome::Failed { .. }));
    }

    #[test]
    fn failures_come_with_both_flags_and_in_the_share_asked_for() {
        let generation = Generation { failed: 0.3, ..Generation::default() };
        let fates: Vec<Outcome> = (0..2000).map(|n| fated(&generation, n, "a cat")).collect();
        let count = |wanted: u8| {
            fates.iter().filter(|fate| matches!(fate, Outcome::Failed { flag, .. } if *flag == wanted)).count()
        };
        let (second, third) = (count(2), count(3));
        assert!((520..680).contains(&(second + third)), "{second} + {third} of 2000");
        assert!(third > 100 && second > third);
    }
}
