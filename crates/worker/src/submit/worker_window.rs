//! When this process submits for batches that have no window of their own (`worker --window`).
//!
//! While it is closed, submissions are claimed for batches with a window of their own only; if there is none, nothing is
//! asked for. Which batches those are is looked at by the maintenance, the time right before each claim.

use std::sync::{Mutex, PoisonError};

use tracing::info;
use veobatch_core::{BatchId, Schedule, TimeRange, Timestamp, Window};
use veobatch_ledger::BatchSummary;

/// The hours of one process.
#[derive(Debug)]
pub(crate) struct WorkerWindow {
    window: Option<Window>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The present stretch, or the next one.
    range: Option<TimeRange>,
    /// Batches with a window of their own.
    own: Vec<BatchId>,
    /// Whether it was open when somebody asked last.
    was_open: Option<bool>,
}

/// For which batches submissions may be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// For all.
    All,
    /// For these, until the hours begin.
    Only(Vec<BatchId>, Timestamp),
}

impl WorkerWindow {
    pub(crate) fn new(window: Option<Window>) -> Self {
        Self { window, known: Mutex::default() }
    }

    /// Whether it ever matters what time it is.
    pub(crate) fn is_limited(&self) -> bool {
        self.window.is_some()
    }

    /// Takes note of which batches have a window of their own.
    pub(crate) fn look(&self, batches: &[BatchSummary]) {
        if self.window.is_none() {
            return;
        }
        let has_own = |batch: &&BatchSummary| {
            let schedule = &batch.terms.schedule;
            !schedule.is_empty() && Schedule::parse(schedule).is_ok_and(|schedule| schedule.window.is_some())
        };
        let own = batches.iter().filter(has_own).map(|batch| batch.batch.clone()).collect();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).own = own;
    }

    /// For which batches submissions may be claimed at `now`; says it once when the hours begin and end.
    pub(crate) fn allowed(&self, now: Timestamp) -> Allowed {
        let Some(window) = &self.window else { return Allowed::All };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let range = known.range.filter(|range| now < range.until).unwrap_or_else(|| window.open_range(now));
        known.range = Some(range);
        let is_open = range.contains(now);
        if known.was_open.replace(is_open) != Some(is_open) {
            if is_open {
                info!(%window, "this worker's hours have begun: it submits for every batch");
            } else {
                info!(%window, "outside of this worker's hours it submits only for batches with a window of their own");
            }
        }
        if is_open { Allowed::All } else { Allowed::Only(known.own.clone(), range.from) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use veobatch_core::{BatchSettings, Credits, Start};

    use super::*;

    fn at(text: &str) -> Timestamp {
        Start::parse(text).unwrap().at()
    }

    fn batch(name: &str, schedule: &str) -> BatchSummary {
        BatchSummary {
            batch: BatchId::parse(name).unwrap(),
            counts: BTreeMap::new(),
            paused: false,
            paused_because: None,
            cancelling: false,
            created: Timestamp::default(),
            rested: None,
            terms: BatchSettings { schedule: schedule.to_owned(), ..BatchSettings::default() },
            credits: Credits::default(),
        }
    }

    #[test]
    fn outside_of_its_hours_a_worker_submits_for_batches_with_a_window_of_their_own_only() {
        let hours = WorkerWindow::new(Some(Window::parse("22:00-06:00 Europe/Berlin").unwrap()));
        let day = at("2026-11-23T12:00:00Z");
        let opens = at("2026-11-23T21:00:00Z");
        assert_eq!(hours.allowed(day), Allowed::Only(Vec::new(), opens));
        let started = "start 2026-11-23 10:00 UTC";
        hours.look(&[batch("a", ""), batch("b", "window 09:00-17:00 UTC"), batch("c", started), batch("d", "broken")]);
        assert_eq!(hours.allowed(day), Allowed::Only(vec![BatchId::parse("b").unwrap()], opens));
        assert_eq!(hours.allowed(opens), Allowed::All);
        assert_eq!(hours.allowed(at("2026-11-24T04:59:59Z")), Allowed::All);
        assert_eq!(
            hours.allowed(at("2026-11-24T05:00:00Z")),
            Allowed::Only(vec![BatchId::parse("b").unwrap()], at("2026-11-24T21:00:00Z"))
        );
        assert_eq!(WorkerWindow::new(None).allowed(day), Allowed::All);
    }
}
