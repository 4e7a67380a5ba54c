//! Carries out the cancellation of a whole batch, in bounded steps that anyone may begin, repeat or finish.

use futures::stream::{self, StreamExt, TryStreamExt};
use veobatch_core::{BatchId, Event, JobId, PollPolicy, StateName};
use veobatch_ledger::{BatchFlag, Change, Changed, JobFilter, Ledger, LedgerError, NoRetry, Stored, change};

use crate::runtime::random;

/// Jobs that are read at a time.
const PAGE: usize = 1000;

/// Jobs that are cancelled at a time. The ledgers make one transaction, or a few calls, of changes that come together.
const TOGETHER: usize = 256;

/// Most unreadable jobs that are looked through; of more, any may be one of the batch.
const UNREADABLE: usize = 10_000;

/// Cancels the jobs of a batch whose `Cancelling` flag is set, then clears the flag. Returns how many jobs were changed
/// by this call: queued ones are cancelled; those that are being submitted, generated, upscaled or downloaded are marked,
/// so that they are followed and saved and get no further attempt. What is in doubt is marked too, and stays in doubt.
///
/// `told` is told of every further jobs that were changed. True once it returns `Ok`: nothing of the batch that was published
/// before is queued, but for what this program cannot read; while there is such a job the flag stays set. May be repeated, and
/// run by several at a time.
pub async fn sweep(
    ledger: &dyn Ledger,
    batch: &BatchId,
    policy: &PollPolicy,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, LedgerError> {
    let mut swept = 0;
    for state in
        [StateName::Submitting, StateName::Generating, StateName::Upscaling, StateName::Downloading, StateName::InDoubt]
    {
        swept += pass(ledger, batch, state, policy, told).await?;
    }
    // What was being submitted meanwhile may have come back to the queue since it was looked at.
    loop {
        let cancelled = pass(ledger, batch, StateName::Queued, policy, told).await?;
        if cancelled == 0 {
            break;
        }
        swept += cancelled;
    }
    // One that this program cannot read is neither cancelled nor marked: while it may still be paid for, the flag stays.
    if !may_be_paid_for(ledger, batch).await? {
        ledger.update_batch(batch, &BatchFlag::Cancelling(false).into()).await?;
    }
    Ok(swept)
}

/// Whether the batch has a job that this program cannot read and that is not over. The passes have met all of them.
async fn may_be_paid_for(ledger: &dyn Ledger, batch: &BatchId) -> Result<bool, LedgerError> {
    let (unreadable, folded) = (ledger.unreadable(UNREADABLE).await?, batch.folded());
    let is_over = |state| matches!(state, StateName::Done | StateName::Failed | StateName::Cancelled);
    let mut open = unreadable.iter().filter(|job| job.key.batch.folded() == folded && !job.state.is_some_and(is_over));
    Ok(open.next().is_some() || unreadable.len() == UNREADABLE)
}

/// Cancels every job of `batch` that is found in `state`, page by page.
async fn pass(
    ledger: &dyn Ledger,
    batch: &BatchId,
    state: StateName,
    policy: &PollPolicy,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, LedgerError> {
    let mut moved = 0;
    let mut after: Option<JobId> = None;
    loop {
        let page = ledger.page(batch, JobFilter::In(state), after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(moved) };
        after = Some(last.key.job.clone());
        let mut cancelled = stream::iter(page).map(|stored| cancel(ledger, stored, policy)).buffered(TOGETHER);
        while let Some(is_cancelled) = cancelled.try_next().await? {
            moved += u64::from(is_cancelled);
            told(u64::from(is_cancelled));
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
