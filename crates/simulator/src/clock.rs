//! The service's clock: wall time as it was at the start, carried forward by the monotonic clock.
//!
//! Wall time because a simulated night goes on while the program is off; monotonic in between so that a corrected
//! system clock never makes a window of the rate limit shorter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Tells the time since the Unix epoch.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Duration,
    started: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place of the simulated service that reads the wall clock")]
    pub(crate) fn start() -> Self {
        Self { origin: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), started: Instant::now() }
    }

    /// Time since the Unix epoch.
    pub(crate) fn now(&self) -> Duration {
        self.origin.saturating_add(self.started.elapsed())
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.now())
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `2025-06-06T10:30:00.123` for milliseconds since the Unix epoch.
pub(crate) fn iso(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_knows_leap_days_and_the_epoch() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000");
        assert_eq!(iso(951_782_400_123), "2000-02-29T00:00:00.123");
        assert_eq!(iso(1_785_000_000_000), "2026-07-25T17:20:00.000");
    }
}
