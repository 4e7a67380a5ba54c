//! The ledger's clock as seen from here: what it said last, and how long ago that was.
//!
//! Due times are points of the ledger's clock, waits are spans of this machine's monotonic one. The wall clock of this
//! machine is asked for one thing only: whether the machine was asleep since a claim (see the claimer).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;
use veobatch_core::{Timestamp, millis};

/// A reading older than this is not relied on: clocks drift, and machines sleep.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// Clocks that differ by less are not worth a word: a time server corrected one of them.
const WORTH_A_WORD: Duration = Duration::from_secs(60);

/// What the ledger's clock said last.
#[derive(Debug, Default)]
pub(crate) struct LedgerClock(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    read: Option<(Timestamp, Instant)>,
    /// How far the calendar's clock is behind it, once that was told.
    ahead: Option<Duration>,
    is_warned: bool,
}

impl LedgerClock {
    /// Takes down a reading that came with an answer.
    pub(crate) fn saw(&self, now: Timestamp) {
        self.known().read = Some((now, Instant::now()));
    }

    /// Takes down both clocks, and says once if they differ.
    pub(crate) fn saw_both(&self, now: Timestamp, calendar: Timestamp) {
        let mut known = self.known();
        let ahead = now.since(calendar);
        (known.read, known.ahead) = (Some((now, Instant::now())), Some(ahead));
        let is_far = ahead >= WORTH_A_WORD;
        if is_far && !known.is_warned {
            warn!(
                ledger = %now, machine = %calendar,
                "the ledger was used with a clock that was ahead of this machine's: its own time runs on from there; windows, days \
                 and recurrences go by this machine's clock"
            );
        }
        known.is_warned = is_far;
    }

    /// What it says now, if it was read lately.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let (at, seen) = self.known().read?;
        let elapsed = seen.elapsed();
        (elapsed <= GOOD_FOR).then(|| at + elapsed)
    }

    /// What the clock of windows and days says now, if both were read lately.
    pub(crate) fn calendar(&self) -> Option<Timestamp> {
        let now = self.now()?;
        let ahead = self.known().ahead?;
        Some(Timestamp::from_millis(now.as_millis().saturating_sub(millis(ahead))))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_goes_on_between_two_readings_and_is_not_relied_on_for_long() {
        let clock = LedgerClock::default();
        assert_eq!(clock.now(), None);
        clock.saw(Timestamp::from_millis(1_000));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), Some(Timestamp::from_millis(3_000)));
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(clock.now(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_calendar_is_known_once_both_clocks_were_read() {
        let clock = LedgerClock::default();
        clock.saw(Timestamp::from_millis(9_000_000));
        assert_eq!(clock.calendar(), None);
        clock.saw_both(Timestamp::from_millis(9_000_000), Timestamp::from_millis(1_000_000));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.calendar(), Some(Timestamp::from_millis(1_002_000)));
        clock.saw(Timestamp::from_millis(9_010_000));
        assert_eq!(clock.calendar(), Some(Timestamp::from_millis(1_010_000)));
    }
}
