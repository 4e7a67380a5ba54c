//! The submit lane's step: the only place where a video is paid for.
//!
//! ```text
//! intent in the ledger (the claim, confirmed) ─▶ fsync `sending` ══▶ the call ─▶ fsync `answer` ─▶ put ─▶ `settled`
//! ```
//!
//! Whatever goes wrong left of `══▶` is "not sent", whatever goes wrong on it is "unknown". What is right of it is
//! repeated until the ledger has it.

pub(crate) mod backpressure;
pub(crate) mod claimer;
pub(crate) mod refusal_streak;
pub(crate) mod worker_window;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;
use tracing::{error, warn};
use veobatch_api::{Answer, Delivery};
use veobatch_core::{Lane, Outcome, Refusal, RefusalKind, State, Step, Token, Trouble, TroubleKind, Upgrade, plan};
use veobatch_ledger::{Arrival, GateReport, LedgerError, Settle, TROUBLE_WAIT};

use crate::account::access::BLOCKED_WAIT;
use crate::account::balance::Sender;
use crate::failpoint::Failpoint;
use crate::lane::step::panic_words;
use crate::runtime::backoff::Backoff;
use crate::runtime::claim::{Claim, SubmitPermit};
use crate::runtime::evidence::{Evidence, record_outcome};
use crate::runtime::random;
use crate::runtime::worker::{Worker, log};

/// After 429 and 430, if the service names no time (docs/kie-api.md, section 10: at least 10 s and jitter).
const RATE_LIMITED_WAIT: Duration = Duration::from_secs(10);

/// After 455 and 550: minutes, doubled by the gate.
const BUSY_WAIT: Duration = Duration::from_secs(60);

/// Between two looks whether the balance is back; doubled by the gate.
const NO_CREDITS_WAIT: Duration = Duration::from_secs(60);

/// How the paid call ended, as far as this process knows.
struct CallEnd {
    outcome: Outcome,
    arrival: Arrival,
    gate: GateReport,
}

/// Pays for the claimed job, once, and tells the ledger what became of it.
pub(crate) async fn submit(worker: &Worker, claim: &Claim, permit: SubmitPermit) {
    let (record, token) = (&claim.claimed.stored.record, permit.token().clone());
    let ended = match plan(record, Lane::Submit, Some(&token)) {
        Step::Submit(_) => pay(worker, claim, permit).await,
        Step::Withdraw => {
            warn!("nothing is submitted: the job was, or may have been, paid for already");
            CallEnd::unsent("it was, or may have been, paid for already".to_owned())
        }
        Step::Orphan
        | Step::Poll(_)
        | Step::Compare(..)
        | Step::Upgrade(..)
        | Step::Relink(_)
        | Step::Save(..)
        | Step::Nothing => {
            error!(state = %record.state.name(), "the ledger granted a submission of a job that is not being submitted");
            return worker.release(claim).await;
        }
    };
    if let Outcome::Refused(Refusal { kind: RefusalKind::KeyRefused, message, .. }) = &ended.outcome {
        worker.access.refused(message);
    }
    let outcome = ended.outcome.clone();
    settle(worker, claim, &token, ended).await;
    if let State::Submitting { attempt } = &record.state {
        let batch = &claim.claimed.stored.key.batch;
        worker.refusal_streaks.weigh(worker.ledger.as_ref(), batch, attempt.at, &outcome).await;
    }
}

/// Puts a granted job that will not be submitted by this process back into the queue.
pub(crate) async fn hand_back(worker: &Worker, claim: &Claim, token: &Token) {
    let why = "its worker was stopped before it".to_owned();
    settle(worker, claim, token, CallEnd::unsent(why)).await;
}

