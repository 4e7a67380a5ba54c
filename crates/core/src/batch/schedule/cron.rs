//! `cron`: the instants at which a batch is made anew from its template.
//!
//! `0 22 * * 1-5 Europe/Berlin`: five fields (minute, hour, day of the month, month, day of the week) and a zone. The
//! expression is matched against local time, and each match is brought to an instant by the rule of [`super::zone`]: a
//! skipped time fires at the end of the gap, once, and a doubled hour counts once.

use std::fmt;

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::ScheduleError;
use super::zone::Zone;
use crate::time::Timestamp;

/// Matches that are examined for one answer: an hour of minutes that is shown twice, and room to spare.
const LOOKED_AT: usize = 200;

/// How long the text of an instant in a name is, with its dash.
pub const MAX_STAMP_BYTES: usize = "-2026-11-23-2200".len();

/// A recurrence, and up to when its instants are dealt with.
#[derive(Clone, Debug)]
pub struct Cron {
    expression: String,
    zone: Zone,
    times: Crontab,
    since: Timestamp,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.is_like(other) && self.since == other.since
    }
}

impl Cron {
    /// Reads five fields and a zone.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let is_zone = |word: &str| {
            word.eq_ignore_ascii_case("utc")
                || word.contains('/')
                    && !word.starts_with(['*', '-'])
                    && word.starts_with(|c: char| c.is_ascii_alphabetic())
        };
        let (fields, zone) = match words.as_slice() {
            [fields @ .., zone] if fields.len() == 5 => (fields.join(" "), *zone),
            [fields @ .., last] if fields.len() == 4 && !is_zone(last) => {
                return Err(ScheduleError::new("the cron expression names no time zone")
                    .hint(format!("add it: \"{} Europe/Berlin\"", words.join(" "))));
            }
            _ => return Err(unreadable()),
        };
        let zone = Zone::parse(zone)?;
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let times = cronexpr::parse_crontab_with(&fields, options).map_err(|error| {
            let words = error.to_string();
            let reason = words.rsplit("^ ").next().unwrap_or_default().replace('\n', " ");
            let ScheduleError { hint, .. } = unreadable();
            ScheduleError { message: format!("the cron expression cannot be read: {reason}"), hint }
        })?;
        let cron = Self { expression: fields, zone, times, since: Timestamp::default() };
        // Any year with a 29 February will do.
        if cron.next(Timestamp::from_millis(1_767_225_600_000)).is_none() {
            return Err(ScheduleError::new("this never happens").hint("is there such a day in that month?"));
        }
        Ok(cron)
    }

    /// Reads the stored form: the expression, and up to when its instants are dealt with.
    pub(super) fn recall(text: &str) -> Result<Self, ScheduleError> {
        let (expression, since) = text.split_once(" since ").unwrap_or((text, "0"));
        let since = since.trim().parse().map_err(|_| unreadable())?;
        Ok(Self::parse(expression)?.since(Timestamp::from_millis(since)))
    }

    pub(super) fn stored(&self) -> String {
        format!("{self} since {}", self.since.as_millis())
    }

    /// The same with all instants up to `since` dealt with, and never fewer than before.
    #[must_use]
    pub fn since(self, since: Timestamp) -> Self {
        Self { since: self.since.max(since), ..self }
    }

    /// The first instant that is not dealt with.
    pub fn pending(&self) -> Option<Timestamp> {
        self.next(self.since)
    }

    /// The first instant after `after`, if there is one within four years.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let utc = TimeZone::UTC;
        let mut local = self.zone.local(after)?;
        for _ in 0..LOOKED_AT {
            let from = utc.to_timestamp(local).ok()?;
            local = self.times.find_next(from).ok()?.datetime();
            if let Some(instant) = self.zone.instant(local).filter(|instant| *instant > after) {
                return Some(instant);
            }
        }
        None
    }

    /// What the batch of `instant` has after its template's name: `-2026-11-23`, with `-2200` if there may be several a day.
    pub fn stamp(&self, instant: Timestamp) -> String {
        let form = if self.is_daily_at_most() { "-%Y-%m-%d" } else { "-%Y-%m-%d-%H%M" };
        self.zone.local(instant).map_or_else(String::new, |local: DateTime| local.strftime(form).to_string())
    }

    /// Whether both recur alike, whatever is dealt with.
    pub fn is_like(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }

    /// The zone of its fields.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    fn is_daily_at_most(&self) -> bool {
        self.expression.split(' ').take(2).all(|field| field.bytes().all(|b| b.is_ascii_digit()))
    }
}

fn unreadable() -> ScheduleError {
    ScheduleError::new("this is no cron expression").hint(
        "write five fields and a zone, like \"0 22 * * 1-5 Europe/Berlin\": minute, hour, day of the month, month, day of \
         the week",
    )
}

