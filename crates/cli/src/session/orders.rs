//! Carrying out what a person orders for jobs, and telling what came of it.

use std::collections::BTreeMap;

use clap::Args;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use veobatch_core::{BatchId, Event, JobKey, PollPolicy, Record, StateName};
use veobatch_ledger::{Change, Changed, JobFilter, Ledger, NoRetry, Stored, change_unless};

use crate::args::settings::Settings;
use crate::exit::{DONE, UNFINISHED};
use crate::failure::{Failure, Result};
use crate::output::counting::Counting;
use crate::output::format::counted;
use crate::output::ui;
use crate::report::messages;
use crate::session::lookup;

/// Jobs that are read at a time.
const PAGE: usize = 1000;

/// Jobs that are changed at a time. The ledgers make one transaction, or a few calls, of changes that come together.
const TOGETHER: usize = 256;

/// Lines about single jobs before the rest is only counted.
const LINES: usize = 20;

/// Which jobs are meant.
#[derive(Args, Debug)]
pub(crate) struct Meant {
    /// The batch
    pub(crate) batch: String,

    /// Only these jobs
    pub(crate) jobs: Vec<String>,
}

/// What is to happen to jobs, and to which of them.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) event: &'a Event,
    /// Why a job is not meant, if it is not; completes "it …". Asked again of a job that others changed meanwhile.
    pub(crate) spared: &'a (dyn Fn(&Record) -> Option<&'static str> + Sync),
}

impl<'a> Order<'a> {
    /// For every job.
    pub(crate) fn all(event: &'a Event) -> Self {
        Self { event, spared: &|_| None }
    }
}

/// What came of an order.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    changed: Vec<(JobKey, StateName)>,
    left: Vec<(JobKey, StateName, &'static str)>,
}

/// Carries out `order` for the job that was read as `stored`. How often it is polled is a worker's affair.
pub(crate) async fn order(ledger: &dyn Ledger, stored: Stored, order: Order<'_>) -> Result<Changed> {
    let key = stored.key.clone();
    let policy = PollPolicy::default();
    let change = Change { event: order.event, lease: None, settle: None, jitter: 0.5, policy: &policy };
    change_unless(ledger, stored, &change, &mut NoRetry, order.spared)
        .await
        .map_err(|error| Failure::ledger(format!("change job {key}"), &error))
}

/// The jobs called `names`; a failure if one of them is unknown.
pub(crate) async fn jobs(ledger: &dyn Ledger, batch: &BatchId, names: &[String]) -> Result<Vec<Stored>> {
    let mut jobs = Vec::with_capacity(names.len());
    for name in names {
        jobs.push(lookup::job(ledger, batch, name).await?);
    }
    Ok(jobs)
}

/// Passes every job of `batch` in one of `states` to `take`, page by page.
pub(crate) async fn pages(
    ledger: &dyn Ledger,
    batch: &BatchId,
    states: &[StateName],
    mut take: impl AsyncFnMut(Vec<Stored>) -> Result<()>,
) -> Result<()> {
    for &state in states {
        let mut after = None;
        loop {
            let jobs = ledger.page(batch, JobFilter::In(state), after.as_ref(), PAGE).await?;
            let is_last = jobs.len() < PAGE;
            after = jobs.last().map(|last| last.key.job.clone());
            take(jobs).await?;
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

impl Outcome {
    /// Of jobs that were named: of each it is told what came of it.
    pub(crate) async fn of_named(ledger: &dyn Ledger, jobs: Vec<Stored>, order: Order<'_>) -> Result<Self> {
        let mut outcome = Self::default();
        outcome.take(ledger, jobs, order, &mut Counting::none()).await?;
        Ok(outcome)
    }

    /// Of every job of `batch` that is in one of `states` and meant.
    pub(crate) async fn of_every(
        ledger: &dyn Ledger,
        batch: &BatchId,
        states: &[StateName],
        order: Order<'_>,
        counting: &mut Counting,
    ) -> Result<Self> {
        let mut outcome = Self::default();
        pages(ledger, batch, states, async |jobs| {
            let meant = jobs.into_iter().filter(|stored| (order.spared)(&stored.record).is_none()).collect();
            outcome.take(ledger, meant, order, counting).await
        })
        .await?;
        Ok(outcome)
    }

    async fn take(
        &mut self,
        ledger: &dyn Ledger,
        jobs: Vec<Stored>,
        given: Order<'_>,
        counting: &mut Counting,
    ) -> Result<()> {
        let carried_out = async |stored: Stored| {
            let (key, state) = (stored.key.clone(), stored.record.state.name());
            Ok::<_, Failure>((key, state, order(ledger, stored, given).await?))
        };
        let mut results = stream::iter(jobs).map(carried_out).buffered(TOGETHER);
        while let Some((key, state, changed)) = results.try_next().await? {
            counting.add(1);
            match changed {
                Changed::Moved { to, .. } => self.changed.push((key, to.state.name())),
                Changed::Same(why) => self.left.push((key, state, why)),
                Changed::Lost => self.left.push((key, state, "is being worked on by another process")),
            }
        }
        Ok(())
    }

    /// Says what was changed (`done` is a participle: "retried") and what was left, and why.
    pub(crate) fn tell(&self, settings: &Settings, done: &str) -> Result<u8> {
        if settings.json {
            ui::json(&self.document())?;
        }
        if self.changed.is_empty() && self.left.is_empty() {
            ui::message(format_args!("no job can be {done}"));
        }
        for (key, state) in self.changed.iter().take(LINES) {
            ui::message(format_args!("{key}: {done}; now {}", messages::spoken(*state)));
        }
        if self.changed.len() > LINES {
            ui::message(format_args!("… {} {done} in total", counted(self.changed.len() as u64, "job")));
        }
        if self.left.len() <= LINES {
            for (key, _, why) in &self.left {
                ui::message(format_args!("{key} is unchanged: it {why}"));
            }
        } else {
            let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
            for (_, _, why) in &self.left {
                *reasons.entry(why).or_default() += 1;
            }
            for (why, count) in reasons {
                ui::message(format_args!("{} unchanged: each {why}", counted(count, "job")));
            }
        }
        Ok(if self.left.is_empty() { DONE } else { UNFINISHED })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    fn document(&self) -> Value {
        let changed = self
            .changed
            .iter()
            .map(|(key, state)| json!({"batch": key.batch, "job": key.job, "state": state.as_str()}));
        let left = self.left.iter().map(|(key, state, why)| {
            json!({"batch": key.batch, "job": key.job, "state": state.as_str(), "why": format!("it {why}")})
        });
        json!({"changed": changed.collect::<Vec<_>>(), "left": left.collect::<Vec<_>>()})
    }
}
