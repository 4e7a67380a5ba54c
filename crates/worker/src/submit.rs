//! The submit lane's step: the only place where a video is paid for.
//!
//! ```text
//! intent in the ledger (the claim, confirmed) ─▶ fsync `sending` ══▶ the call ─▶ fsync `answer` ─▶ put ─▶ `settled`
//! ```
//!
//! Whatever goes wrong to the left of `══▶` is "not sent"; whatever goes wrong on it is "unknown". What is to the right of
//! it is retried until the ledger has it.

pub(crate) mod backpressure;
pub(crate) mod claimer;
pub(crate) mod refusal_streak;
pub(crate) mod worker_window;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tracing::{error, warn};
use veobatch_api::Answer;
use veobatch_core::{Lane, Outcome, Refusal, RefusalKind, State, Step, Token, plan};
use veobatch_ledger::{Arrival, GateReport, LedgerError, Settle};

use crate::Client;
use crate::account::access::Access;
use crate::account::balance::{Balance, Sender};
use crate::account::gate::{after_submission, arrival, troubled};
use crate::callback::Receiver;
use crate::failpoint::Failpoint;
use crate::journal::Journal;
use crate::runtime::backoff::Backoff;
use crate::runtime::changes::{Evidence, log, record_outcome};
use crate::runtime::claim::{Claim, SubmitPermit};
use crate::runtime::context::Context;
use crate::runtime::supervise::panic_message;
use crate::submit::refusal_streak::RefusalStreaks;

/// Submits claimed jobs.
#[derive(Debug)]
pub(crate) struct Submitter {
    pub(crate) context: Arc<Context>,
    pub(crate) client: Arc<Client>,
    pub(crate) journal: Journal,
    /// Where callbacks are received, if this process asks for them.
    pub(crate) receiver: Option<Arc<Receiver>>,
    pub(crate) balance: Arc<Balance>,
    pub(crate) access: Arc<Access>,
    pub(crate) streaks: Arc<RefusalStreaks>,
}

/// How the paid call ended, as far as this process knows.
struct CallEnd {
    outcome: Outcome,
    arrival: Arrival,
    gate: GateReport,
}

impl Submitter {
    /// Pays for the claimed job, once, and records the outcome.
    pub(crate) async fn submit(&self, claim: &Claim, permit: SubmitPermit) {
        let (record, token) = (&claim.claimed.stored.record, permit.token().clone());
        let end = match plan(record, Lane::Submit, Some(&token)) {
            Step::Submit(_) => self.pay(claim, permit).await,
            Step::Withdraw => {
                warn!("not submitted: the job was or may have been paid for already");
                CallEnd::not_sent("it was or may have been paid for already".to_owned())
            }
            Step::Orphan
            | Step::Poll(_)
            | Step::Compare(..)
            | Step::Upgrade(..)
            | Step::Relink(_)
            | Step::Save(..)
            | Step::Nothing => {
                let state = record.state.name();
                error!(%state, "the ledger granted a submission of a job that is not being submitted");
                return self.context.release(claim).await;
            }
        };
        if let Outcome::Refused(Refusal { kind: RefusalKind::KeyRefused, message, .. }) = &end.outcome {
            self.access.key_refused(message);
        }
        let outcome = end.outcome.clone();
        self.settle(claim, &token, end).await;
        if let State::Submitting { attempt } = &record.state {
            let batch = &claim.claimed.stored.key.batch;
            self.streaks.record(self.context.ledger.as_ref(), batch, attempt.at, &outcome).await;
        }
    }

    /// Puts a granted job that this process will not submit back into the queue.
    pub(crate) async fn hand_back(&self, claim: &Claim, token: &Token) {
        let why = "its worker was stopped before it".to_owned();
        self.settle(claim, token, CallEnd::not_sent(why)).await;
    }

