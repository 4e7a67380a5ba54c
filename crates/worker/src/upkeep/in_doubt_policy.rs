//! Jobs in doubt, looked through beside the lanes: what `--in-doubt` lets be submitted again, and what may move by itself.

use veobatch_core::{Event, InDoubtPolicy, JobId, NextAction, StateName, doubted, next_action};
use veobatch_ledger::{BatchSummary, Change, JobFilter, LedgerError, NoRetry, Stored, change};

use crate::runtime::random;
use crate::runtime::worker::{Worker, log};

/// Jobs that are read at a time.
const PAGE: usize = 100;

/// Applies the policy to the jobs in doubt of these batches; says whether one of them may still move without a person.
pub(crate) async fn apply_policy(worker: &Worker, batches: &[&BatchSummary]) -> Result<bool, LedgerError> {
    let heard = match worker.in_doubt {
        InDoubtPolicy::Silence(_) => worker.ledger.heard().await?,
        InDoubtPolicy::Hold | InDoubtPolicy::Resubmit => None,
    };
    let hearing = worker.receiver.is_some();
    let mut moves = false;
    for batch in batches.iter().filter(|batch| batch.count(StateName::InDoubt) > 0) {
        let mut after: Option<JobId> = None;
        loop {
            let page =
                worker.ledger.page(&batch.batch, JobFilter::In(StateName::InDoubt), after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.job.clone());
            for stored in page {
                match next_action(&stored.record, worker.in_doubt, heard, hearing, stored.now) {
                    NextAction::Person => {}
                    NextAction::Later => moves = true,
                    NextAction::Again(because) => {
                        moves = true;
                        if let Some(token) = doubted(&stored.record).cloned() {
                            presume(worker, stored, &Event::Presumed { token, because }).await?;
                        }
                    }
                }
            }
            if moves && worker.in_doubt == InDoubtPolicy::Hold {
                return Ok(true);
            }
        }
    }
    Ok(moves)
}

async fn presume(worker: &Worker, stored: Stored, event: &Event) -> Result<(), LedgerError> {
    let span = tracing::info_span!("in doubt", batch = %stored.key.batch, job = %stored.key.job);
    let policy = worker.learning.policy();
    let told = Change { event, lease: None, settle: None, jitter: random::jitter(), policy: &policy };
    let result = change(worker.ledger.as_ref(), stored, &told, &mut NoRetry).await;
    span.in_scope(|| {
        if result.is_ok() {
            tracing::warn!("submitted again by --in-doubt: it may be paid for twice");
        }
        log(&result);
    });
    result.map(drop)
}
