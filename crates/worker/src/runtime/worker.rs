//! What every step has at hand, and how a step tells the ledger what happened.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tracing::{Instrument as _, debug, error, info, warn};
use veobatch_api::FileHost;
use veobatch_core::{BatchId, Event, InDoubtPolicy, Record, State, doubted};
use veobatch_ledger::{BatchSummary, Change, Changed, LedgerError, SharedLedger, Wake, change};

use crate::account::access::Access;
use crate::account::balance::{Balance, Sender};
use crate::callback::Receiver;
use crate::journal::Journal;
use crate::runtime::backoff::Backoff;
use crate::runtime::claim::Claim;
use crate::runtime::clock::LedgerClock;
use crate::runtime::learning::Learning;
use crate::runtime::leases::Leases;
use crate::runtime::shutdown::Shutdown;
use crate::runtime::{random, span};
use crate::save::output::Output;
use crate::submit::backpressure::Backpressure;
use crate::submit::refusal_streak::RefusalStreaks;
use crate::submit::worker_window::WorkerWindow;
use crate::{Client, Downloads};

/// One working process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) ledger: SharedLedger,
    /// Something in this process became due.
    pub(crate) wake: Wake,
    pub(crate) client: Arc<Client>,
    pub(crate) files: FileHost,
    pub(crate) output: Output,
    pub(crate) downloads: Downloads,
    pub(crate) journal: Journal,
    pub(crate) learning: Learning,
    /// Of callbacks, if this process hears them.
    pub(crate) receiver: Option<Arc<Receiver>>,
    pub(crate) in_doubt: InDoubtPolicy,
    pub(crate) only: Option<Vec<BatchId>>,
    pub(crate) window: WorkerWindow,
    pub(crate) leases: Arc<Leases>,
    pub(crate) clock: LedgerClock,
    pub(crate) backpressure: Backpressure,
    pub(crate) balance: Balance,
    pub(crate) access: Access,
    pub(crate) refusal_streaks: RefusalStreaks,
    pub(crate) batches: Batches,
    pub(crate) shutdown: Shutdown,
}

/// The batches as they were looked at last, by one task for all others.
#[derive(Debug, Default)]
pub(crate) struct Batches(Mutex<Arc<Vec<BatchSummary>>>);

impl Batches {
    pub(crate) fn keep(&self, batches: Vec<BatchSummary>) -> Arc<Vec<BatchSummary>> {
        let batches = Arc::new(batches);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&batches);
        batches
    }

    pub(crate) fn latest(&self) -> Arc<Vec<BatchSummary>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Worker {
    /// Whether it submits for `batch` at all.
    pub(crate) fn serves(&self, batch: &BatchId) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|one| one.folded() == batch.folded()))
    }

    /// Tells the ledger what happened to a claimed job, and ends its lease.
    ///
    /// If that does not succeed the lease ends by itself, and the step is taken again: none that is told this way pays.
    pub(crate) async fn tell(&self, claim: &Claim, event: &Event) {
        let stored = claim.claimed.stored.clone();
        let (jitter, policy) = (random::jitter(), self.learning.policy());
        let told = Change {
            event,
            lease: Some(&claim.claimed.lease),
            settle: claim.settle.get().cloned(),
            jitter,
            policy: &policy,
        };
        let mut backoff = StepBackoff { worker: self, claim, met: None };
        let result = change(self.ledger.as_ref(), stored, &told, &mut backoff).await;
        self.weigh(claim, &result, Sender::Another);
        if is_news(&result) {
            span::for_a_line(claim).in_scope(|| log(&result));
        } else {
            log(&result);
        }
    }

    /// Has the balance looked at, if the job is in doubt by this change.
    pub(crate) fn weigh(&self, claim: &Claim, result: &Result<Changed, LedgerError>, sender: Sender) {
        let Ok(Changed::Moved { from, to }) = result else { return };
        if let State::InDoubt { attempt, .. } = &to.state
            && doubted(from).is_none()
        {
            self.balance.doubted(&claim.claimed.stored.key, attempt, sender);
        }
    }

    /// Gives a job back, due again now.
    pub(crate) async fn release(&self, claim: &Claim) {
        if let Err(error) = self.ledger.renew(std::slice::from_ref(&claim.claimed.lease), None).await {
            debug!(%error, "a lease could not be given back; it ends by itself");
        }
    }
}

/// The backoff of one step: made once it meets an outage, since most steps meet none.
#[derive(Debug)]
struct StepBackoff<'a> {
    worker: &'a Worker,
    claim: &'a Claim,
    met: Option<Backoff>,
}

#[async_trait]
impl veobatch_ledger::Backoff for StepBackoff<'_> {
    async fn again(&mut self, error: &LedgerError) -> bool {
        let closing = &self.worker.shutdown.closing;
        let backoff = self.met.get_or_insert_with(|| Backoff::until(closing.clone()));
        backoff.again(error).instrument(span::for_a_line(self.claim)).await
    }
}

/// Logs what a change came to, once, in the span of its job.
pub(crate) fn log(result: &Result<Changed, LedgerError>) {
    match result {
        Ok(Changed::Moved { from, to }) => moved(from, to),
        Ok(Changed::Same(reason)) => debug!("nothing changed: the job {reason}"),
        Ok(Changed::Lost) => info!("somebody else has the job by now"),
        Err(error @ LedgerError::Unavailable(_)) => warn!(%error, "a step's result could not be stored"),
        Err(error) => error!(%error, "a step's result was not stored"),
    }
}

/// Whether [`log`] says more of it than the log of a debugging person.
fn is_news(result: &Result<Changed, LedgerError>) -> bool {
    match result {
        Ok(Changed::Moved { from, to }) => {
            let is_hindered = to.trouble.is_some() && from.trouble != to.trouble;
            is_hindered || from.state.name() != to.state.name()
        }
        Ok(Changed::Same(_)) => false,
        Ok(Changed::Lost) | Err(_) => true,
    }
}

fn moved(from: &Record, to: &Record) {
    let (was, is) = (from.state.name(), to.state.name());
    let task = to.task().map(|task| task.id.as_str());
    match &to.state {
        State::InDoubt { why, .. } if was != is => warn!(%was, %is, %why, "may have been paid for"),
        State::Failed { failure, .. } if was != is => info!(%was, %is, why = %failure.message, "failed"),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => match &to.trouble {
            Some(trouble) if from.trouble.as_ref() != Some(trouble) => info!(%was, %is, task, %trouble, "in the way"),
            Some(_) | None if was != is => info!(%was, %is, task, "moved on"),
            Some(_) | None => debug!(%is, task, "looked at"),
        },
    }
}
