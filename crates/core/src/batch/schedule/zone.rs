//! Time zones by their IANA names, from the database that is compiled in: every machine has the same.
//!
//! ```text
//! clocks go forward   01:59 ▶ 03:00     02:30 is 03:00, the end of the gap
//! clocks go back      02:59 ▶ 02:00     02:30 is the first of the two
//! ```

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::error::ScheduleError;
use crate::batch::settings::TimeRange;
use crate::time::Timestamp;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone with a name. The default: UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// Reads an IANA name, such as `Europe/Berlin` or `UTC`, in any case.
    pub fn parse(name: &str) -> Result<Self, ScheduleError> {
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") {
            return Ok(Self::default());
        }
        ZONES.get(name).map(Self).map_err(|_| {
            let error = ScheduleError::new(format!("{name:?} is no time zone"));
            match nearest(name) {
                Some(known) => error.hint(format!("did you mean {known}?")),
                None => error.hint("use an IANA name, such as Europe/Berlin or UTC"),
            }
        })
    }

    /// When the clocks here show `local`, by the rule above. Never after what it is for a later `local`.
    pub(super) fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        let instant = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local),
            AmbiguousOffset::Gap { before, .. } => before.to_timestamp(local).map(|past| {
                let probe = past.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(past);
                self.0.preceding(probe).next().map_or(past, |change| change.timestamp())
            }),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local),
        };
        u64::try_from(instant.ok()?.as_millisecond()).ok().map(Timestamp::from_millis)
    }

    /// What the clocks here show at `at`.
    pub(super) fn local(&self, at: Timestamp) -> Option<DateTime> {
        let ms = i64::try_from(at.as_millis()).ok()?;
        Some(self.0.to_datetime(jiff::Timestamp::from_millisecond(ms).ok()?))
    }

    /// From midnight to midnight: the day that `at` lies in. A midnight that the clocks skip is the end of the gap, and
    /// one that they show twice is the first of the two, so that days follow each other without a hole.
    pub fn day_of(&self, at: Timestamp) -> Option<TimeRange> {
        let today = self.local(at)?.date();
        let midnight = |date: jiff::civil::Date| self.instant(date.at(0, 0, 0, 0));
        Some(TimeRange { from: midnight(today)?, until: midnight(today.tomorrow().ok()?)? })
    }

    /// `27 November`, as a person here would call the day of `at`.
    pub fn day(&self, at: Timestamp) -> String {
        self.local(at).map_or_else(String::new, |local| local.strftime("%-d %B").to_string())
    }

    /// `01:40`, as the clocks here show it at `at`.
    pub fn time(&self, at: Timestamp) -> String {
        self.local(at).map_or_else(String::new, |local| local.strftime("%H:%M").to_string())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// The zone whose name, or whose city, is spelled almost like this.
fn nearest(name: &str) -> Option<String> {
    let wanted = plain(name);
    if wanted.is_empty() || wanted.len() > 40 {
        return None;
    }
    let distance = |known: &str| {
        let city = known.rsplit('/').next().unwrap_or(known);
        [known, city].map(|word| strsim::damerau_levenshtein(&wanted, &plain(word))).into_iter().min().unwrap_or(99)
    };
    let known = ZONES.available().map(|known| known.as_str().to_owned()).filter(|known| known.contains('/'));
    let (far, known) = known.map(|known| (distance(&known), known)).min_by_key(|(far, _)| *far)?;
    (far <= (wanted.len() / 4).min(3)).then_some(known)
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric() || *c == '/').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(zone: &str, local: &str) -> String {
        Zone::parse(zone).unwrap().instant(local.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_skipped_time_is_the_end_of_the_gap_and_a_doubled_one_its_first_occurrence() {
        for (zone, local, utc) in [
            // 2027-03-28: 02:00 CET ▶ 03:00 CEST, at 01:00 UTC.
            ("Europe/Berlin", "2027-03-28T01:59:59", "2027-03-28T00:59:59Z"),
            ("Europe/Berlin", "2027-03-28T02:00:00", "2027-03-28T01:00:00Z"),
            ("Europe/Berlin", "2027-03-28T02:30:00", "2027-03-28T01:00:00Z"),
            ("Europe/Berlin", "2027-03-28T02:59:59", "2027-03-28T01:00:00Z"),
            ("Europe/Berlin", "2027-03-28T03:00:00", "2027-03-28T01:00:00Z"),
            // 2026-10-25: 03:00 CEST ▶ 02:00 CET, at 01:00 UTC.
            ("Europe/Berlin", "2026-10-25T01:59:59", "2026-10-24T23:59:59Z"),
            ("Europe/Berlin", "2026-10-25T02:00:00", "2026-10-25T00:00:00Z"),
            ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
            // 2027-03-14: 02:00 EST ▶ 03:00 EDT, at 07:00 UTC.
            ("America/New_York", "2027-03-14T02:15:00", "2027-03-14T07:00:00Z"),
            // 2026-11-01: 02:00 EDT ▶ 01:00 EST, at 06:00 UTC.
            ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z"),
            // A half hour, and no change at all.
            ("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:30:00Z"),
            ("Asia/Tokyo", "2026-10-25T02:30:00", "2026-10-24T17:30:00Z"),
            ("UTC", "2026-10-25T02:30:00", "2026-10-25T02:30:00Z"),
        ] {
            assert_eq!(instant(zone, local), utc, "{local} {zone}");
        }
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight_and_a_skipped_midnight_is_the_end_of_the_gap() {
        for (zone, at, from, until) in [
            ("UTC", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
            ("Europe/Berlin", "2026-11-22T23:00:00Z", "2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z"),
            ("Europe/Berlin", "2026-11-22T22:59:59Z", "2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"),
            // 23 and 25 hours.
            ("Europe/Berlin", "2027-03-28T12:00:00Z", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
            ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            // Santiago goes forward at midnight: 2026-09-06 begins at 01:00, at 04:00 UTC.
            ("America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"),
            ("America/Santiago", "2026-09-06T03:59:59Z", "2026-09-05T04:00:00Z", "2026-09-06T04:00:00Z"),
            // Havana shows midnight twice: 2024-11-03 begins at the first, at 04:00 UTC.
            ("America/Havana", "2024-11-03T05:30:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
            // Apia had no 30 December 2011.
            ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
            ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        ] {
            let ms = at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let zone = Zone::parse(zone).unwrap();
            let day = zone.day_of(Timestamp::from_millis(u64::try_from(ms).unwrap())).unwrap();
            assert_eq!(
                (day.from.to_string(), day.until.to_string()),
                (from.to_owned(), until.to_owned()),
                "{zone} {at}"
            );
        }
    }

    #[test]
    fn a_misspelled_zone_is_recognized() {
        for (wrong, right) in
            [("Berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("new york", "America/New_York")]
        {
            let hint = Zone::parse(wrong).unwrap_err().hint.unwrap();
            assert!(hint.contains(right), "{wrong}: {hint}");
        }
        assert!(Zone::parse("nowhere at all").unwrap_err().hint.unwrap().contains("IANA"));
        assert_eq!(Zone::parse("europe/berlin").unwrap().to_string(), "Europe/Berlin");
    }

    #[test]
    fn days_and_times_are_told_as_they_are_there() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let at = Timestamp::from_millis(1_795_368_605_999);
        assert_eq!((zone.day(at), zone.time(at)), ("22 November".to_owned(), "18:30".to_owned()));
    }
}
