//! `window`: the hours of the day, and the days of the week, at which submissions are made.
//!
//! `22:00-06:00 Europe/Berlin`, `mon-fri 22:00-06:00 Europe/Berlin`: a window that ends before it begins crosses
//! midnight, and belongs to the day on which it begins. Both ends follow the rule of [`super::zone`], so on the night
//! when the clocks go back `22:00-02:30` closes at the first 02:30, and a window within the skipped hour is not opened.

use std::fmt;

use jiff::civil::{Date, Weekday};

use super::error::ScheduleError;
use super::zone::Zone;
use crate::batch::settings::TimeRange;
use crate::time::Timestamp;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const EVERY_DAY: u8 = 0b111_1111;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Far enough to find a stretch on any day of the week, should one week's be lost in a gap.
const AHEAD: usize = 16;

/// A daily stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Bit n: the n-th day of the week, from Monday.
    days: u8,
    from: u16,
    until: u16,
    zone: Zone,
}

impl Window {
    /// Reads `[DAYS] HH:MM-HH:MM ZONE`.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.replace(['–', '—'], "-").replace(" - ", "-").replace(", ", ",");
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, hours, zone) = match words.as_slice() {
            [hours, zone] if is_hours(hours) => (EVERY_DAY, *hours, *zone),
            [days, hours, zone] if is_hours(hours) => (days_of(days)?, *hours, *zone),
            [.., hours] if is_hours(hours) => {
                return Err(ScheduleError::new("the window names no time zone")
                    .hint(format!("add it: \"{} Europe/Berlin\"", words.join(" "))));
            }
            _ => return Err(unreadable()),
        };
        let (from, until) = hours.split_once('-').ok_or_else(unreadable)?;
        let (from, until, zone) = (minute(from)?, minute(until)?, Zone::parse(zone)?);
        if from == until {
            return Err(ScheduleError::new("the window ends when it begins")
                .hint("for the whole of some days write 00:00-24:00; without a window it is always open"));
        }
        if from == DAY {
            return Err(ScheduleError::new("no day begins at 24:00").hint("write 00:00"));
        }
        if (days, from, until) == (EVERY_DAY, 0, DAY) {
            return Err(ScheduleError::new("this window is always open").hint("leave it out"));
        }
        Ok(Self { days, from, until, zone })
    }

    /// The zone of its hours.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The stretch that `now` lies in, or the next one; never, if there is none in two weeks.
    pub fn open_range(&self, now: Timestamp) -> TimeRange {
        let Some(today) = self.zone.local(now).map(jiff::civil::DateTime::date) else { return TimeRange::NEVER };
        // Since yesterday's may reach into today. Whole days in a row are one stretch, a week at most.
        let Ok(first) = today.checked_sub(jiff::Span::new().days(8)) else { return TimeRange::NEVER };
        let stretches = first.series(jiff::Span::new().days(1)).take(AHEAD + 8).filter_map(|day| self.stretch(day));
        let mut found: Option<TimeRange> = None;
        for stretch in stretches {
            match &mut found {
                Some(open) if stretch.from <= open.until => open.until = open.until.max(stretch.until),
                Some(open) if now < open.until => break,
                Some(_) | None => found = Some(stretch),
            }
        }
        found.filter(|open| now < open.until).unwrap_or(TimeRange::NEVER)
    }

    /// What begins on `day`, if anything does.
    fn stretch(&self, day: Date) -> Option<TimeRange> {
        if self.days & bit(day.weekday()) == 0 {
            return None;
        }
        let at = |day: Date, minute: u16| {
            let day = if minute == DAY { day.tomorrow().ok()? } else { day };
            let (hour, minute) = (minute % DAY / 60, minute % 60);
            self.zone.instant(day.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0))
        };
        let last = if self.until < self.from { day.tomorrow().ok()? } else { day };
        let range = TimeRange { from: at(day, self.from)?, until: at(last, self.until)? };
        (range.from < range.until).then_some(range)
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

fn is_hours(word: &str) -> bool {
    word.contains('-') && word.starts_with(|c: char| c.is_ascii_digit())
}

/// `mon-fri`, `sat,sun`, `fri-mon`.
fn days_of(text: &str) -> Result<u8, ScheduleError> {
    let mut days = 0;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day_of(first)?, day_of(last)?);
        let length = (last + 7 - first) % 7;
        days = (first..=first + length).fold(days, |days, day| days | 1 << (day % 7));
    }
    if days == 0 { Err(unreadable()) } else { Ok(days) }
}

