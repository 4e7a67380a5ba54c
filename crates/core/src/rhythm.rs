//! When to look at the videos of one kind, learned from what was seen of the last ones.
//!
//! ```text
//! life table ─ density ─▶ how likely a video ends when ─ inspection ─▶ after a look at age A, the next one at age B
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
use crate::life_table::LifeTable;

/// Fewer videos of a kind that ended teach nothing: the usual gaps are kept.
pub const ENOUGH_ENDED: u64 = 16;

/// What was learned of every kind of which [`ENOUGH_ENDED`] have ended, and it is known when half of them have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rhythms(BTreeMap<VideoKind, Rhythm>);

impl Rhythms {
    /// From what was seen of videos.
    pub fn learn(tables: &[(VideoKind, LifeTable)]) -> Self {
        Self(tables.iter().filter_map(|(kind, table)| Some((kind.clone(), Rhythm::of(table)?))).collect())
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
    /// From what was seen of some videos; `None` if that is too little.
    pub fn of(table: &LifeTable) -> Option<Self> {
        if table.ended() < ENOUGH_ENDED {
            return None;
        }
        let density = Density::of(table)?;
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
    /// Of what was seen; `None` as long as a quarter of them may take longer than anybody knows.
    pub fn of(table: &LifeTable) -> Option<Self> {
        Some(Self { median: table.quantile(0.5)?, lower: table.quantile(0.25)?, upper: table.quantile(0.75)? })
    }
}

#[cfg(test)]
mod tests;
