//! Cancels whole batches, in bounded steps that any process may begin, repeat or finish.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use tracing::info;
use veobatch_core::{BatchId, Event, JobId, PollPolicy, StateName};
use veobatch_ledger::{
    BatchFlag, Batches as Which, Change, Changed, JobFilter, Ledger, LedgerError, NoRetry, Stored, change,
};

use crate::runtime::context::Context;
use crate::runtime::random;
use crate::runtime::supervise::{LONG_TICK_LIMIT, PeriodicTask};
use crate::upkeep::batches::Batches;

/// Interval of checks for unfinished cancellations.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Jobs read per page.
const PAGE: usize = 1000;

/// Jobs cancelled concurrently. The ledgers combine concurrent changes into one transaction, or a few calls.
const CONCURRENT_CHANGES: usize = 256;

/// Most unreadable jobs that are examined; if there are more, any may belong to the batch.
const MAX_UNREADABLE: usize = 10_000;

/// Cancels the jobs of a batch whose `Cancelling` flag is set, then clears the flag. Returns how many jobs this call changed:
/// queued jobs are cancelled; jobs that are being submitted, generated, upscaled or downloaded are marked, so that they are
/// followed and saved but get no further attempt. Jobs in doubt are marked too, and stay in doubt.
///
/// `progress` is called with the number of further changed jobs. Once it returns `Ok`, no job that was published before is
/// queued, except for jobs that this program cannot read; while there is such a job the flag stays set. May be repeated, and
/// run by several processes at once.
pub async fn sweep(
    ledger: &dyn Ledger,
    batch: &BatchId,
    policy: &PollPolicy,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, LedgerError> {
    let mut swept = 0;
    for state in
        [StateName::Submitting, StateName::Generating, StateName::Upscaling, StateName::Downloading, StateName::InDoubt]
    {
        swept += pass(ledger, batch, state, policy, progress).await?;
    }
    // What was being submitted may have come back to the queue meanwhile.
    loop {
        let cancelled = pass(ledger, batch, StateName::Queued, policy, progress).await?;
        if cancelled == 0 {
            break;
        }
        swept += cancelled;
    }
    // An unreadable job is neither cancelled nor marked: while it may still be paid for, the flag stays.
    if !may_be_paid_for(ledger, batch).await? {
        ledger.update_batch(batch, &BatchFlag::Cancelling(false).into()).await?;
    }
    Ok(swept)
}

/// Whether the batch has an unreadable job that is not over. The passes have come across all of them.
async fn may_be_paid_for(ledger: &dyn Ledger, batch: &BatchId) -> Result<bool, LedgerError> {
    let (unreadable, folded) = (ledger.unreadable(MAX_UNREADABLE).await?, batch.folded());
    let is_over = |state| matches!(state, StateName::Done | StateName::Failed | StateName::Cancelled);
    let mut open = unreadable.iter().filter(|job| job.key.batch.folded() == folded && !job.state.is_some_and(is_over));
    Ok(open.next().is_some() || unreadable.len() == MAX_UNREADABLE)
}

/// Cancels every job of `batch` that is found in `state`, page by page.
async fn pass(
    ledger: &dyn Ledger,
    batch: &BatchId,
    state: StateName,
    policy: &PollPolicy,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, LedgerError> {
    let mut moved = 0;
    let mut after: Option<JobId> = None;
    loop {
        let page = ledger.page(batch, JobFilter::In(state), after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(moved) };
        after = Some(last.key.job.clone());
        let mut cancelled =
            stream::iter(page).map(|stored| cancel(ledger, stored, policy)).buffered(CONCURRENT_CHANGES);
        while let Some(is_cancelled) = cancelled.try_next().await? {
            moved += u64::from(is_cancelled);
            progress(u64::from(is_cancelled));
        }
    }
}

async fn cancel(ledger: &dyn Ledger, stored: Stored, policy: &PollPolicy) -> Result<bool, LedgerError> {
    if stored.record.cancelled {
        return Ok(false);
    }
    let order = Change { event: &Event::Cancel, lease: None, settle: None, jitter: random::jitter(), policy };
    match change(ledger, stored, &order, &mut NoRetry).await? {
        Changed::Moved { .. } => Ok(true),
        Changed::Same(_) | Changed::Lost => Ok(false),
    }
}

/// Finishes cancellations of whole batches.
#[derive(Debug)]
pub(crate) struct Cancellations {
    pub(crate) context: Arc<Context>,
    pub(crate) batches: Arc<Batches>,
}

#[async_trait]
impl PeriodicTask for Cancellations {
    fn name(&self) -> &'static str {
        "finish cancellations"
    }

    /// What was cancelled stays cancelled.
    fn time_limit(&self) -> Duration {
        LONG_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        if self.batches.latest().iter().any(|batch| batch.cancelling) {
            let ledger = self.context.ledger.as_ref();
            for batch in ledger.list(&Which::Active).await?.iter().filter(|batch| batch.cancelling) {
                let policy = self.context.learning.policy();
                let cancelled = sweep(ledger, &batch.batch, &policy, &mut |_| {}).await?;
                if cancelled > 0 {
                    info!(batch = %batch.batch, cancelled, "finished a cancellation");
                }
            }
        }
        Ok(CHECK_INTERVAL)
    }
}
