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

/// `2025-06-06T10:30:00.123` for milliseconds since the Unix epoch; the civil calendar after Howard Hinnant's
/// `civil_from_days`.
pub(crate) fn iso(at_ms: u64) -> String {
    let (day, in_day) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hours, minutes) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (seconds, thousandths) = (in_day / 1_000 % 60, in_day % 1_000);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}")
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
