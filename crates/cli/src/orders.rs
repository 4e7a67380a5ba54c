//! Carrying out what a person orders for jobs, and telling what came of it.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::{BatchId, Event, JobKey, Policy, StateName};
use veobatch_ledger::{Change, Changed, Impatient, Ledger, Stored, change};

use crate::exit::{DONE, UNFINISHED};
use crate::failure::{Failure, Result};
use crate::named::{self, looking};
use crate::settings::Settings;
use crate::units::counted;
use crate::{say, words};

/// Jobs that are read at a time.
const PAGE: usize = 500;

/// Lines about single jobs before the rest is only counted.
const LINES: usize = 20;

/// Which jobs are meant.
#[derive(Args, Debug)]
pub(crate) struct Meant {
    /// The batch
    pub(crate) batch: String,

    /// Only these jobs; without any, the whole batch
    pub(crate) jobs: Vec<String>,
}

/// What came of an order.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    changed: Vec<(JobKey, StateName)>,
    left: Vec<(JobKey, StateName, &'static str)>,
}

/// Makes `event` happen to the job that was read as `stored`.
pub(crate) async fn order(ledger: &dyn Ledger, stored: Stored, event: &Event, policy: &Policy) -> Result<Changed> {
    let key = stored.key.clone();
    let order = Change { event, lease: None, settle: None, jitter: 0.5, policy };
    change(ledger, stored, &order, &mut Impatient)
        .await
        .map_err(|error| Failure::ledger(format!("change job {key}"), &error))
}

impl Outcome {
    /// Makes `event` happen to the jobs called `names`. Nothing happens if one of them is unknown.
    pub(crate) async fn named(
        ledger: &dyn Ledger,
        batch: &BatchId,
        names: &[String],
        event: &Event,
        policy: &Policy,
    ) -> Result<Self> {
        let mut jobs = Vec::with_capacity(names.len());
        for name in names {
            jobs.push(named::job(ledger, batch, name).await?);
        }
        let mut outcome = Self::default();
        for stored in jobs {
            outcome.take(ledger, stored, event, policy).await?;
        }
        Ok(outcome)
    }

    /// Makes `event` happen to every job of `batch` in one of `states`.
    pub(crate) async fn every(
        ledger: &dyn Ledger,
        batch: &BatchId,
        states: &[StateName],
        event: &Event,
        policy: &Policy,
    ) -> Result<Self> {
        let mut outcome = Self::default();
        for &state in states {
            let mut after = None;
            loop {
                let jobs =
                    ledger.page(batch, Some(state), after.as_ref(), PAGE).await.map_err(|error| looking(&error))?;
                let is_last = jobs.len() < PAGE;
                for stored in jobs {
                    after = Some(stored.key.job.clone());
                    outcome.take(ledger, stored, event, policy).await?;
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(outcome)
    }

    async fn take(&mut self, ledger: &dyn Ledger, stored: Stored, event: &Event, policy: &Policy) -> Result<()> {
        let (key, state) = (stored.key.clone(), stored.record.state.name());
        match order(ledger, stored, event, policy).await? {
            Changed::Moved { to, .. } => self.changed.push((key, to.state.name())),
            Changed::Same(why) => self.left.push((key, state, why)),
            Changed::Lost => self.left.push((key, state, "is being worked on by somebody else")),
        }
        Ok(())
    }

    /// Says what was changed (`done` is a participle: "retried") and what was left, and why.
    pub(crate) fn tell(&self, settings: &Settings, done: &str) -> Result<u8> {
        if settings.json {
            say::json(&self.document())?;
        }
        if self.changed.is_empty() && self.left.is_empty() {
            say::words(format_args!("no job can be {done}"));
        }
        for (key, state) in self.changed.iter().take(LINES) {
            say::words(format_args!("{key}: {done}; now {}", words::spoken(*state)));
        }
        if self.changed.len() > LINES {
            say::words(format_args!("… {} {done} in all", counted(self.changed.len() as u64, "job")));
        }
        if self.left.len() <= LINES {
            for (key, _, why) in &self.left {
                say::words(format_args!("{key} was left as it was: it {why}"));
            }
        } else {
            let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
            for (_, _, why) in &self.left {
                *reasons.entry(why).or_default() += 1;
            }
            for (why, count) in reasons {
                say::words(format_args!("{} left: each {why}", counted(count, "job")));
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
