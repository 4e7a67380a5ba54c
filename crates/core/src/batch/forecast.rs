//! How many jobs of a batch fit into its present or next window, and when the last will be done.
//!
//! An estimate, from what is known before it: the pace, the cap, how long videos usually take, and what else is queued.
//! Submissions go out every `max(W/N, duration / cap)`: the pace allows no more, and with the cap full each one waits for
//! a video to end. Batches of a higher rank go before, those of the same rank share by weight.

use std::time::Duration;

use crate::batch::schedule::Schedule;
use crate::batch::settings::{BatchSettings, TimeRange};
use crate::time::{Timestamp, millis};

/// Most open stretches that a forecast goes through: more than two years of nights.
const STRETCHES: usize = 1000;

/// How fast the account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throughput {
    /// Between two submissions at the account's pace.
    pub spacing: Duration,
    /// Most videos in flight.
    pub cap: u32,
    /// What a video usually takes, from its submission to its end.
    pub duration: Duration,
}

impl Throughput {
    /// Between two submissions with all that is in the way; never zero.
    pub fn effective(&self) -> Duration {
        self.spacing.max(self.duration / self.cap.max(1)).max(Duration::from_millis(1))
    }
}

/// Another batch with queued jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its queued jobs.
    pub jobs: u64,
    /// Its share.
    pub weight: u16,
    /// Its rank.
    pub priority: i16,
}

/// What is expected of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The present stretch, or the next one.
    pub stretch: TimeRange,
    /// How many of its jobs are submitted in that.
    pub fits: u64,
    /// When the last of its videos is made; `None`: not within years.
    pub done: Option<Timestamp>,
}

/// Forecasts `jobs` queued jobs with these terms, besides `rivals`.
pub fn forecast(
    jobs: u64,
    terms: &BatchSettings,
    schedule: &Schedule,
    rivals: &[Rival],
    throughput: &Throughput,
    now: Timestamp,
) -> Forecast {
    let gap = millis(throughput.effective());
    let stretch = schedule.open_range(now);
    // Including those of others that go before the n-th of its own.
    let turn = |n: u64| rivals.iter().map(|rival| before(n, terms, rival)).fold(n, u64::saturating_add);
    let fits = most(jobs, |n| turn(n) <= room(&stretch, now, gap));
    let done = last(turn(jobs), schedule, now, gap).map(|at| at + throughput.duration);
    Forecast { stretch, fits, done: if jobs == 0 { Some(now) } else { done } }
}

/// How many jobs of `rival` go before the n-th of a batch with these terms.
fn before(n: u64, terms: &BatchSettings, rival: &Rival) -> u64 {
    match rival.priority.cmp(&terms.priority) {
        std::cmp::Ordering::Greater => rival.jobs,
        std::cmp::Ordering::Equal => {
            let share = n.saturating_mul(rival.weight.into()) / u64::from(terms.weight.max(1));
            share.min(rival.jobs)
        }
        std::cmp::Ordering::Less => 0,
    }
}

/// Submissions that fit into what is left of `stretch`.
fn room(stretch: &TimeRange, now: Timestamp, gap: u64) -> u64 {
    let from = stretch.from.max(now);
    millis(stretch.until.since(from)).div_ceil(gap)
}

/// The largest n up to `limit` that fits; what fits once fits for everything less.
fn most(limit: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, limit);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// When the n-th submission goes out.
fn last(n: u64, schedule: &Schedule, now: Timestamp, gap: u64) -> Option<Timestamp> {
    let (mut left, mut at) = (n, now);
    for _ in 0..STRETCHES {
        let stretch = schedule.open_range(at);
        if stretch == TimeRange::NEVER {
            return None;
        }
        let room = room(&stretch, at, gap);
        if left <= room {
            let wait = Duration::from_millis(left.saturating_sub(1).saturating_mul(gap));
            return Some(stretch.from.max(at) + wait);
        }
        left -= room;
        at = stretch.until;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::schedule::{Cron, Start, Window};

    fn at(text: &str) -> Timestamp {
        Start::parse(text).unwrap().at()
    }

    fn night() -> Schedule {
        Schedule { window: Some(Window::parse("22:00-06:00 Europe/Berlin").unwrap()), ..Schedule::default() }
    }

    /// 20 in 10 s, 100 in flight, 90 s each: the cap binds, one every 0.9 s.
    const USUAL: Throughput =
        Throughput { spacing: Duration::from_millis(500), cap: 100, duration: Duration::from_secs(90) };

    fn of(jobs: u64, rivals: &[Rival], now: &str) -> Forecast {
        forecast(jobs, &BatchSettings::default(), &night(), rivals, &USUAL, at(now))
    }

    #[test]
    fn the_pace_or_the_cap_binds_whichever_is_slower() {
        assert_eq!(USUAL.effective(), Duration::from_millis(900));
        assert_eq!(Throughput { cap: 1000, ..USUAL }.effective(), Duration::from_millis(500));
        assert!(!Throughput { spacing: Duration::ZERO, cap: 0, duration: Duration::ZERO }.effective().is_zero());
    }

    #[test]
    fn what_does_not_fit_into_this_night_goes_on_in_the_next() {
        // Eight hours, one every 0.9 s.
        let all = of(40_000, &[], "2026-11-23T12:00:00Z");
        assert_eq!((all.fits, all.stretch.from), (32_000, at("2026-11-23T21:00:00Z")));
        // 8,000 on the second night: 2 hours, and 90 s for the last.
        assert_eq!(all.done, Some(at("2026-11-24T23:01:29.1Z")));
        // An hour before it closes.
        let late = of(40_000, &[], "2026-11-24T04:00:00Z");
        assert_eq!(late.fits, 4_000);
        let few = of(10, &[], "2026-11-23T12:00:00Z");
        assert_eq!((few.fits, few.done), (10, Some(at("2026-11-23T21:01:38.1Z"))));
    }

    #[test]
    fn higher_ranks_go_before_and_equal_ones_share_by_weight() {
        let rival = |jobs, weight, priority| Rival { jobs, weight, priority };
        let now = "2026-11-23T12:00:00Z";
        assert_eq!(of(40_000, &[rival(12_000, 1, 5)], now).fits, 20_000);
        assert_eq!(of(40_000, &[rival(12_000, 1, -5)], now).fits, 32_000);
        assert_eq!(of(40_000, &[rival(90_000, 1, 0)], now).fits, 16_000);
        assert_eq!(of(40_000, &[rival(90_000, 3, 0)], now).fits, 8_000);
        assert_eq!(of(40_000, &[rival(1_000, 3, 0)], now).fits, 31_000);
        assert_eq!(of(40_000, &[rival(90_000, 1, 5)], now).fits, 0);
    }

    #[test]
    fn without_a_schedule_all_fit_and_a_template_never_does() {
        let now = at("2026-11-23T12:00:00Z");
        let open = forecast(1001, &BatchSettings::default(), &Schedule::default(), &[], &USUAL, now);
        assert_eq!((open.fits, open.done), (1001, Some(now + Duration::from_secs(990))));
        let cron = Some(Cron::parse("0 22 * * * UTC").unwrap());
        let never = forecast(5, &BatchSettings::default(), &Schedule { cron, ..night() }, &[], &USUAL, now);
        assert_eq!((never.fits, never.done), (0, None));
        assert_eq!(forecast(0, &BatchSettings::default(), &night(), &[], &USUAL, now).done, Some(now));
    }
}
