//! What a batch asks of the queue as a whole: its share, its rank, when it may submit, and what it may cost.

use serde::{Deserialize, Serialize};

use crate::money::Credits;
use crate::time::Timestamp;

/// The largest share of a batch; the smallest, and the usual one, is 1.
pub const MAX_WEIGHT: u16 = 1000;

/// The highest rank of a batch among batches; the lowest is its negative, the usual one 0.
pub const MAX_BATCH_PRIORITY: i16 = 100;

/// A stretch of time: `from` belongs to it, `until` does not. By the ledger's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

impl TimeRange {
    /// The latest time that every ledger can hold exactly: 2^53 − 1 ms.
    const END: Timestamp = Timestamp::from_millis((1 << 53) - 1);

    /// All the time.
    pub const ALWAYS: Self = Self { from: Timestamp::from_millis(0), until: Self::END };

    /// No time at all.
    pub const NEVER: Self = Self { from: Self::END, until: Self::END };

    /// Whether `now` lies in it.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

impl Default for TimeRange {
    fn default() -> Self {
        Self::ALWAYS
    }
}

/// What a batch asks of the queue. The ledger acts on all of it but the schedule, which it only keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// Its share of the slots among the batches of its priority, 1 to [`MAX_WEIGHT`].
    pub weight: u16,
    /// Higher goes first, whatever the shares; at most [`MAX_BATCH_PRIORITY`] either way.
    pub priority: i16,
    /// When its jobs may be submitted: the present stretch of its schedule, or the next one.
    pub range: TimeRange,
    /// What that is computed from, as it is written; empty: always.
    pub schedule: String,
    /// What all its attempts together may cost.
    pub budget: Option<Credits>,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self { weight: 1, priority: 0, range: TimeRange::ALWAYS, schedule: String::new(), budget: None }
    }
}
