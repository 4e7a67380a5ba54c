//! The ledger's clock as seen from here: what it said last, and how long ago that was.
//!
//! Due times are points of the ledger's clock, waits are spans of this machine's monotonic one. The wall clock of this
//! machine is asked for one thing only: whether the machine was asleep since a claim (see the claimer).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use veobatch_core::Timestamp;

/// A reading older than this is not relied on: clocks drift, and machines sleep.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// What the ledger's clock said last.
#[derive(Debug, Default)]
pub(crate) struct LedgerClock(Mutex<Option<(Timestamp, Instant)>>);

impl LedgerClock {
    /// Takes down a reading that came with an answer.
    pub(crate) fn saw(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
    }

    /// What it says now, if it was read lately.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let (at, seen) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let elapsed = seen.elapsed();
        (elapsed <= GOOD_FOR).then(|| at.after(elapsed))
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
}