async fn pay(worker: &Worker, claim: &Claim, permit: SubmitPermit) -> CallEnd {
    let (stored, token) = (&claim.claimed.stored, permit.token().clone());
    Failpoint::Granted.reached();
    let grants = match worker.ledger.confirm(&token).await {
        Ok(grants) => grants,
        // As if it had never been granted: another server is there now, and it grants nothing for a while by itself.
        Err(LedgerError::LostLease) => {
            warn!("the ledger does not know a claim any more that it granted; nothing was sent");
            return CallEnd::unsent("the ledger forgot its claim before anything was sent".to_owned());
        }
        Err(error) => {
            let why = format!("its claim could not be confirmed: {error}");
            return CallEnd { gate: troubled(&why, None), ..CallEnd::unsent(why) };
        }
    };
    if let Err(error) = worker.journal.sending(&token, &stored.key, grants).await {
        error!(%error, "the journal cannot be written: nothing is submitted without it");
        return CallEnd::unsent(format!("the journal cannot be written: {error}"));
    }
    Failpoint::Sending.reached();
    let callback = worker.receiver.as_ref().map(|receiver| receiver.url(&token, &stored.key));
    worker.balance.sending();
    let call = AssertUnwindSafe(worker.client.submit(permit, &stored.spec, callback.as_ref())).catch_unwind().await;
    let ended = match call {
        Ok(answer) => {
            if let (true, Outcome::Unknown(why)) = (answer.is_blocked, &answer.outcome) {
                worker.access.blocked(why, answer.retry_after);
            }
            CallEnd::answered(answer)
        }
        Err(panic) => CallEnd::unknown(format!("the call broke off: {}", panic_words(panic.as_ref()))),
    };
    Failpoint::Answered.reached();
    if let Err(error) = worker.journal.answer(&token, &ended.outcome).await {
        // The ledger is told next; only if this process dies before that, the job is in doubt.
        warn!(%error, "an answer could not be written to the journal");
    }
    Failpoint::Written.reached();
    ended
}

/// Tells the ledger until it knows, or nobody waits any more; then the journal has it.
async fn settle(worker: &Worker, claim: &Claim, token: &Token, ended: CallEnd) {
    let CallEnd { outcome, arrival, gate } = ended;
    let mut backoff = Backoff::until(worker.shutdown.now.clone());
    loop {
        let settle = Settle { token: token.clone(), arrival, gate: gate.clone() };
        let evidence =
            Evidence { token, outcome: outcome.clone(), settle: Some(settle), lease: Some(&claim.claimed.lease) };
        let stored = claim.claimed.stored.clone();
        let result =
            record_outcome(worker.ledger.as_ref(), &worker.learning.policy(), stored, evidence, &mut backoff).await;
        worker.weigh(claim, &result, Sender::Us);
        log(&result);
        match result {
            Ok(_) => break,
            Err(LedgerError::UnknownBatch(_)) => {
                error!(?outcome, "the job is gone from the ledger; this is what became of its submission");
                break;
            }
            Err(error) => {
                if !backoff.wait("a submission's outcome is not stored yet", &error).await {
                    return;
                }
            }
        }
    }
    Failpoint::Told.reached();
    if let Err(error) = worker.journal.settled(token).await {
        warn!(%error, "the journal could not be written; a later replay will find nothing to do");
    }
}

impl CallEnd {
    /// By this process's own decision: says nothing about the service.
    fn unsent(why: String) -> Self {
        Self { outcome: Outcome::NotSent(why), arrival: Arrival::Never, gate: GateReport::Silent }
    }

    fn unknown(why: String) -> Self {
        let gate = troubled(&why, None);
        Self { outcome: Outcome::Unknown(why), arrival: Arrival::Unknown, gate }
    }

    fn answered(answer: Answer<Outcome>) -> Self {
        let arrival = arrival(&answer);
        let gate = match &answer.outcome {
            Outcome::Accepted(_) => GateReport::Healthy,
            Outcome::Refused(refusal) => report(refusal),
            Outcome::Unknown(why) if answer.is_blocked => blocked(why, answer.retry_after),
            Outcome::NotSent(why) | Outcome::Unknown(why) => troubled(why, answer.retry_after),
        };
        Self { outcome: answer.outcome, arrival, gate }
    }
}

