//! What is said of batches: which there are, how far they are, what changes of them.

use std::collections::BTreeMap;

use veobatch_core::{BatchId, BatchSettings, Credits, StateName, TimeRange, Timestamp};

/// A batch and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSummary {
    /// Its name, as first written.
    pub batch: BatchId,
    /// Jobs by state; states without jobs may be missing.
    pub counts: BTreeMap<StateName, u64>,
    /// Submissions are paused.
    pub paused: bool,
    /// Why, unless a person wanted it.
    pub paused_because: Option<String>,
    /// A cancellation is being carried out.
    pub cancelling: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Since when it is at rest (see [`Batches`]); `None` if it is not.
    pub rested: Option<Timestamp>,
    /// What it asks of the queue.
    pub terms: BatchSettings,
    /// What its attempts may have cost so far, those under way included.
    pub credits: Credits,
}

impl BatchSummary {
    /// Jobs in `state`.
    pub fn count(&self, state: StateName) -> u64 {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    /// All jobs.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// Which published batches to list.
///
/// A batch is at rest once all its jobs are done, failed or cancelled, and no cancellation is being carried out. A change of
/// such a job, for a task beside it, counts as coming to rest anew. What is at rest costs nothing where it is not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batches {
    /// Every one, `after` another (none if that is unknown), at most `limit`.
    All {
        /// The last of the page before.
        after: Option<BatchId>,
        /// Of a page.
        limit: usize,
    },
    /// Those that are not at rest.
    Active,
    /// Those that are not at rest, and those that came to rest at that time or later.
    Recent {
        /// That time.
        since: Timestamp,
    },
    /// Those that came to rest before, the latest of them, at most `limit`.
    Rested {
        /// That time.
        before: Timestamp,
        /// At most so many.
        limit: usize,
    },
    /// Those at rest in which no job was done since, and in which some done ones are not compact.
    Whole {
        /// That time.
        before: Timestamp,
    },
    /// These, as far as they are there, in this order.
    Named(Vec<BatchId>),
}

/// A flag of a whole batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchFlag {
    /// No submissions (true), or again (false). Clearing it also clears `Cancelling`.
    Paused(bool),
    /// No submissions, for a reason that is not a person's wish; otherwise like `Paused(true)`.
    PausedBecause(String),
    /// Queued jobs are being cancelled: no submissions until the sweep has ended.
    Cancelling(bool),
}

/// What changes of a batch; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchUpdate {
    /// A flag. Set only if the batch is published.
    pub flag: Option<BatchFlag>,
    /// See [`BatchSettings::weight`].
    pub weight: Option<u16>,
    /// See [`BatchSettings::priority`].
    pub priority: Option<i16>,
    /// See [`BatchSettings::budget`].
    pub budget: Option<Option<Credits>>,
    /// See [`BatchSettings::schedule`].
    pub schedule: Option<String>,
    /// See [`BatchSettings::range`].
    pub range: Option<TimeRange>,
    /// Nothing changes unless the schedule is this: a range that was computed from another one must not hold.
    pub only_if: Option<String>,
}

impl From<BatchFlag> for BatchUpdate {
    fn from(flag: BatchFlag) -> Self {
        Self { flag: Some(flag), ..Self::default() }
    }
}

/// The step that a recurring batch's template takes when one of its runs is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateAdvance {
    /// Whose run it is.
    pub template: BatchId,
    /// What its schedule has to be, as text.
    pub from: String,
    /// What its schedule is from then on: the same, with the run's instant dealt with.
    pub to: String,
}
