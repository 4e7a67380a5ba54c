//! Keeps what the ledger was told of schedules up to date: the stretch in which a batch may submit, and the runs of
//! recurring batches.
//!
//! Any worker does it, at any time, and all of them may do it at once. The ledger holds the ends of a stretch exactly by
//! itself; what is late here is only that the next one is not known yet. Each change holds only if the schedule is still
//! the one that it was computed from.

use std::collections::BTreeSet;

use tracing::{error, warn};
use veobatch_core::{BatchId, Schedule, Timestamp};
use veobatch_ledger::{BatchSummary, BatchUpdate, LedgerError};

use crate::runtime::worker::Worker;
use crate::upkeep::recurrence::recur;

/// What one look leaves to the next.
#[derive(Debug, Default)]
pub(crate) struct Schedules {
    /// Batches whose schedule cannot be read, which was said.
    unreadable: BTreeSet<BatchId>,
    /// There are any to look after.
    pub(crate) any: bool,
}

impl Schedules {
    /// Brings the stretches of `batches` up to date, and makes runs that are due. `true` if there may be more to make.
    pub(crate) async fn step(&mut self, worker: &Worker, batches: &[BatchSummary]) -> Result<bool, LedgerError> {
        let mut is_moving = false;
        let scheduled: Vec<&BatchSummary> = batches.iter().filter(|batch| !batch.terms.schedule.is_empty()).collect();
        self.any = !scheduled.is_empty();
        if !self.any {
            return Ok(false);
        }
        let now = worker.ledger.info().await?.calendar;
        for batch in scheduled {
            match Schedule::parse(&batch.terms.schedule) {
                Ok(schedule) => {
                    refresh(worker, batch, &schedule, now).await?;
                    if let Some(cron) = &schedule.cron {
                        is_moving |= recur(worker, batch, &schedule, cron, now).await?;
                    }
                }
                Err(error) => {
                    if self.unreadable.insert(batch.batch.clone()) {
                        error!(batch = %batch.batch, %error, "its schedule cannot be read; is this program too old?");
                    }
                }
            }
        }
        Ok(is_moving)
    }
}

/// Tells the ledger the present stretch, or the next one, if it knows another.
async fn refresh(
    worker: &Worker,
    batch: &BatchSummary,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let range = schedule.open_range(now);
    if range == batch.terms.range {
        return Ok(());
    }
    let only_if = Some(batch.terms.schedule.clone());
    arrange(worker, &batch.batch, &BatchUpdate { range: Some(range), only_if, ..BatchUpdate::default() }).await
}

/// Changes the terms of a batch, which may have been forgotten meanwhile.
pub(crate) async fn arrange(worker: &Worker, batch: &BatchId, change: &BatchUpdate) -> Result<(), LedgerError> {
    match worker.ledger.update_batch(batch, change).await {
        Err(LedgerError::UnknownBatch(_)) => {
            warn!(%batch, "it was forgotten while its schedule was looked after");
            Ok(())
        }
        result => result,
    }
}
