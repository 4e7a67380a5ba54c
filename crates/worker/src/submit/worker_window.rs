//! When this process submits for batches that have no window of their own (`worker --window`).
//!
//! While the window is closed, submissions are claimed only for batches with a window of their own; if there are none,
//! nothing is claimed. Which batches those are is refreshed periodically, the time is checked right before each claim.

use std::sync::{Mutex, PoisonError};

use tracing::info;
use veobatch_core::{BatchId, Schedule, TimeRange, Timestamp, Window};
use veobatch_ledger::BatchSummary;

/// The window of one process.
#[derive(Debug)]
pub(crate) struct WorkerWindow {
    window: Option<Window>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The current opening, or the next one.
    range: Option<TimeRange>,
    /// Batches with a window of their own.
    own: Vec<BatchId>,
    /// Whether it was open at the last check.
    was_open: Option<bool>,
}

/// For which batches submissions may be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    All,
    /// Only for these, until the window opens at this time.
    Only(Vec<BatchId>, Timestamp),
}

impl WorkerWindow {
    pub(crate) fn new(window: Option<Window>) -> Self {
        Self { window, known: Mutex::default() }
    }

    /// Whether there is a window.
    pub(crate) fn is_limited(&self) -> bool {
        self.window.is_some()
    }

    /// Refreshes which batches have a window of their own.
    pub(crate) fn refresh(&self, batches: &[BatchSummary]) {
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

    /// For which batches submissions may be claimed at `now`. Logs once when the window opens and closes.
    pub(crate) fn allowed(&self, now: Timestamp) -> Allowed {
        let Some(window) = &self.window else { return Allowed::All };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let range = known.range.filter(|range| now < range.until).unwrap_or_else(|| window.open_range(now));
        known.range = Some(range);
        let is_open = range.contains(now);
        if known.was_open.replace(is_open) != Some(is_open) {
            if is_open {
                info!(%window, "this worker's window is open: it submits for every batch");
            } else {
                info!(%window, "this worker's window is closed: it submits only for batches with a window of their own");
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
        let window = WorkerWindow::new(Some(Window::parse("22:00-06:00 Europe/Berlin").unwrap()));
        let day = at("2026-11-23T12:00:00Z");
        let opens = at("2026-11-23T21:00:00Z");
        assert_eq!(window.allowed(day), Allowed::Only(Vec::new(), opens));
        let started = "start 2026-11-23 10:00 UTC";
        window.refresh(&[
            batch("a", ""),
            batch("b", "window 09:00-17:00 UTC"),
            batch("c", started),
            batch("d", "broken"),
        ]);
        assert_eq!(window.allowed(day), Allowed::Only(vec![BatchId::parse("b").unwrap()], opens));
        assert_eq!(window.allowed(opens), Allowed::All);
        assert_eq!(window.allowed(at("2026-11-24T04:59:59Z")), Allowed::All);
        assert_eq!(
            window.allowed(at("2026-11-24T05:00:00Z")),
            Allowed::Only(vec![BatchId::parse("b").unwrap()], at("2026-11-24T21:00:00Z"))
        );
        assert_eq!(WorkerWindow::new(None).allowed(day), Allowed::All);
    }
}
