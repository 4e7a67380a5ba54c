//! The ledger's clock on one machine: the wall clock, never backwards, and never standing still.
//!
//! The floor is the latest time anybody here was told, and the one stored in the file by whoever wrote last. If the wall clock
//! is behind the floor (it was ahead once, or was set back), the ledger's time runs on from there by the monotonic clock, so
//! that leases end and polls come due; windows, days and recurrences go by the wall clock all the same. The two meet again
//! only while nobody works on the file.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use veobatch_core::Timestamp;

/// Where the time comes from: the wall clock, or a simulation.
pub type TimeSource = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The wall clock.
pub(crate) fn wall_clock() -> TimeSource {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "this is the ledger's clock")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    })
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The ledger's time: for due times, leases and slots.
    pub(super) now: Timestamp,
    /// The wall clock's, at most as late: for windows, days and recurrences.
    pub(super) wall: Timestamp,
}

impl Reading {
    /// By how much the ledger's time is ahead of the wall clock.
    pub(super) fn ahead(self) -> Duration {
        self.now.since(self.wall)
    }

    /// What the wall clock showed at `at` of the ledger's time, if it was as far behind then as now.
    pub(super) fn wall_at(self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.as_millis().saturating_sub(veobatch_core::millis(self.ahead())))
    }

    /// When it is `wall` by the wall clock, in the ledger's time.
    pub(super) fn when_wall_is(self, wall: Timestamp) -> Timestamp {
        wall + self.ahead()
    }
}

/// A source that does not run backwards, and runs on where the source does.
pub(super) struct Clock {
    source: TimeSource,
    told: Mutex<Told>,
}

/// The latest time that was told, and from where on it runs by the monotonic clock.
#[derive(Debug)]
struct Told {
    latest: Timestamp,
    from: (Timestamp, Instant),
}

impl Clock {
    pub(super) fn new(source: TimeSource) -> Self {
        let never = Timestamp::default();
        Self { source, told: Mutex::new(Told { latest: never, from: (never, Instant::now()) }) }
    }

    /// Both clocks now.
    pub(super) fn read(&self) -> Reading {
        self.at_least(Timestamp::default())
    }

    /// Both clocks now, where another process was told `seen`.
    pub(super) fn at_least(&self, seen: Timestamp) -> Reading {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, instant) = ((self.source)(), Instant::now());
        let (from, since) = told.from;
        let runs_on = from + instant.saturating_duration_since(since);
        let now = if wall >= told.latest { wall } else { told.latest.max(runs_on) };
        if wall >= told.latest || seen > now {
            told.from = (now.max(seen), instant);
        }
        told.latest = now.max(seen);
        Reading { now: told.latest, wall }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("told", &self.told).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const HOUR: u64 = 3_600_000;
    const START: u64 = 1_800_000_000_000;

    fn ms(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// A clock over a wall clock that is set by hand.
    fn clock() -> (Clock, Arc<AtomicU64>) {
        let wall = Arc::new(AtomicU64::new(START));
        let shown = Arc::clone(&wall);
        (Clock::new(Arc::new(move || ms(shown.load(Ordering::SeqCst)))), wall)
    }

    async fn pass(wall: &AtomicU64, time: u64) {
        tokio::time::advance(Duration::from_millis(time)).await;
        wall.fetch_add(time, Ordering::SeqCst);
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_on_while_the_wall_clock_is_behind() {
        let (clock, wall) = clock();
        assert_eq!(clock.read(), Reading { now: ms(START), wall: ms(START) });
        wall.fetch_sub(2 * HOUR, Ordering::SeqCst);
        for _ in 0..5 {
            pass(&wall, 1_000).await;
        }
        let read = clock.read();
        assert_eq!(read, Reading { now: ms(START + 5_000), wall: ms(START + 5_000 - 2 * HOUR) });
        assert_eq!(read.wall_at(ms(START)), ms(START - 2 * HOUR));
        assert_eq!(read.when_wall_is(ms(START - 2 * HOUR)), ms(START));
        // Read ever so often, no fraction of a millisecond is lost.
        for _ in 0..10 {
            tokio::time::advance(Duration::from_micros(500)).await;
            clock.read();
        }
        assert_eq!(clock.read().now, ms(START + 5_005));
        wall.store(START + 2 * HOUR, Ordering::SeqCst);
        assert_eq!(clock.read(), Reading { now: ms(START + 2 * HOUR), wall: ms(START + 2 * HOUR) });
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_process_was_told_is_the_floor() {
        let (clock, wall) = clock();
        assert_eq!(clock.at_least(ms(START + 2 * HOUR)).now, ms(START + 2 * HOUR));
        pass(&wall, 700).await;
        assert_eq!(clock.at_least(ms(START + 2 * HOUR)).now, ms(START + 2 * HOUR + 700), "it runs on by itself");
        assert_eq!(clock.at_least(ms(START + 2 * HOUR + 900)).now, ms(START + 2 * HOUR + 900));
        pass(&wall, 100).await;
        assert_eq!(clock.read().now, ms(START + 2 * HOUR + 1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_is_right_is_not_outrun() {
        let (clock, wall) = clock();
        for _ in 0..100 {
            // The monotonic clock is the faster one.
            tokio::time::advance(Duration::from_millis(11)).await;
            wall.fetch_add(10, Ordering::SeqCst);
            assert_eq!(clock.read().ahead(), Duration::ZERO);
        }
        assert_eq!(clock.read().now, ms(START + 1_000));
    }
}
