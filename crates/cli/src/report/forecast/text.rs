//! Forecasts in words.

use veobatch_core::{Schedule, StateName, Timestamp};
use veobatch_ledger::BatchSummary;

use super::{BatchForecast, Forecasts, next_run};
use crate::output::format::{counted, duration, moment, number, rounded};

/// Batches of which something is said.
const SHOWN: usize = 10;

impl Forecasts {
    /// One line for each of `batches` of which there is something to say.
    pub(crate) fn lines(&self, batches: &[BatchSummary]) -> Vec<String> {
        let mut expected = batches.iter().filter_map(|batch| self.known(batch)).filter(BatchForecast::is_of_interest);
        let mut lines: Vec<String> = expected.by_ref().take(SHOWN).map(|expected| expected.words()).collect();
        if expected.next().is_some() {
            lines.push("… and more: veobatch status BATCH".to_owned());
        }
        lines
    }
}

impl BatchForecast<'_> {
    /// In words, on one line.
    pub(crate) fn words(&self) -> String {
        let words = self.recurring().unwrap_or_else(|| self.submitted());
        let scarce = self.scarce.filter(|_| !self.is_paused).map(|scarce| format!("; {}", scarce.words()));
        format!("{}: {words}{}", self.batch, scarce.unwrap_or_default())
    }

    /// Of a batch that is no template.
    fn submitted(&self) -> String {
        let Self { jobs, forecast, .. } = self;
        let pace = &self.forecasts.pace;
        let (count, per) = (number(pace.submissions.into()), duration(pace.per));
        let pace = format!("at {count} per {per} and {} in flight", number(pace.max_in_flight.into()));
        let end = self.end();
        match (&self.schedule.window, &self.schedule.start_at) {
            (Some(window), _) => {
                let which = self.which();
                let all = counted(*jobs, "job");
                let fits = match forecast.fits {
                    fits if fits >= *jobs => format!("all of {all} fit"),
                    fits => format!("about {} of {all} fit", number(rounded(fits))),
                };
                format!("{fits} into {which} ({window}), {pace}; {end}")
            }
            (None, Some(start)) if self.forecasts.now < start.at() => {
                format!("{} to submit, not before {start}, {pace}; {end}", counted(*jobs, "job"))
            }
            (None, _) => format!("{} to submit, {pace}; {end}", counted(*jobs, "job")),
        }
    }

    /// Of a template.
    fn recurring(&self) -> Option<String> {
        let cron = self.schedule.cron.as_ref()?;
        if self.jobs == 0 {
            return Some(format!("recurring ({cron}), ended: it has no jobs left"));
        }
        if self.is_paused {
            return Some(format!("recurring ({cron}), paused"));
        }
        let zone = self.schedule.zone();
        let next = next_run(&self.schedule, self.forecasts.now).map_or_else(
            || "no run within four years".to_owned(),
            |run| format!("next run {}, with {}", moment(&zone, run), counted(self.jobs, "job")),
        );
        Some(format!("recurring ({cron}): {next}"))
    }

    /// "present window", "tonight's window", "next window".
    fn which(&self) -> &'static str {
        let (zone, now, stretch) = (self.schedule.zone(), self.forecasts.now, self.forecast.stretch);
        if stretch.contains(now) {
            "the current window"
        } else if zone.day(now) == zone.day(stretch.from) && *zone.time(stretch.from) >= *"17:00" {
            "tonight's window"
        } else {
            "the next window"
        }
    }

    fn end(&self) -> String {
        let finish = self.forecast.done.map(|done| moment(&self.schedule.zone(), done));
        format!("estimated finish: {}", finish.as_deref().unwrap_or("not within years"))
    }
}

/// What keeps one of `batches` from submitting now, if it is its schedule.
pub(crate) fn closed(batches: &[BatchSummary], now: Timestamp) -> Option<String> {
    let waits = |batch: &BatchSummary| {
        let moves = batch.count(StateName::Queued) > 0 && !batch.paused && !batch.terms.schedule.is_empty();
        let schedule = moves.then(|| Schedule::parse(&batch.terms.schedule).ok()).flatten()?;
        let (range, zone) = (schedule.open_range(now), schedule.zone());
        let is_ahead = schedule.cron.is_none() && now < range.from;
        is_ahead.then(|| format!("{}: nothing is submitted before {}", batch.batch, moment(&zone, range.from)))
    };
    batches.iter().find_map(waits)
}
