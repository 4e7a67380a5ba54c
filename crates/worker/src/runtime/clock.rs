//! The ledger's clock as seen from here: its last reading, and how long ago that was.
//!
//! Due times are on the ledger's clock, waits are measured by this machine's monotonic clock. This machine's wall clock is
//! used for one thing only: to notice that the machine was asleep since a claim (see the submission claimer).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;
use veobatch_core::{Timestamp, millis};

/// A reading older than this is not used: clocks drift, and machines sleep.
const VALID_FOR: Duration = Duration::from_secs(60);

/// Clocks that differ by less are not worth a warning: a time server corrected one of them.
const WARN_AT: Duration = Duration::from_secs(60);

/// The last reading of the ledger's clock.
#[derive(Debug, Default)]
pub(crate) struct LedgerClock(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    read: Option<(Timestamp, Instant)>,
    /// How far the calendar's clock is behind it, once known.
    ahead: Option<Duration>,
    is_warned: bool,
}

impl LedgerClock {
    /// Stores a reading that came with an answer.
    pub(crate) fn set(&self, now: Timestamp) {
        self.known().read = Some((now, Instant::now()));
    }

    /// Stores readings of both clocks, and warns once if they differ.
    pub(crate) fn set_both(&self, now: Timestamp, calendar: Timestamp) {
        let mut known = self.known();
        let ahead = now.since(calendar);
        (known.read, known.ahead) = (Some((now, Instant::now())), Some(ahead));
        let is_far = ahead >= WARN_AT;
        if is_far && !known.is_warned {
            warn!(
                ledger = %now, machine = %calendar,
                "the ledger was used with a clock ahead of this machine's, so its own time runs ahead; windows, days and recurring \
                 batches follow this machine's clock"
            );
        }
        known.is_warned = is_far;
    }

    /// The ledger's time now, if it was read recently.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let (at, seen) = self.known().read?;
        let elapsed = seen.elapsed();
        (elapsed <= VALID_FOR).then(|| at + elapsed)
    }

    /// The time now that windows and days follow, if both clocks were read recently.
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
    async fn the_clock_runs_between_two_readings_and_is_not_used_for_long() {
        let clock = LedgerClock::default();
        assert_eq!(clock.now(), None);
        clock.set(Timestamp::from_millis(1_000));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), Some(Timestamp::from_millis(3_000)));
        tokio::time::advance(VALID_FOR).await;
        assert_eq!(clock.now(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_calendar_is_known_once_both_clocks_were_read() {
        let clock = LedgerClock::default();
        clock.set(Timestamp::from_millis(9_000_000));
        assert_eq!(clock.calendar(), None);
        clock.set_both(Timestamp::from_millis(9_000_000), Timestamp::from_millis(1_000_000));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.calendar(), Some(Timestamp::from_millis(1_002_000)));
        clock.set(Timestamp::from_millis(9_010_000));
        assert_eq!(clock.calendar(), Some(Timestamp::from_millis(1_010_000)));
    }
}
