//! How long videos of one kind take: a histogram in which old durations lose weight.

use std::time::Duration;

use crate::job::record::{Record, State};
use crate::time::Timestamp;

/// Bucket `n` begins at `SHORTEST * RATIO^n` seconds; the last one has no end. 5 % is less than videos of one kind differ by.
const SHORTEST: f64 = 2.0;
const RATIO: f64 = 1.05;
const BUCKETS: usize = 160;

/// Once so many are known, each count is halved: a service that becomes faster or slower is followed.
const HALVED_AT: u64 = 256;

/// A poll that comes later than this after its time says little about when the video was finished.
const LATE_BY: Duration = Duration::from_secs(5);

/// A video that the first poll finds finished may have been so for long: it counts as this part of its age, so that a
/// service that becomes faster is followed down.
const FOUND_AT_FIRST: f64 = 0.85;

/// Durations of the videos of one kind, as counts per bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations(Vec<u64>);

impl Durations {
    /// Adds one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the buckets")]
    pub fn add(&mut self, duration: Duration) {
        let bucket = ((duration.as_secs_f64() / SHORTEST).ln() / RATIO.ln()).max(0.0) as usize;
        let bucket = bucket.min(BUCKETS - 1);
        self.append(&Self((0..=bucket).map(|at| u64::from(at == bucket)).collect()));
    }

    /// Adds those that another process has seen.
    pub fn append(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(mine, more)| *mine = mine.saturating_add(*more));
        while self.count() >= HALVED_AT {
            self.0.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// How many there are, of which old ones count in part.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The duration that this part of all stay below; `None` if none is known.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let (mut left, mut begin) = (part * self.count() as f64, SHORTEST);
        for count in self.0.iter().map(|count| *count as f64) {
            if count > 0.0 && left <= count {
                return Some(Duration::from_secs_f64(begin * RATIO.powf(left / count)));
            }
            left -= count;
            begin *= RATIO;
        }
        None
    }

    /// As text, for the ledger: the counts, separated by spaces.
    pub fn to_text(&self) -> String {
        self.0.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Reads [`Durations::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let counts: Vec<u64> = text.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        (counts.len() <= BUCKETS).then_some(Self(counts))
    }
}

/// How long the video took that a poll at `now` finds finished; `None` of a job that is not being generated, and of a poll
/// that came late.
pub fn duration(record: &Record, now: Timestamp) -> Option<Duration> {
    let State::Generating { task, due, polls, .. } = &record.state else { return None };
    let age = now.since(task.at);
    let found = if *polls == 0 { age.mul_f64(FOUND_AT_FIRST) } else { age };
    (now.since(*due) <= LATE_BY).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::record::Task;
    use crate::job::spec::Spec;
    use crate::names::id::TaskId;

    fn assert_near(known: &Durations, part: f64, seconds: f64) {
        let quantile = known.quantile(part).unwrap().as_secs_f64();
        assert!((quantile / seconds - 1.0).abs() < RATIO - 1.0, "{part}: {quantile}, not {seconds}");
    }

    #[test]
    fn quantiles_are_right_to_a_bucket_and_old_durations_lose_weight() {
        let mut known = Durations::default();
        for seconds in (51..=150).chain([300; 1000]) {
            known.add(Duration::from_secs(seconds));
            if seconds == 150 {
                assert_near(&known, 0.15, 65.0);
                assert_near(&known, 0.95, 145.0);
            }
        }
        assert_near(&known, 0.02, 300.0);
        known.add(Duration::ZERO);
        known.add(Duration::MAX);
        assert_eq!((known.0.len(), Durations::default().quantile(0.5)), (BUCKETS, None));
        assert_eq!(Durations::parse(&known.to_text()), Some(known));
        let long = "1 ".repeat(BUCKETS + 1);
        assert_eq!(["x", "-1", &long].map(Durations::parse), [None, None, None]);
    }

    #[test]
    fn a_poll_in_time_tells_how_long_a_video_took() {
        let found = |polls, due, now| {
            let at = |age: u64| Timestamp::from_millis((1000 + age) * 1000);
            let task = Task { id: TaskId::parse("t").unwrap(), attempt: 1, at: at(0) };
            let state = State::Generating { task, polls, misses: 0, due: at(due), called: false };
            duration(&Record { state, ..Record::fresh(&Spec::default()) }, at(now)).map(|found| found.as_secs())
        };
        assert_eq!([found(3, 80, 82), found(0, 100, 100), found(3, 80, 90)], [Some(82), Some(85), None]);
        assert_eq!(duration(&Record::fresh(&Spec::default()), Timestamp::default()), None);
    }
}
