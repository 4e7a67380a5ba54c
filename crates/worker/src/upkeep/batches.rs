//! The active batches, as last read from the ledger by one task for all others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use veobatch_core::BatchId;
use veobatch_ledger::{BatchSummary, LedgerError};

use crate::runtime::context::Context;
use crate::runtime::supervise::{IDLE_INTERVAL, PeriodicTask, SHORT_TICK_LIMIT};
use crate::submit::refusal_streak::RefusalStreaks;
use crate::submit::worker_window::WorkerWindow;

/// Refresh interval if a person waits for the end.
pub(super) const AWAITED_INTERVAL: Duration = Duration::from_millis(500);

/// Interval of tasks that keep schedules, if there are any.
pub(super) const SCHEDULE_INTERVAL: Duration = Duration::from_secs(1);

/// The active batches. What is at rest stays as it is, however much it has become in years, and is not listed.
#[derive(Debug)]
pub(crate) struct Batches {
    latest: Mutex<Arc<Vec<BatchSummary>>>,
    streaks: Arc<RefusalStreaks>,
    window: Arc<WorkerWindow>,
}

impl Batches {
    pub(crate) fn new(streaks: Arc<RefusalStreaks>, window: Arc<WorkerWindow>) -> Self {
        Self { latest: Mutex::default(), streaks, window }
    }

    /// Reads the list, and passes it on to the refusal streaks and the worker's window.
    pub(crate) async fn refresh(&self, context: &Context) -> Result<(), LedgerError> {
        let batches = context.ledger.list(&veobatch_ledger::Batches::Active).await?;
        self.window.refresh(&batches);
        self.streaks.reset_paused(&batches);
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(batches);
        Ok(())
    }

    /// The batches at the last refresh.
    pub(crate) fn latest(&self) -> Arc<Vec<BatchSummary>> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a batch had a schedule at the last refresh.
    pub(super) fn have_schedules(&self) -> bool {
        self.latest().iter().any(|batch| !batch.terms.schedule.is_empty())
    }
}

/// The batch called `name`.
pub(super) fn find<'a>(batches: &'a [BatchSummary], name: &BatchId) -> Option<&'a BatchSummary> {
    let folded = name.folded();
    batches.iter().find(|batch| batch.batch.folded() == folded)
}

/// Keeps the list fresh.
#[derive(Debug)]
pub(crate) struct RefreshBatches {
    pub(crate) context: Arc<Context>,
    pub(crate) batches: Arc<Batches>,
    /// A person waits for the end.
    pub(crate) is_awaited: bool,
}

#[async_trait]
impl PeriodicTask for RefreshBatches {
    fn name(&self) -> &'static str {
        "refresh the list of batches"
    }

    fn time_limit(&self) -> Duration {
        SHORT_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        self.batches.refresh(&self.context).await?;
        Ok(if self.is_awaited { AWAITED_INTERVAL } else { IDLE_INTERVAL })
    }
}
