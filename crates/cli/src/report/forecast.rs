//! What is to be expected of batches: how many of their jobs fit into the next window, when the last is done, when a
//! recurring one runs next.

pub(crate) mod text;

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use veobatch_core::{
    BatchId, BatchSettings, Credits, Durations, Forecast, Rival, Schedule, StateName, Throughput, TimeRange, Timestamp,
    VideoKind, forecast,
};
use veobatch_ledger::{BatchSummary, Batches, Ledger, Pace};
use veobatch_producer::BatchOptions;

use crate::args::parse::Rate;
use crate::args::settings::PaceSettings;
use crate::failure::Result;
use crate::report::budgets::{self, Scarce};
use crate::report::json::Time;

/// What a video takes as long as none of the account's own is known: a median for planning, not a promise of the service.
const USUAL: Duration = Duration::from_secs(90);

/// The forecast of one batch reads all others: with more batches than this, none is forecast by itself.
const FEW: usize = 500;

/// What expectations are made of.
#[derive(Debug)]
pub(crate) struct Forecasts {
    pace: Pace,
    /// What a video usually takes.
    typical: Duration,
    batches: Vec<BatchSummary>,
    prices: BTreeMap<String, Credits>,
    /// What the next job of a batch with a budget costs, by the batch's folded name.
    next: BTreeMap<String, Credits>,
    now: Timestamp,
}

/// What is expected of one batch.
#[derive(Debug)]
pub(crate) struct BatchForecast<'a> {
    forecasts: &'a Forecasts,
    batch: BatchId,
    jobs: u64,
    is_paused: bool,
    schedule: Schedule,
    forecast: Forecast,
    /// Its budget, if that ends before the jobs do.
    scarce: Option<Scarce>,
}

impl Forecasts {
    /// From what the ledger knows of the batches that are not at rest, and of those that are `named`.
    pub(crate) async fn of(ledger: &dyn Ledger, named: &[BatchId]) -> Result<Self> {
        let account = ledger.account(0).await?;
        let known = ledger.durations().await?;
        let mut batches = ledger.list(&Batches::Active).await?;
        let named = ledger.list(&Batches::Named(named.to_vec())).await?;
        batches.extend(named.into_iter().filter(|batch| batch.rested.is_some()));
        let typical = typical(&known).unwrap_or(USUAL);
        let next = BTreeMap::new();
        Ok(Self { pace: account.pace, typical, batches, prices: account.prices, next, now: account.calendar })
    }

    /// Without a ledger.
    pub(crate) fn usual() -> Self {
        let now = veobatch_api::wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_millis(0) + now;
        let (prices, next) = (BTreeMap::new(), BTreeMap::new());
        Self { pace: Pace::default(), typical: USUAL, batches: Vec::new(), prices, next, now }
    }

    /// At the pace that `settings` name, as far as they do: a run with them would store it first.
    pub(crate) fn paced(mut self, settings: &PaceSettings) -> Self {
        if let Some(Rate { count, per }) = settings.rate {
            self.pace = Pace { submissions: count, per, ..self.pace };
        }
        self.pace.max_in_flight = settings.max_in_flight.unwrap_or(self.pace.max_in_flight);
        self
    }

    /// With the prices by which the budgets of these batches are judged.
    pub(crate) async fn priced(mut self, ledger: &dyn Ledger, batches: &[BatchSummary]) -> Result<Self> {
        let is_limited = |batch: &&BatchSummary| batch.terms.budget.is_some() && batch.count(StateName::Queued) > 0;
        for batch in batches.iter().filter(is_limited).take(FEW) {
            let price = budgets::next_price(ledger, &batch.batch, &self.prices).await?;
            self.next.extend(price.map(|price| (batch.batch.folded(), price)));
        }
        Ok(self)
    }

    /// A batch's element of `status --json` with what is expected of it.
    pub(crate) fn of_a_batch(&self, batch: &BatchSummary, mut shape: Value) -> Value {
        let is_one_of_few = self.batches.len() <= FEW;
        let known = is_one_of_few.then(|| self.known(batch)).flatten();
        let forecast = known.filter(BatchForecast::is_of_interest).map(|expected| expected.document());
        if let Value::Object(object) = &mut shape {
            object.insert("forecast".to_owned(), json!(forecast));
        }
        shape
    }

