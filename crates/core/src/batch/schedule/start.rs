//! `start_at`: not before.

use std::fmt;

use jiff::civil::DateTime;

use super::error::ScheduleError;
use super::zone::Zone;
use crate::time::Timestamp;

/// A point in time as a person wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    at: Timestamp,
    zone: Option<Zone>,
    written: String,
}

impl Start {
    /// Reads RFC 3339 (`2026-11-23T22:00:00+01:00`), or a local time with its zone (`2026-11-23 22:00 Europe/Berlin`).
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            let at = u64::try_from(at.as_millisecond()).map_err(|_| too_early())?;
            return Ok(Self { at: Timestamp::from_millis(at), zone: None, written: text.to_owned() });
        }
        let (local, zone) = text.rsplit_once(' ').unwrap_or((text, ""));
        if !zone.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let known = text.parse::<DateTime>().is_ok();
            return Err(if known {
                ScheduleError::new("a time without its zone").hint(format!("add it: \"{text} Europe/Berlin\""))
            } else {
                unreadable()
            });
        }
        let local: DateTime = local.trim().parse().map_err(|_| unreadable())?;
        let zone = Zone::parse(zone)?;
        let at = zone.instant(local).ok_or_else(too_early)?;
        let written = match local.second() {
            0 => format!("{} {zone}", local.strftime("%Y-%m-%d %H:%M")),
            _ => format!("{} {zone}", local.strftime("%Y-%m-%d %H:%M:%S")),
        };
        Ok(Self { at, zone: Some(zone), written })
    }

    /// When it is.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The zone it was written in, if it has a name.
    pub(super) fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }
}

fn unreadable() -> ScheduleError {
    ScheduleError::new("this is no point in time")
        .hint("write it like \"2026-11-23 22:00 Europe/Berlin\" or 2026-11-23T22:00:00+01:00")
}

fn too_early() -> ScheduleError {
    ScheduleError::new("this is before 1970")
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read_with_an_offset_or_a_zone() {
        for text in [
            "2026-11-23T22:00:00+01:00",
            "2026-11-23 22:00:00+01:00",
            "2026-11-23T21:00:00Z",
            "2026-11-23T21:00Z",
            "2026-11-23 22:00 Europe/Berlin",
            "2026-11-23T22:00 europe/berlin",
            " 2026-11-23 22:00:00  Europe/Berlin ",
            "2026-11-23 21:00 UTC",
        ] {
            let start = Start::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(start.at().to_string(), "2026-11-23T21:00:00Z", "{text}");
            assert_eq!(Start::parse(&start.to_string()), Ok(start), "{text}");
        }
    }

    #[test]
    fn what_is_no_point_in_time_says_what_to_do() {
        for (text, words) in [
            ("2026-11-23 22:00", "\"2026-11-23 22:00 Europe/Berlin\""),
            ("2026-11-23 22:00 Berlin", "did you mean Europe/Berlin?"),
            ("tomorrow", "write it like"),
            ("22:00 Europe/Berlin", "write it like"),
            ("2026-13-23 22:00 UTC", "write it like"),
            ("1969-01-01 22:00 UTC", "before 1970"),
            ("", "write it like"),
        ] {
            let error = Start::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