fn day_of(word: &str) -> Result<usize, ScheduleError> {
    let lower = word.to_ascii_lowercase();
    let known = DAYS.iter().position(|day| lower.starts_with(day));
    known.ok_or_else(|| {
        ScheduleError::new(format!("{word:?} is no day of the week"))
            .hint("the days are mon, tue, wed, thu, fri, sat, sun")
    })
}

fn minute(text: &str) -> Result<u16, ScheduleError> {
    let wrong = || ScheduleError::new(format!("{text:?} is no time of day")).hint("write HH:MM, from 00:00 to 24:00");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, longest| {
        let digits = (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let hour = number(hour, 2).ok_or_else(wrong)?;
    let minute = Some(minute).filter(|text| text.len() == 2).and_then(|text| number(text, 2)).ok_or_else(wrong)?;
    let all = hour * 60 + minute;
    if minute < 60 && all <= DAY { Ok(all) } else { Err(wrong()) }
}

fn unreadable() -> ScheduleError {
    ScheduleError::new("this is no window")
        .hint("write it like \"22:00-06:00 Europe/Berlin\", or \"mon-fri 22:00-06:00 Europe/Berlin\"")
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != EVERY_DAY {
            write!(f, "{} ", days_in_words(self.days))?;
        }
        let (from, until) = (self.from, self.until);
        write!(f, "{:02}:{:02}-{:02}:{:02} {}", from / 60, from % 60, until / 60, until % 60, self.zone)
    }
}

/// Days in a row as `mon-fri`, the others one by one.
fn days_in_words(days: u8) -> String {
    let has = |day: usize| days & 1 << (day % 7) != 0;
    let name = |day: usize| DAYS.get(day % 7).copied().unwrap_or_default();
    let firsts = (0..7).filter(|&day| has(day) && !has(day + 6));
    let runs = firsts.map(|first| {
        let length = (0..7).take_while(|n| has(first + n)).count();
        match length {
            1 => name(first).to_owned(),
            2 => format!("{},{}", name(first), name(first + 1)),
            _ => format!("{}-{}", name(first), name(first + length - 1)),
        }
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::schedule::Start;

    fn at(text: &str) -> Timestamp {
        Start::parse(text).unwrap().at()
    }

    /// The stretch at `now`, in UTC.
    fn open_range(window: &str, now: &str) -> (String, String) {
        let range = Window::parse(window).unwrap().open_range(at(now));
        (range.from.to_string(), range.until.to_string())
    }

    fn expect(window: &str, now: &str, from: &str, until: &str) {
        assert_eq!(open_range(window, now), (format!("{from}:00Z"), format!("{until}:00Z")), "{window} at {now}");
    }

    #[test]
    fn a_window_is_open_from_its_first_to_before_its_last_minute() {
        let window = "09:00-17:00 UTC";
        expect(window, "2026-11-23T08:59:59Z", "2026-11-23T09:00", "2026-11-23T17:00");
        expect(window, "2026-11-23T09:00:00Z", "2026-11-23T09:00", "2026-11-23T17:00");
        expect(window, "2026-11-23T16:59:59Z", "2026-11-23T09:00", "2026-11-23T17:00");
        expect(window, "2026-11-23T17:00:00Z", "2026-11-24T09:00", "2026-11-24T17:00");
    }

    #[test]
    fn a_window_crosses_midnight_and_belongs_to_the_day_on_which_it_begins() {
        let window = "22:00-06:00 Europe/Berlin";
        expect(window, "2026-11-24T03:00:00Z", "2026-11-23T21:00", "2026-11-24T05:00");
        expect(window, "2026-11-24T05:00:00Z", "2026-11-24T21:00", "2026-11-25T05:00");
        // Friday's reaches into Saturday; Saturday and Sunday have none.
        let window = "mon-fri 22:00-06:00 Europe/Berlin";
        expect(window, "2026-11-28T04:00:00Z", "2026-11-27T21:00", "2026-11-28T05:00");
        expect(window, "2026-11-28T12:00:00Z", "2026-11-30T21:00", "2026-12-01T05:00");
    }

    #[test]
    fn whole_days_in_a_row_are_one_stretch() {
        expect("sat,sun 00:00-24:00 UTC", "2026-11-25T12:00:00Z", "2026-11-28T00:00", "2026-11-30T00:00");
        expect("sat,sun 00:00-24:00 UTC", "2026-11-29T12:00:00Z", "2026-11-28T00:00", "2026-11-30T00:00");
    }

    #[test]
    fn the_night_when_the_clocks_go_forward_is_an_hour_shorter() {
        let before = "2027-03-27T20:00:00Z";
        expect("22:00-06:00 Europe/Berlin", before, "2027-03-27T21:00", "2027-03-28T04:00");
        expect("22:00-02:30 Europe/Berlin", before, "2027-03-27T21:00", "2027-03-28T01:00");
        expect("02:30-06:00 Europe/Berlin", before, "2027-03-28T01:00", "2027-03-28T04:00");
        // Within the skipped hour there is nothing to open: the next day's is next.
        expect("02:10-02:50 Europe/Berlin", before, "2027-03-29T00:10", "2027-03-29T00:50");
        expect("22:00-06:00 America/New_York", "2027-03-13T20:00:00Z", "2027-03-14T03:00", "2027-03-14T10:00");
    }

    #[test]
    fn the_night_when_the_clocks_go_back_is_an_hour_longer_and_a_doubled_time_is_its_first_occurrence() {
        let before = "2026-10-24T19:00:00Z";
        expect("22:00-06:00 Europe/Berlin", before, "2026-10-24T20:00", "2026-10-25T05:00");
        expect("22:00-02:30 Europe/Berlin", before, "2026-10-24T20:00", "2026-10-25T00:30");
        expect("02:30-06:00 Europe/Berlin", before, "2026-10-25T00:30", "2026-10-25T05:00");
        expect("02:10-02:50 Europe/Berlin", before, "2026-10-25T00:10", "2026-10-25T00:50");
        // The second 02:20 is after it.
        expect("02:10-02:50 Europe/Berlin", "2026-10-25T01:20:00Z", "2026-10-26T01:10", "2026-10-26T01:50");
        expect("22:00-01:30 America/New_York", "2026-10-31T20:00:00Z", "2026-11-01T02:00", "2026-11-01T05:30");
        expect("22:00-06:00 Asia/Tokyo", "2026-10-25T00:00:00Z", "2026-10-25T13:00", "2026-10-25T21:00");
    }

    #[test]
    fn a_stretch_is_the_same_at_every_time_until_it_is_over_and_the_next_one_follows() {
        for zone in ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"] {
            let window = Window::parse(&format!("mon-sat 22:30-02:15 {zone}")).unwrap();
            let mut now = at("2026-01-01T00:00:00Z");
            let end = at("2027-01-01T00:00:00Z");
            let mut last = TimeRange { from: Timestamp::default(), until: Timestamp::default() };
            while now < end {
                let range = window.open_range(now);
                assert!(now < range.until && (range == last || range.from >= last.until), "{zone} at {now}: {range:?}");
                assert_eq!(window.open_range(range.from), range, "{zone} at {now}");
                last = range;
                now += std::time::Duration::from_secs(187 * 60);
            }
        }
    }

    #[test]
    fn windows_are_read_as_people_write_them() {
        for (text, canonical) in [
            ("22:00-06:00 europe/berlin", "22:00-06:00 Europe/Berlin"),
            (" 9:00 – 17:30  UTC", "09:00-17:30 UTC"),
            ("Monday-Friday 22:00-06:00 UTC", "mon-fri 22:00-06:00 UTC"),
            ("sat, sun 00:00-24:00 UTC", "sat,sun 00:00-24:00 UTC"),
            ("fri-mon,wed 1:00-2:00 UTC", "wed,fri-mon 01:00-02:00 UTC"),
            ("mon-sun 1:00-2:00 UTC", "01:00-02:00 UTC"),
        ] {
            let window = Window::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(window.to_string(), canonical);
            assert_eq!(Window::parse(canonical), Ok(window));
        }
    }

    #[test]
    fn what_is_no_window_says_what_to_do() {
        for (text, words) in [
            ("22:00-06:00", "\"22:00-06:00 Europe/Berlin\""),
            ("22:00-06:00 Berlin", "did you mean Europe/Berlin?"),
            ("22-6 UTC", "HH:MM"),
            ("22:00-25:00 UTC", "\"25:00\""),
            ("22:00-06:5 UTC", "\"06:5\""),
            ("22:00-22:00 UTC", "ends when it begins"),
            ("00:00-24:00 UTC", "leave it out"),
            ("24:00-06:00 UTC", "write 00:00"),
            ("foo 22:00-06:00 UTC", "mon, tue"),
            ("at night", "write it like"),
            ("", "write it like"),
        ] {
            let error = Window::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
