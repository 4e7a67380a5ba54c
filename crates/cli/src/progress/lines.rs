//! Plain lines, for a file or a pipe.

use std::time::Duration;

use tokio::time::Instant;
use veobatch_ledger::BatchSummary;

use super::{is_settled, settled};
use crate::say;
use crate::units::number;
use crate::words;

/// Shortest time between two rounds of lines.
const PAUSE: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct Lines {
    last: Option<Instant>,
    said: Vec<String>,
}

impl Lines {
    pub(super) fn show(&mut self, batches: &[BatchSummary], hindrance: Option<&str>) {
        let lines: Vec<String> = batches.iter().map(line).chain(hindrance.map(str::to_owned)).collect();
        let is_over = batches.iter().all(is_settled);
        let is_early = self.last.is_some_and(|last| last.elapsed() < PAUSE);
        if lines == self.said || (is_early && !is_over) {
            return;
        }
        for line in lines.iter().filter(|line| !self.said.contains(line)) {
            say::words(line);
        }
        self.last = Some(Instant::now());
        self.said = lines;
    }
}

fn line(batch: &BatchSummary) -> String {
    let paused = if batch.paused { " (paused)" } else { "" };
    format!(
        "{}: {} of {}: {}{paused}",
        batch.batch,
        number(settled(batch)),
        number(batch.total()),
        words::counts(batch)
    )
}
