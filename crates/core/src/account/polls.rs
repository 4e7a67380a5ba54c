//! How many polls may be made now: a token bucket that holds a second's worth, for all machines together.

use std::time::Duration;

/// Default: one poll per second for so many places under the cap. A video in flight is polled every five seconds while its
/// finish is likely.
pub const CAP_PER_POLL: u32 = 5;

/// Polls per second, however low the cap is.
pub const POLLS_AT_LEAST: u32 = 10;

/// When the polls of a second are used up, the next claim is worth while once there are this many again, or one.
pub const POLLS_WORTH_WHILE: Duration = Duration::from_millis(50);

/// A second, in microseconds.
const SECOND_US: i64 = 1_000_000;

/// The maximum of polls per second: what a person set, or what the cap needs.
pub fn poll_rate(set: Option<u32>, max_in_flight: u32) -> u32 {
    set.unwrap_or_else(|| (max_in_flight / CAP_PER_POLL).max(POLLS_AT_LEAST)).max(1)
}

/// Polls that may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollBucket {
    /// Until when they are used up.
    pub used_us: i64,
    /// Between two.
    gap_us: i64,
}

impl PollBucket {
    /// At `rate` per second. A `used_us` in the future is that of a clock that was ahead: it neither lifts the limit nor stops
    /// everything until it is there again.
    pub fn load(used_us: i64, rate: u32, now_us: i64) -> Self {
        Self { used_us: used_us.clamp(now_us - SECOND_US, now_us), gap_us: (SECOND_US / i64::from(rate.max(1))).max(1) }
    }

    /// How many of `max` may be made.
    pub fn room(&self, max: i64, now_us: i64) -> i64 {
        max.min((now_us - self.used_us).div_euclid(self.gap_us))
    }

    /// Takes `count`. Returns when a claim is worth while again, in ms.
    pub fn take(&mut self, count: i64) -> i64 {
        self.used_us += count * self.gap_us;
        let worth = i64::try_from(POLLS_WORTH_WHILE.as_micros()).unwrap_or(i64::MAX);
        (self.used_us + self.gap_us.max(worth) + 999).div_euclid(1000)
    }
}
