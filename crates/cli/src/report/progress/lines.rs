//! Plain lines, for a file or a pipe.

use std::time::Duration;

use tokio::time::Instant;
use veobatch_ledger::BatchSummary;

use super::{is_settled, settled};
use crate::output::format::number;
use crate::output::ui;
use crate::report::messages;

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
        let said: Vec<String> = self.said.iter().map(|line| timeless(line)).collect();
        for line in lines.iter().filter(|line| !said.contains(&timeless(line))) {
            ui::message(line);
        }
        self.last = Some(Instant::now());
        self.said = lines;
    }
}

/// A line without the time that is left in it: that passes by itself, and is no news.
fn timeless(line: &str) -> String {
    match line.split_once("; next try in ") {
        Some((before, _)) => before.to_owned(),
        None => line.to_owned(),
    }
}

fn line(batch: &BatchSummary) -> String {
    let paused = if batch.paused { " (paused)" } else { "" };
    format!(
        "{}: {} of {}: {}{paused}",
        batch.batch,
        number(settled(batch)),
        number(batch.total()),
        messages::counts(batch)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_no_news() {
        let gate =
            |wait| format!("gate:    closed: maintenance (455); next try in {wait} (finished videos are still saved)");
        assert_eq!(timeless(&gate("53 s")), timeless(&gate("49 s")));
        assert_ne!(timeless("n: 1 of 2: 1 done"), timeless("n: 2 of 2: 2 done"));
    }
}
