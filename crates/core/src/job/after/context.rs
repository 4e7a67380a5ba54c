//! What every part of the state table is given, and what it gives back.

use crate::job::record::Record;
use crate::polling::PollPolicy;
use crate::time::Timestamp;

/// The circumstances of a change.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// By the ledger's clock.
    pub now: Timestamp,
    /// Evenly spread over 0 to 1, so that jobs do not move in herds.
    pub jitter: f64,
    /// How often tasks are polled.
    pub policy: &'a PollPolicy,
}

/// The new record, or why there is none.
pub(super) type Moved = Result<Record, &'static str>;

/// About another task than the job's present one.
pub(super) const OTHER_TASK: &str = "is about another task, or at another point, by now";
