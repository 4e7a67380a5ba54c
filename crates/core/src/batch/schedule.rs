//! When the jobs of a batch may be submitted: from some time on, in a daily window, again and again.
//!
//! ```text
//! text ──parse──▶ Schedule ──open_range(now)──▶ the present open stretch, or the next one ──▶ the ledger's exact times
//! ```
//!
//! A schedule is stored as text, which the ledger never reads, and computed into a [`TimeRange`], which is all that a claim
//! reads. Computing it late is harmless: a stretch that is over stays over until somebody computes the next one.
//!
//! Local times follow one rule (see [`zone`]): a time that the clocks skip is the end of the gap, and one that they show
//! twice is its first occurrence. Pure: no clock, and no zone files of the machine.

mod cron;
mod error;
mod start;
mod window;
mod zone;

use std::fmt;

use super::settings::TimeRange;
use crate::time::Timestamp;

pub use cron::{Cron, MAX_STAMP_BYTES};
pub use error::ScheduleError;
pub use start::Start;
pub use window::Window;
pub use zone::Zone;

/// When a batch may submit. The default: always.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Not before.
    pub start_at: Option<Start>,
    /// Only then.
    pub window: Option<Window>,
    /// Never itself: it is the template of a batch for each of these instants.
    pub cron: Option<Cron>,
}

impl Schedule {
    /// Reads the stored form ([`fmt::Display`]).
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let mut schedule = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (word, rest) = part.split_once(' ').unwrap_or((part, ""));
            match word {
                "start" => schedule.start_at = Some(Start::parse(rest)?),
                "window" => schedule.window = Some(Window::parse(rest)?),
                "cron" => schedule.cron = Some(Cron::recall(rest)?),
                _ => return Err(ScheduleError::new(format!("{part:?} is no part of a schedule"))),
            }
        }
        Ok(schedule)
    }

    /// Whether a schedule as it is stored is that of a template; cheaper than reading it.
    pub fn recurs(text: &str) -> bool {
        text.split(';').any(|part| part.trim_start().starts_with("cron "))
    }

    /// The open stretch that `now` lies in, or the next one. The same at every time until it is over.
    pub fn open_range(&self, now: Timestamp) -> TimeRange {
        if self.cron.is_some() {
            return TimeRange::NEVER;
        }
        let start = self.start_at.as_ref().map_or(TimeRange::ALWAYS.from, Start::at);
        let stretch = self.window.as_ref().map_or(TimeRange::ALWAYS, |window| window.open_range(now.max(start)));
        TimeRange { from: stretch.from.max(start).min(stretch.until), until: stretch.until }
    }

    /// What a run of this template is scheduled by: all but the recurrence.
    #[must_use]
    pub fn of_a_run(&self) -> Self {
        Self { cron: None, start_at: None, window: self.window.clone() }
    }

    /// The zone that a person thinks of it in.
    pub fn zone(&self) -> Zone {
        let window = self.window.as_ref().map(Window::zone);
        let cron = self.cron.as_ref().map(Cron::zone);
        window.or(cron).or(self.start_at.as_ref().and_then(Start::zone)).cloned().unwrap_or_default()
    }
}

/// The stored form, on one line: `start …; window …; cron …`. Empty: always.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start_at.as_ref().map(|start| format!("start {start}"));
        let window = self.window.as_ref().map(|window| format!("window {window}"));
        let cron = self.cron.as_ref().map(|cron| format!("cron {}", cron.stored()));
        let parts: Vec<String> = [start, window, cron].into_iter().flatten().collect();
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Start::parse(text).unwrap().at()
    }

    fn scheduled(start: Option<&str>, window: Option<&str>) -> Schedule {
        let start_at = start.map(|text| Start::parse(text).unwrap());
        Schedule { start_at, window: window.map(|text| Window::parse(text).unwrap()), cron: None }
    }

    #[test]
    fn a_schedule_is_read_as_it_is_stored() {
        let mut all = scheduled(Some("2026-11-23 22:00 Europe/Berlin"), Some("mon-fri 22:00-06:00 europe/berlin"));
        let cron = Cron::parse("0 22 * * 1-5 Europe/Berlin").unwrap();
        all.cron = Some(cron.since(Timestamp::from_millis(1_795_368_605_123)));
        for schedule in [Schedule::default(), scheduled(None, Some("9:00-17:30 UTC")), all.clone(), all.of_a_run()] {
            assert_eq!(Schedule::parse(&schedule.to_string()), Ok(schedule.clone()), "{schedule}");
            assert!(!schedule.to_string().contains(['\n', '\r']));
            assert_eq!(Schedule::recurs(&schedule.to_string()), schedule.cron.is_some());
        }
        assert_eq!(Schedule::default().to_string(), "");
        assert!(all.to_string().starts_with("start 2026-11-23 22:00 Europe/Berlin; window mon-fri 22:00-06:00 Europe/Berlin; cron 0 22 * * 1-5 Europe/Berlin"));
        assert!(Schedule::parse("tomorrow").is_err());
    }

    #[test]
    fn without_anything_it_is_always_open_and_with_a_start_from_then_on() {
        let now = at("2026-11-23T12:00:00Z");
        assert_eq!(Schedule::default().open_range(now), TimeRange::ALWAYS);
        let start = scheduled(Some("2026-11-23T22:00:00+01:00"), None);
        let expected = TimeRange { from: at("2026-11-23T21:00:00Z"), until: TimeRange::ALWAYS.until };
        assert_eq!(
            [start.open_range(now), start.open_range(expected.from), start.open_range(TimeRange::ALWAYS.until)],
            [expected; 3]
        );
    }

    #[test]
    fn a_start_within_a_stretch_opens_it_late_and_one_between_two_opens_the_next() {
        let window = Some("22:00-06:00 Europe/Berlin");
        let now = at("2026-11-20T12:00:00Z");
        let within = scheduled(Some("2026-11-24 01:00 Europe/Berlin"), window).open_range(now);
        assert_eq!(within, TimeRange { from: at("2026-11-24T00:00:00Z"), until: at("2026-11-24T05:00:00Z") });
        let between = scheduled(Some("2026-11-24 12:00 Europe/Berlin"), window).open_range(now);
        assert_eq!(between, TimeRange { from: at("2026-11-24T21:00:00Z"), until: at("2026-11-25T05:00:00Z") });
        let past = scheduled(Some("2026-11-01 12:00 Europe/Berlin"), window).open_range(now);
        assert_eq!(past, TimeRange { from: at("2026-11-20T21:00:00Z"), until: at("2026-11-21T05:00:00Z") });
    }

    #[test]
    fn a_template_is_never_open_itself_and_its_runs_have_its_window() {
        let mut template = scheduled(Some("2026-11-23 22:00 UTC"), Some("22:00-06:00 UTC"));
        template.cron = Some(Cron::parse("0 22 * * * UTC").unwrap());
        assert_eq!(template.open_range(at("2026-11-23T23:00:00Z")), TimeRange::NEVER);
        assert_eq!(template.of_a_run(), scheduled(None, Some("22:00-06:00 UTC")));
    }
}