    async fn pay(&self, claim: &Claim, permit: SubmitPermit) -> CallEnd {
        let (stored, token) = (&claim.claimed.stored, permit.token().clone());
        Failpoint::Granted.reached();
        let grants = match self.context.ledger.confirm(&token).await {
            Ok(grants) => grants,
            // As if it had never been granted: another server has taken over, and it grants nothing for a while by itself.
            Err(LedgerError::LostLease) => {
                warn!("the ledger no longer knows a claim that it granted; nothing was sent");
                return CallEnd::not_sent("the ledger forgot its claim before anything was sent".to_owned());
            }
            Err(error) => {
                let why = format!("its claim could not be confirmed: {error}");
                return CallEnd { gate: troubled(&why, None), ..CallEnd::not_sent(why) };
            }
        };
        if let Err(error) = self.journal.sending(&token, &stored.key, grants).await {
            error!(%error, "the journal cannot be written: nothing is submitted without it");
            return CallEnd::not_sent(format!("the journal cannot be written: {error}"));
        }
        Failpoint::Sending.reached();
        let callback = self.receiver.as_ref().map(|receiver| receiver.url(&token, &stored.key));
        self.balance.sending();
        let call = AssertUnwindSafe(self.client.submit(permit, &stored.spec, callback.as_ref())).catch_unwind().await;
        let end = match call {
            Ok(answer) => {
                if let (true, Outcome::Unknown(why)) = (answer.is_blocked, &answer.outcome) {
                    self.access.blocked(why, answer.retry_after);
                }
                CallEnd::answered(answer)
            }
            Err(panic) => CallEnd::unknown(format!("the call panicked: {}", panic_message(panic.as_ref()))),
        };
        Failpoint::Answered.reached();
        if let Err(error) = self.journal.answer(&token, &end.outcome).await {
            // The ledger is told next; the job is in doubt only if this process dies before that.
            warn!(%error, "an answer could not be written to the journal");
        }
        Failpoint::Written.reached();
        end
    }

    /// Records the outcome, retrying until the ledger has it or a person will not wait; then the journal has it.
    async fn settle(&self, claim: &Claim, token: &Token, end: CallEnd) {
        let CallEnd { outcome, arrival, gate } = end;
        let Context { ledger, learning, shutdown, .. } = self.context.as_ref();
        let mut backoff = Backoff::until(shutdown.now.clone());
        loop {
            let settle = Settle { token: token.clone(), arrival, gate: gate.clone() };
            let evidence =
                Evidence { token, outcome: outcome.clone(), settle: Some(settle), lease: Some(&claim.claimed.lease) };
            let stored = claim.claimed.stored.clone();
            let result = record_outcome(ledger.as_ref(), &learning.policy(), stored, evidence, &mut backoff).await;
            self.balance.note_doubt(&claim.claimed.stored.key, &result, Sender::ThisProcess);
            log(&result);
            match result {
                Ok(_) => break,
                Err(LedgerError::UnknownBatch(_)) => {
                    error!(?outcome, "the job is gone from the ledger; this was the outcome of its submission");
                    break;
                }
                Err(error) => {
                    if !backoff.wait("the outcome of a submission is not stored yet", &error).await {
                        return;
                    }
                }
            }
        }
        Failpoint::Told.reached();
        if let Err(error) = self.journal.settled(token).await {
            warn!(%error, "the journal could not be written; replaying it later will change nothing");
        }
    }
}

impl CallEnd {
    /// By this process's own decision: says nothing about the service.
    fn not_sent(why: String) -> Self {
        Self { outcome: Outcome::NotSent(why), arrival: Arrival::Never, gate: GateReport::Silent }
    }

    fn unknown(why: String) -> Self {
        let gate = troubled(&why, None);
        Self { outcome: Outcome::Unknown(why), arrival: Arrival::Unknown, gate }
    }

    fn answered(answer: Answer<Outcome>) -> Self {
        Self { arrival: arrival(&answer), gate: after_submission(&answer), outcome: answer.outcome }
    }
}