/// As it was written, with its zone.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::schedule::Start;

    fn at(text: &str) -> Timestamp {
        Start::parse(text).unwrap().at()
    }

    fn instants(cron: &str, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(cron).unwrap();
        let next = |last: &Timestamp| cron.next(*last);
        std::iter::successors(Some(at(after)), next).skip(1).take(count).map(|at| at.to_string()).collect()
    }

    #[test]
    fn it_fires_when_the_clocks_of_its_zone_say_so() {
        let fired = instants("0 22 * * 1-5 Europe/Berlin", "2026-11-20T12:00:00Z", 3);
        assert_eq!(fired, ["2026-11-20T21:00:00Z", "2026-11-23T21:00:00Z", "2026-11-24T21:00:00Z"]);
        let fired = instants("*/30 8 * * * UTC", "2026-11-20T08:00:00Z", 3);
        assert_eq!(fired, ["2026-11-20T08:30:00Z", "2026-11-21T08:00:00Z", "2026-11-21T08:30:00Z"]);
    }

    #[test]
    fn a_skipped_time_fires_once_at_the_end_of_the_gap() {
        let fired = instants("30 2 * * * Europe/Berlin", "2027-03-27T00:00:00Z", 3);
        assert_eq!(fired, ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]);
        let fired = instants("*/20 * * * * Europe/Berlin", "2027-03-28T00:30:00Z", 3);
        assert_eq!(fired, ["2027-03-28T00:40:00Z", "2027-03-28T01:00:00Z", "2027-03-28T01:20:00Z"]);
    }

    #[test]
    fn a_doubled_hour_counts_once() {
        let fired = instants("30 2 * * * Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(fired, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let fired = instants("30 * * * * Europe/Berlin", "2026-10-25T00:00:00Z", 2);
        assert_eq!(fired, ["2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"]);
        // Asked within the second of the two hours.
        let fired = instants("* * * * * Europe/Berlin", "2026-10-25T01:10:00Z", 1);
        assert_eq!(fired, ["2026-10-25T02:00:00Z"]);
        let fired = instants("30 1 * * * America/New_York", "2026-10-31T20:00:00Z", 2);
        assert_eq!(fired, ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
    }

    #[test]
    fn no_two_instants_have_the_same_stamp_not_even_when_the_clocks_change() {
        for cron in ["*/10 * * * * Europe/Berlin", "30 2 * * * America/New_York", "0,30 1-3 * * * Europe/Berlin"] {
            let cron = Cron::parse(cron).unwrap();
            let mut stamps = std::collections::BTreeSet::new();
            for (from, until) in
                [("2026-10-24T00:00:00Z", "2026-11-02T00:00:00Z"), ("2027-03-13T00:00:00Z", "2027-03-29T00:00:00Z")]
            {
                let mut now = at(from);
                while now < at(until) {
                    now = cron.next(now).unwrap();
                    assert!(stamps.insert(cron.stamp(now)), "{cron}: {}", cron.stamp(now));
                }
            }
        }
    }

    #[test]
    fn a_stamp_has_the_time_only_where_there_may_be_several_a_day() {
        let at = at("2026-11-23T21:00:00Z");
        assert_eq!(Cron::parse("0 22 * * 1-5 Europe/Berlin").unwrap().stamp(at), "-2026-11-23");
        let often = Cron::parse("0 */2 * * * Europe/Berlin").unwrap().stamp(at);
        assert_eq!((often.as_str(), often.len()), ("-2026-11-23-2200", MAX_STAMP_BYTES));
    }

    #[test]
    fn what_is_no_recurrence_says_what_to_do() {
        for (text, words) in [
            ("0 22 * * 1-5", "\"0 22 * * 1-5 Europe/Berlin\""),
            ("0 22 * * 1-5 Berlin", "did you mean Europe/Berlin?"),
            ("0 22 * * UTC", "five fields"),
            ("0 25 * * * UTC", "found 25"),
            ("0 0 30 2 * UTC", "never happens"),
            ("@daily", "five fields"),
            ("x 22 * * * UTC", "five fields"),
            ("", "five fields"),
        ] {
            let error = Cron::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_dealt_with_is_not_pending() {
        let cron = Cron::parse("0 22 * * * UTC").unwrap().since(at("2026-11-23T12:00:00Z"));
        assert_eq!(cron.pending(), Some(at("2026-11-23T22:00:00Z")));
        assert_eq!(cron.clone().since(at("2026-11-23T22:00:00Z")).pending(), Some(at("2026-11-24T22:00:00Z")));
        assert!(cron.is_like(&Cron::parse("0  22 * * *  utc").unwrap()));
    }
}
