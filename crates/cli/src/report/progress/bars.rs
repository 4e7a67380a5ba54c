//! Bars on a terminal, one per batch.

use std::collections::HashMap;

use indicatif::{ProgressBar, ProgressStyle};
use veobatch_core::BatchId;
use veobatch_ledger::BatchSummary;

use super::{Speed, settled};
use crate::output::format::duration;
use crate::output::table::plain;
use crate::output::ui;
use crate::report::messages;

/// More batches than this share one bar.
const MOST: usize = 12;

#[derive(Debug, Default)]
pub(crate) struct Bars {
    bars: HashMap<BatchId, (ProgressBar, Speed)>,
    hindrance: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn show(&mut self, batches: &[BatchSummary], hindrance: Option<&str>) {
        if let (Some(first), true) = (batches.first(), batches.len() > MOST) {
            self.bar(&together(first, batches), "all");
        } else {
            for batch in batches {
                self.bar(batch, &plain(batch.batch.as_str(), 24));
            }
        }
        self.hinder(hindrance);
    }

    fn bar(&mut self, batch: &BatchSummary, name: &str) {
        let (bar, speed) = self.bars.entry(batch.batch.clone()).or_insert_with(|| {
            let bar = ui::bars().add(ProgressBar::new(batch.total()).with_style(style()));
            bar.set_prefix(name.to_owned());
            (bar, Speed::default())
        });
        let settled = settled(batch);
        speed.note(settled);
        let mut words = vec![messages::counts(batch)];
        if batch.paused {
            words.push("paused".to_owned());
        } else if settled < batch.total() {
            if let Some(rate) = speed.per_minute() {
                words.push(format!("{rate:.1}/min"));
            }
            if let Some(left) = speed.left(batch.total() - settled) {
                words.push(format!("{} left", duration(left)));
            }
        }
        bar.set_length(batch.total());
        bar.set_position(settled);
        bar.set_message(words.join(" · "));
    }

    /// A line beneath the bars: what is in the way of all of them.
    fn hinder(&mut self, hindrance: Option<&str>) {
        match (hindrance, &self.hindrance) {
            (Some(words), Some(line)) => line.set_message(words.to_owned()),
            (Some(words), None) => {
                let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| style());
                let line = ui::bars().add(ProgressBar::new(1).with_style(style));
                line.set_message(words.to_owned());
                self.hindrance = Some(line);
            }
            (None, _) => {
                if let Some(line) = self.hindrance.take() {
                    line.finish_and_clear();
                }
            }
        }
    }

    pub(super) fn end(mut self) {
        self.hinder(None);
        for (bar, _) in self.bars.values() {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>12} {bar:24.green/dim} {pos}/{len} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

/// Many batches as one, under the name of the first.
fn together(first: &BatchSummary, batches: &[BatchSummary]) -> BatchSummary {
    let mut all = first.clone();
    for batch in batches.iter().skip(1) {
        for (state, count) in &batch.counts {
            *all.counts.entry(*state).or_default() += count;
        }
        all.paused &= batch.paused;
    }
    all
}
