//! How far the batches are, while they are worked on.
//!
//! On a terminal one bar per batch; otherwise a line whenever something changed, at most every few seconds. Reads the
//! ledger's counts only, so it shows the same whoever does the work.

mod bars;
mod lines;

use std::time::Duration;

use tokio::time::Instant;
use veobatch_core::BatchId;
use veobatch_ledger::{BatchSummary, Batches, Ledger};

use crate::failure::Result;
use crate::output::ui;
use bars::Bars;
use lines::Lines;

/// How often the counts are read.
pub(crate) const TICK: Duration = Duration::from_millis(400);

/// The display.
#[derive(Debug)]
pub(crate) enum Progress {
    Bars(Bars),
    Lines(Lines),
}

impl Progress {
    /// A display that suits standard error.
    pub(crate) fn new() -> Self {
        if ui::can_show_bars() { Self::Bars(Bars::default()) } else { Self::Lines(Lines::default()) }
    }

    /// Shows how far `batches` are, with what is in the way of all of them.
    pub(crate) fn show(&mut self, batches: &[BatchSummary], hindrance: Option<&str>) {
        match self {
            Self::Bars(bars) => bars.show(batches, hindrance),
            Self::Lines(lines) => lines.show(batches, hindrance),
        }
    }

    /// Takes the display away.
    pub(crate) fn end(self) {
        if let Self::Bars(bars) = self {
            bars.end();
        }
    }
}

/// The summaries of `wanted`, in that order.
pub(crate) async fn summaries(ledger: &dyn Ledger, wanted: &[BatchId]) -> Result<Vec<BatchSummary>> {
    let mut all = ledger.list(&Batches::Named(wanted.to_vec())).await?;
    let place = |summary: &BatchSummary| wanted.iter().position(|name| name.folded() == summary.batch.folded());
    all.sort_by_key(place);
    Ok(all)
}

/// Jobs that nothing but a person moves.
pub(crate) fn settled(batch: &BatchSummary) -> u64 {
    batch.counts.iter().filter(|(state, _)| state.is_settled()).map(|(_, count)| count).sum()
}

/// Whether nothing of `batch` can move without a person.
pub(crate) fn is_settled(batch: &BatchSummary) -> bool {
    let waits_for_a_person = batch.paused || veobatch_core::Schedule::recurs(&batch.terms.schedule);
    let queued = if waits_for_a_person { batch.count(veobatch_core::StateName::Queued) } else { 0 };
    settled(batch) + queued == batch.total()
}

/// How fast jobs get settled, over the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Speed {
    seen: std::collections::VecDeque<(Instant, u64)>,
}

/// How far back the speed looks.
const WINDOW: Duration = Duration::from_secs(180);

impl Speed {
    /// Takes note of how many are settled now.
    pub(crate) fn note(&mut self, settled: u64) {
        let now = Instant::now();
        if self.seen.back().is_none_or(|(_, last)| *last != settled) || self.seen.len() < 2 {
            self.seen.push_back((now, settled));
        }
        while self.seen.len() > 2 && self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Jobs a minute, once some were settled.
    pub(crate) fn per_minute(&self) -> Option<f64> {
        let ((from, first), (_, last)) = (self.seen.front()?, self.seen.back()?);
        let elapsed = Instant::now().duration_since(*from).as_secs_f64();
        let done = u32::try_from(last.saturating_sub(*first)).ok()?;
        (done > 0 && elapsed > 5.0).then(|| f64::from(done) * 60.0 / elapsed)
    }

    /// How long `left` more will take.
    pub(crate) fn left(&self, left: u64) -> Option<Duration> {
        let left = f64::from(u32::try_from(left).ok()?);
        Duration::try_from_secs_f64(left * 60.0 / self.per_minute()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_left_follows_from_what_was_done_lately() {
        let mut speed = Speed::default();
        speed.note(100);
        assert_eq!(speed.left(10), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        speed.note(130);
        assert_eq!(speed.per_minute(), Some(30.0));
        assert_eq!(speed.left(60), Some(Duration::from_secs(120)));
    }
}
