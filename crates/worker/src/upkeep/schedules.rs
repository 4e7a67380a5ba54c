//! Keeps the ledger up to date about schedules: when a batch may submit, and the runs of recurring batches.
//!
//! Any worker may do it at any time, and all of them at once. The ledger itself enforces the ends of an opening exactly; a late
//! tick only means that the next opening is not known yet. Each change applies only if the schedule is still the one that it
//! was computed from.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::error;
use veobatch_core::{BatchId, Schedule, Timestamp};
use veobatch_ledger::{BatchSummary, BatchUpdate, LedgerError};

use crate::runtime::context::Context;
use crate::runtime::supervise::{IDLE_INTERVAL, LONG_TICK_LIMIT, PeriodicTask};
use crate::upkeep::batches::{Batches, SCHEDULE_INTERVAL};
use crate::upkeep::recurrence::{recur, update};

/// Keeps schedules.
#[derive(Debug)]
pub(crate) struct Schedules {
    context: Arc<Context>,
    batches: Arc<Batches>,
    /// Batches with an unreadable schedule, which was logged.
    unreadable: BTreeSet<BatchId>,
}

impl Schedules {
    pub(crate) fn new(context: Arc<Context>, batches: Arc<Batches>) -> Self {
        Self { context, batches, unreadable: BTreeSet::new() }
    }

    /// Updates the opening of `batch`, and makes its next run if that is due.
    async fn keep(&mut self, batch: &BatchSummary, now: Timestamp) -> Result<(), LedgerError> {
        match Schedule::parse(&batch.terms.schedule) {
            Ok(schedule) => {
                self.refresh(batch, &schedule, now).await?;
                if let Some(cron) = &schedule.cron {
                    recur(&self.context, batch, &schedule, cron, now).await?;
                }
            }
            Err(error) => {
                if self.unreadable.insert(batch.batch.clone()) {
                    error!(batch = %batch.batch, %error, "its schedule cannot be read; is this program too old?");
                }
            }
        }
        Ok(())
    }

    /// Stores the current or next opening, if the ledger has another one.
    async fn refresh(&self, batch: &BatchSummary, schedule: &Schedule, now: Timestamp) -> Result<(), LedgerError> {
        let range = schedule.open_range(now);
        if range == batch.terms.range {
            return Ok(());
        }
        let only_if = Some(batch.terms.schedule.clone());
        let change = BatchUpdate { range: Some(range), only_if, ..BatchUpdate::default() };
        update(&self.context, &batch.batch, &change).await
    }
}

#[async_trait]
impl PeriodicTask for Schedules {
    fn name(&self) -> &'static str {
        "keep schedules"
    }

    fn time_limit(&self) -> Duration {
        LONG_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        if !self.batches.have_schedules() {
            return Ok(IDLE_INTERVAL);
        }
        // A run is staged by what the template is now.
        self.batches.refresh(&self.context).await?;
        let now = self.context.ledger.info().await?.calendar;
        for batch in self.batches.latest().iter().filter(|batch| !batch.terms.schedule.is_empty()) {
            self.keep(batch, now).await?;
        }
        Ok(SCHEDULE_INTERVAL)
    }
}