/// When the request of a paid call arrived, as its answer tells.
fn arrival<T>(answer: &Answer<T>) -> Arrival {
    match answer.delivery {
        Delivery::NotSent => Arrival::Never,
        Delivery::Unanswered => Arrival::Unknown,
        Delivery::Answered => {
            let ago = Instant::now().duration_since(answer.answered_at);
            Arrival::Answered { took: answer.took, ago }
        }
    }
}

/// What the end of an upgrade call that took a slot under `token` tells the account.
pub(crate) fn upgrade_settled(token: Token, answer: &Answer<Upgrade>) -> Settle {
    let closed = |kind, met: &Trouble| {
        let Trouble { message, retry_after, .. } = met.clone();
        report(&Refusal { kind, code: 0, message, retry_after })
    };
    let gate = match &answer.outcome {
        Upgrade::Ready(_) | Upgrade::Waiting(_) | Upgrade::Unavailable(_) => GateReport::Healthy,
        Upgrade::NotAsked(_) => GateReport::Silent,
        Upgrade::Trouble(met) => match met.kind {
            TroubleKind::RateLimited => closed(RefusalKind::RateLimited, met),
            TroubleKind::Busy => closed(RefusalKind::Busy, met),
            TroubleKind::KeyRefused => GateReport::Silent,
            TroubleKind::Blocked => blocked(&met.message, met.retry_after),
            // An answer that is none of these, such as too few credits for this size, is about this video.
            TroubleKind::Transport if answer.delivery == Delivery::Answered => GateReport::Silent,
            TroubleKind::Transport => troubled(&met.message, met.retry_after),
        },
    };
    Settle { token, arrival: arrival(answer), gate }
}

/// What an answer that nobody can read, or none, says about the service. If that closes the gate, it is for as long as the
/// answer `asked`, at least.
fn troubled(why: &str, asked: Option<Duration>) -> GateReport {
    GateReport::Troubled { why: why.to_owned(), wait: TROUBLE_WAIT.max(asked.unwrap_or_default()) }
}

/// Something in front of the service answers in its place: the next call would meet the same, and be in doubt too.
fn blocked(why: &str, asked: Option<Duration>) -> GateReport {
    let wait = BLOCKED_WAIT.max(asked.unwrap_or_default());
    GateReport::Closed { why: why.to_owned(), wait, no_credits: false, too_many: false }
}

/// What a refusal says about the service: whether others should wait, and for what.
fn report(refusal: &Refusal) -> GateReport {
    let asked = refusal.retry_after.unwrap_or_default();
    let closed = |wait: Duration, no_credits| {
        // Words of an upgrade call have their code in them.
        let code = if refusal.code == 0 { String::new() } else { format!(" ({})", refusal.code) };
        let why = format!("{}{code}", refusal.message);
        let too_many = refusal.kind == RefusalKind::RateLimited;
        GateReport::Closed { why, wait: wait.max(asked), no_credits, too_many }
    };
    match refusal.kind {
        RefusalKind::Job => GateReport::Healthy,
        RefusalKind::RateLimited => closed(RATE_LIMITED_WAIT + TROUBLE_WAIT.mul_f64(0.5 * random::jitter()), false),
        RefusalKind::Busy => closed(BUSY_WAIT, false),
        RefusalKind::NoCredits => closed(NO_CREDITS_WAIT, true),
        RefusalKind::KeyRefused => GateReport::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_waited_out_as_long_as_the_service_asks() {
        for (asked, seconds) in [(None, 10), (Some(3), 10), (Some(40), 40)] {
            let report = troubled("503", asked.map(Duration::from_secs));
            assert_eq!(report, GateReport::Troubled { why: "503".to_owned(), wait: Duration::from_secs(seconds) });
        }
    }
}
