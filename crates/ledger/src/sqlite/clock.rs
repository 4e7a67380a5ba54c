//! The ledger's clock on one machine: the wall clock, never backwards.
//!
//! The floor is the latest time anybody here was told, and the one stored in the file by whoever wrote last.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use veobatch_core::Timestamp;

/// Where the time comes from: the wall clock, or a simulation.
pub type TimeSource = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The wall clock.
pub(super) fn wall_clock() -> TimeSource {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "this is the ledger's clock")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    })
}

/// A source that does not run backwards.
pub(super) struct Clock {
    source: TimeSource,
    floor: AtomicU64,
}

impl Clock {
    pub(super) fn new(source: TimeSource) -> Self {
        Self { source, floor: AtomicU64::new(0) }
    }

    /// The larger of the source's time and everything told before.
    pub(super) fn now(&self) -> Timestamp {
        let wall = (self.source)().as_millis();
        Timestamp::from_millis(self.floor.fetch_max(wall, Ordering::AcqRel).max(wall))
    }

    /// Another process was told `seen`.
    pub(super) fn at_least(&self, seen: Timestamp) -> Timestamp {
        self.floor.fetch_max(seen.as_millis(), Ordering::AcqRel);
        self.now()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("floor", &self.floor).finish_non_exhaustive()
    }
}
