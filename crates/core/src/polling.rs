//! When a task is polled next. Polls are free and a place under the account's cap is not, so a finished video should be noticed soon.
//!
//! The first poll comes when the first of the kind's videos usually finish; then one every five seconds while a finish is
//! likely; then one each time the task's age has grown by an eighth. The account's poll rate stretches all of it in the ledger.

mod durations;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::durations::{Durations, duration};
use crate::job::delay::{UpgradePolicy, jittered};
use crate::job::spec::kind::VideoKind;
use crate::names::id::Token;

/// Durations that must be known of a kind before its first poll is derived from them.
pub const ENOUGH_DURATIONS: u64 = 8;

/// Between two polls while a finish is likely. Of 3, 5, 8 and 16 s the longest one with which 300 videos (log-normal, median
/// 90 s, sigma 0.35, cap 100) take at most 1.05 times as long as with immediate notice: 10 polls per video.
const GAP: Duration = Duration::from_secs(5);

/// The part of a kind's videos that finish before its first poll, and the part that finish before 1 / 1.3 of the age from
/// which on a finish is no longer likely.
const FIRST_QUANTILE: f64 = 0.15;
const LATE_QUANTILE: f64 = 0.95;
const LATE_FACTOR: f64 = 1.3;

/// As long as fewer are known: videos take one to five minutes (docs/kie-api.md, section 11).
const UNLEARNED: PollSchedule = PollSchedule { first: Duration::from_secs(45), late: Duration::from_secs(150) };

/// A task that is later than that is polled each time its age has grown by one part in so many.
const GROWTH: u32 = 8;

/// How much less often a task is polled that announces its end by a callback: a lost one then delays a video by seconds.
const CALLBACK_FACTOR: u32 = 2;

/// How often a task is polled.
#[derive(Clone, Debug, PartialEq)]
pub struct PollPolicy {
    /// From acceptance to the first poll, whatever is learned; `None`: as learned.
    pub first: Option<Duration>,
    /// The longest gap between two polls of one task.
    pub longest_gap: Duration,
    /// This process receives callbacks: polls of tasks that announce themselves are only the safety net.
    pub callbacks: bool,
    /// How long videos take, as far as it was learned.
    pub schedules: Arc<BTreeMap<VideoKind, PollSchedule>>,
    /// How often a larger version is asked for.
    pub upgrades: UpgradePolicy,
}

impl Default for PollPolicy {
    fn default() -> Self {
        Self {
            first: None,
            longest_gap: Duration::from_secs(120),
            callbacks: false,
            schedules: Arc::default(),
            upgrades: UpgradePolicy::default(),
        }
    }
}

/// When videos of one kind are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollSchedule {
    /// Age at the first poll.
    first: Duration,
    /// Age from which on a finish is no longer likely.
    late: Duration,
}

impl PollSchedule {
    /// From the durations of one kind; `None` if there are fewer than [`ENOUGH_DURATIONS`].
    pub fn learn(known: &Durations) -> Option<Self> {
        let enough = known.count() >= ENOUGH_DURATIONS;
        let (first, late) = known.quantile(FIRST_QUANTILE).zip(known.quantile(LATE_QUANTILE))?;
        enough.then_some(Self { first, late: late.mul_f64(LATE_FACTOR) })
    }
}

/// The task that is polled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polled<'a> {
    /// Its kind, if it is a job's own task.
    pub(crate) kind: Option<&'a VideoKind>,
    /// The attempt that made it, if it is known.
    pub(crate) token: Option<&'a Token>,
    /// Time since its submission.
    pub(crate) age: Duration,
}

impl PollPolicy {
    /// From now to the first poll. `jitter` is evenly spread over 0 to 1, here and below.
    pub(crate) fn first_poll(&self, task: &Polled<'_>, jitter: f64) -> Duration {
        let wait = self.first.unwrap_or_else(|| self.schedule(task).first.saturating_sub(task.age));
        self.stretched(task, jittered(wait, self.gap(), jitter))
    }

    /// From a poll that found the task unfinished to the next one; doubled by each poll in a row that taught nothing.
    pub(crate) fn next_poll(&self, task: &Polled<'_>, misses: u32, jitter: f64) -> Duration {
        let gap = if task.age < self.schedule(task).late { self.gap() } else { self.gap().max(task.age / GROWTH) };
        let gap = gap.saturating_mul(1 << misses.min(16)).min(self.longest_gap);
        self.stretched(task, jittered(gap, gap, jitter))
    }

    fn gap(&self) -> Duration {
        GAP.min(self.longest_gap)
    }

    fn schedule(&self, task: &Polled<'_>) -> PollSchedule {
        task.kind.and_then(|kind| self.schedules.get(kind)).copied().unwrap_or(UNLEARNED)
    }

    fn stretched(&self, task: &Polled<'_>, gap: Duration) -> Duration {
        let announced = self.callbacks && task.token.is_some_and(Token::carries_callback);
        if announced { gap * CALLBACK_FACTOR } else { gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty videos, evenly from 60 s to 119 s.
    fn learned() -> PollPolicy {
        let mut known = Durations::default();
        (60..120).for_each(|seconds| known.add(Duration::from_secs(seconds)));
        let schedules = Arc::new([(VideoKind::default(), PollSchedule::learn(&known).unwrap())].into());
        PollPolicy { schedules, ..PollPolicy::default() }
    }

    fn seconds(policy: &PollPolicy, token: Option<&Token>, ages: [u64; 4], misses: u32) -> (u64, [u64; 4]) {
        let kind = VideoKind::default();
        let task = |age| Polled { kind: Some(&kind), token, age: Duration::from_secs(age) };
        let next = ages.map(|age| policy.next_poll(&task(age), misses, 0.5).as_secs());
        (policy.first_poll(&task(0), 0.5).as_secs(), next)
    }

    #[test]
    fn gaps_are_constant_while_a_finish_is_likely_and_grow_with_the_age_after_that() {
        assert_eq!(seconds(&PollPolicy::default(), None, [45, 149, 400, 7200], 0), (45, [5, 5, 50, 120]));
        assert_eq!(seconds(&learned(), None, [70, 140, 160, 7200], 0), (68, [5, 5, 20, 120]));
        assert_eq!(seconds(&learned(), None, [70, 70, 160, 160], 2).1, [20, 20, 80, 80], "trouble doubles them");
    }

    #[test]
    fn an_announced_task_is_polled_half_as_often_while_callbacks_are_received() {
        let (announced, silent) = (Token::of_attempt(1 << 9, true), Token::of_attempt(1 << 9, false));
        let receiving = PollPolicy { callbacks: true, ..PollPolicy::default() };
        assert_eq!(seconds(&receiving, Some(&announced), [45; 4], 0), (90, [10; 4]));
        assert_eq!(seconds(&receiving, Some(&silent), [45; 4], 0), (45, [5; 4]));
        assert_eq!(seconds(&PollPolicy::default(), Some(&announced), [45; 4], 0), (45, [5; 4]));
    }

    #[test]
    fn what_a_user_sets_holds_whatever_was_learned() {
        let set = PollPolicy { first: Some(Duration::from_secs(7)), longest_gap: Duration::from_secs(3), ..learned() };
        assert_eq!(seconds(&set, None, [60, 200, 900, 9000], 9), (7, [3; 4]));
    }
}