    /// What is expected of a batch of the ledger; nothing if its schedule cannot be read.
    pub(crate) fn known(&self, batch: &BatchSummary) -> Option<BatchForecast<'_>> {
        let schedule = Schedule::parse(&batch.terms.schedule).ok()?;
        let jobs = batch.count(StateName::Queued);
        let each = self.next.get(&batch.batch.folded()).copied();
        let expected = self.expected(&batch.batch, jobs, &batch.terms, schedule, batch.paused);
        Some(expected.limited(batch.terms.budget, batch.credits, each))
    }

    /// What is expected of a batch with `new` jobs more, which cost `each`, and with what is asked for it.
    pub(crate) fn with(
        &self,
        batch: &BatchId,
        new: u64,
        each: Option<Credits>,
        asked: &BatchOptions,
    ) -> Option<BatchForecast<'_>> {
        let known = self.batches.iter().find(|known| known.batch.folded() == batch.folded());
        let terms = known.map(|known| known.terms.clone()).unwrap_or_default();
        let terms = asked.terms(&terms, self.now).ok()?;
        let schedule = Schedule::parse(&terms.schedule).ok()?;
        let queued = known.map_or(0, |known| known.count(StateName::Queued));
        let is_paused = known.is_some_and(|known| known.paused);
        let used = known.map(|known| known.credits).unwrap_or_default();
        let expected = self.expected(batch, queued + new, &terms, schedule, is_paused);
        Some(expected.limited(terms.budget, used, each))
    }

    fn expected(
        &self,
        batch: &BatchId,
        jobs: u64,
        terms: &BatchSettings,
        schedule: Schedule,
        is_paused: bool,
    ) -> BatchForecast<'_> {
        let throughput =
            Throughput { spacing: self.pace.spacing(), cap: self.pace.max_in_flight, duration: self.typical };
        let rivals: Vec<Rival> =
            self.batches.iter().filter(|rival| rival.batch.folded() != batch.folded()).filter_map(rival).collect();
        let forecast = match next_run(&schedule, self.now) {
            // Of the next run: whoever is queued now will be done by then, or not; nobody knows.
            Some(run) => forecast(jobs, terms, &schedule.of_a_run(), &[], &throughput, run),
            None => forecast(jobs, terms, &schedule, &rivals, &throughput, self.now),
        };
        BatchForecast { forecasts: self, batch: batch.clone(), jobs, is_paused, schedule, forecast, scarce: None }
    }
}

impl BatchForecast<'_> {
    /// With a budget, so much of it used, for jobs that cost `each`.
    fn limited(mut self, budget: Option<Credits>, used: Credits, each: Option<Credits>) -> Self {
        // Each run has the whole budget.
        let used = if self.recurs() { Credits::default() } else { used };
        let both = budget.zip(each);
        self.scarce = both.and_then(|(budget, each)| Scarce::of(budget, used, each, self.jobs));
        self
    }

    /// Whether its jobs are made again and again.
    pub(crate) fn recurs(&self) -> bool {
        self.schedule.cron.is_some()
    }

    /// Whether there is anything to say: jobs that wait, or a schedule.
    pub(crate) fn is_of_interest(&self) -> bool {
        self.recurs() || (self.jobs > 0 && !self.is_paused)
    }

    /// As a value of `forecast`.
    pub(crate) fn document(&self) -> Value {
        let Forecast { stretch, fits, done } = self.forecast;
        json!({
            "batch": self.batch,
            "jobs": self.jobs,
            "fits": fits,
            "affordable": self.scarce.map(|scarce| scarce.jobs),
            "opens": (stretch.from > TimeRange::ALWAYS.from).then_some(Time(stretch.from)),
            "closes": (stretch.until < TimeRange::ALWAYS.until).then_some(Time(stretch.until)),
            "done": done.map(Time),
            "next_run": next_run(&self.schedule, self.forecasts.now).filter(|_| !self.is_paused && self.jobs > 0).map(Time),
        })
    }
}

/// What a video usually takes: the medians of all kinds, each as far as it was seen.
fn typical(known: &[(VideoKind, Durations)]) -> Option<Duration> {
    let seen = known.iter().filter_map(|(_, known)| Some((known.quantile(0.5)?, known.count())));
    let (sum, count) = seen.fold((Duration::ZERO, 0), |(sum, count), (median, more)| {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        (sum.saturating_add(median.saturating_mul(more)), more.saturating_add(count))
    });
    sum.checked_div(count)
}

/// The next instant of a template.
pub(crate) fn next_run(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    let cron = schedule.cron.as_ref()?;
    let pending = cron.pending()?;
    if pending > now { Some(pending) } else { cron.next(now) }
}

fn rival(batch: &BatchSummary) -> Option<Rival> {
    let jobs = batch.count(StateName::Queued);
    let moves = jobs > 0 && !batch.paused && !batch.cancelling && !Schedule::recurs(&batch.terms.schedule);
    moves.then_some(Rival { jobs, weight: batch.terms.weight, priority: batch.terms.priority })
}

#[cfg(test)]
mod tests;
