//! When to look at the videos of one kind, learned from how long the last ones took.
//!
//! ```text
//! durations ─ density ─▶ how likely a video ends when ─ inspection ─▶ after a look at age A, the next one at age B
//! ```
//!
//! Recomputed now and then by the worker from what the ledger keeps for all machines, and used by
//! [`crate::Policy`]. Ages count from the submission, so a look that came early, late or twice puts nothing out of step.
//! What took longer than everything known is left to the policy's growing gaps.

mod density;
mod inspection;

use std::collections::BTreeMap;
use std::time::Duration;

use self::density::Density;
use crate::kind::VideoKind;

/// Fewer durations of a kind teach nothing: the usual gaps are kept.
pub const ENOUGH_SAMPLES: usize = 16;

/// What was learned of every kind of which [`ENOUGH_SAMPLES`] are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rhythms(BTreeMap<VideoKind, Rhythm>);

impl Rhythms {
    /// From how long videos took, in any order.
    pub fn learn(samples: &[(VideoKind, Vec<Duration>)]) -> Self {
        Self(samples.iter().filter_map(|(kind, took)| Some((kind.clone(), Rhythm::of(took)?))).collect())
    }

    /// Of one kind, if enough is known.
    pub fn of(&self, kind: &VideoKind) -> Option<&Rhythm> {
        self.0.get(kind)
    }
}

/// When to look at the videos of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Rhythm {
    first: Duration,
    /// Ages of possible looks, ascending, and the age of the look after each.
    looks: Vec<(Duration, Duration)>,
}

impl Rhythm {
    /// From the durations of some videos; `None` if they are too few.
    pub fn of(took: &[Duration]) -> Option<Self> {
        if took.len() < ENOUGH_SAMPLES {
            return None;
        }
        let density = Density::of(took)?;
        let plan = inspection::plan(&density);
        let age = |index: usize| density.ages.get(index).copied().map(Duration::from_secs_f64);
        let looks = plan.next.iter().enumerate().map(|(now, next)| Some((age(now)?, age(*next)?)));
        Some(Self { first: age(plan.first)?, looks: looks.collect::<Option<_>>()? })
    }

    /// At which age a video is looked at first.
    pub(crate) fn first(&self) -> Duration {
        self.first
    }

    /// At which age a video is looked at that was not finished at `age`; `None` if none of the known took so long.
    pub(crate) fn next(&self, age: Duration) -> Option<Duration> {
        let above = self.looks.partition_point(|(at, _)| *at <= age);
        let (to, next_of_to) = *self.looks.get(above)?;
        let Some((from, next_of_from)) = above.checked_sub(1).and_then(|below| self.looks.get(below)) else {
            return Some(self.first);
        };
        let part = age.saturating_sub(*from).as_secs_f64() / to.saturating_sub(*from).as_secs_f64();
        Some(*next_of_from + next_of_to.saturating_sub(*next_of_from).mul_f64(part))
    }
}

/// What a person is told of how long videos of a kind take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Half of them took less.
    pub median: Duration,
    /// A quarter took less.
    pub lower: Duration,
    /// A quarter took longer.
    pub upper: Duration,
}

impl Spread {
    /// Of at least one duration.
    pub fn of(took: &[Duration]) -> Option<Self> {
        let mut sorted = took.to_vec();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get((sorted.len() * part / 4).min(sorted.len().saturating_sub(1))).copied();
        Some(Self { median: at(2)?, lower: at(1)?, upper: at(3)? })
    }
}

#[cfg(test)]
mod tests;
