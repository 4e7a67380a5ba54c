//! One callback, from its path, headers and body to what the ledger stores.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use tracing::{Instrument as _, debug, error, info_span};
use veobatch_api::wall_clock;
use veobatch_core::{Event, JobKey, Record, State, TaskId, Timestamp, Token};
use veobatch_ledger::{Changed, LedgerError, Lookup, Stored};

use super::counts::CallbackOutcome;
use super::{Receiver, address, body};
use crate::runtime::changes::log;

/// Time limit of the ledger. The sender waits 15 s (docs/kie-api.md, section 7), and tries again after a 503.
const LEDGER_LIMIT: Duration = Duration::from_secs(5);

/// A parsed callback: for which attempt of which job, and about which task.
struct Callback {
    token: Token,
    key: JobKey,
    task: Option<TaskId>,
}

/// Verifies a request and stores what it reports. The ledger has it when this returns [`CallbackOutcome::Taken`].
pub(crate) async fn receive(receiver: &Receiver, path: &str, headers: &HeaderMap, bytes: &[u8]) -> CallbackOutcome {
    let Some((token, key)) = address::read(path) else { return CallbackOutcome::Unknown };
    let Some(body) = body::parse(bytes) else { return CallbackOutcome::Malformed };
    if !is_signed(receiver, headers, body.task.as_ref()) {
        return CallbackOutcome::Forged;
    }
    let span = info_span!("callback", batch = %key.batch, job = %key.job);
    let callback = Callback { token, key, task: body.task };
    let stored = async { tokio::time::timeout(LEDGER_LIMIT, store(receiver, callback)).await };
    match stored.instrument(span).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            debug!(%error, "a callback could not be stored; the sender is asked to try again");
            CallbackOutcome::Deferred
        }
        Err(_) => {
            debug!("a callback could not be stored in time; the sender is asked to try again");
            CallbackOutcome::Deferred
        }
    }
}

/// Whether the signature is right; without a key the token alone is the proof.
fn is_signed(receiver: &Receiver, headers: &HeaderMap, task: Option<&TaskId>) -> bool {
    let Some(key) = &receiver.key else { return true };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(task), Some(timestamp), Some(signature)) =
        (task, text("x-webhook-timestamp"), text("x-webhook-signature"))
    else {
        return false;
    };
    // The service signs with the time of the world, not of a ledger.
    let now = wall_clock().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    key.verifies(task.as_str(), timestamp, signature, now)
}

async fn store(receiver: &Receiver, callback: Callback) -> Result<CallbackOutcome, LedgerError> {
    let Callback { token, key, task } = callback;
    let stored = match receiver.context.ledger.find(Lookup::Name(&key)).await? {
        Some(stored) if stored.record.knows(&token) => stored,
        Some(stored) if repeats(&stored.record, task.as_ref()) => return Ok(CallbackOutcome::Known),
        Some(_) | None => return unknown_caller(receiver).await,
    };
    if matches!(stored.record.state, State::Submitting { .. }) && task.is_none() {
        // The outcome of the call is not known yet, and without a task this says too little about it.
        return Ok(CallbackOutcome::Deferred);
    }
    if let Some(by) = other_owner(receiver, &stored, task.as_ref()).await? {
        return Ok(refused(&by));
    }
    let (now, event) = (stored.now, Event::CalledBack { token: token.clone(), task: task.clone() });
    let (outcome, record) = match receiver.context.change(stored.clone(), &event).await {
        Ok(Changed::Moved { from, to }) => {
            let record = (*to).clone();
            log(&Ok(Changed::Moved { from, to }));
            (CallbackOutcome::Taken, record)
        }
        Ok(Changed::Same(why)) => {
            debug!("a callback says nothing new: the job {why}");
            (CallbackOutcome::Known, stored.record)
        }
        Ok(Changed::Lost) => return Ok(CallbackOutcome::Deferred),
        Err(LedgerError::TaskTaken { by }) => return Ok(refused(&by)),
        Err(error) => return Err(error),
    };
    record_heard(receiver, &record, &token, task.as_ref(), now).await;
    Ok(outcome)
}

/// Whether the job is done with this very task. A compact record has no tokens, and needs none: a sender that names the task
/// says nothing new, and should stop repeating it.
fn repeats(record: &Record, task: Option<&TaskId>) -> bool {
    record.has_forgotten_its_attempts()
        && matches!(&record.state, State::Done { task: own, .. } if task == Some(&own.id))
}

/// Callers without a known token are rate-limited, and only they: genuine callbacks are never rejected because of others.
async fn unknown_caller(receiver: &Receiver) -> Result<CallbackOutcome, LedgerError> {
    if receiver.unknown_callers.check().is_err() {
        return Ok(CallbackOutcome::Limited);
    }
    // A ledger that went back in time learns of its attempts again while it recovers: the sender should come back.
    let is_recovering = receiver.context.ledger.account(0).await?.recovering_until.is_some();
    Ok(if is_recovering { CallbackOutcome::Deferred } else { CallbackOutcome::Unknown })
}

/// The other job that owns the task, if this job would take it.
async fn other_owner(
    receiver: &Receiver,
    stored: &Stored,
    task: Option<&TaskId>,
) -> Result<Option<JobKey>, LedgerError> {
    let Some(task) = task.filter(|task| stored.record.task().is_none_or(|own| own.id != **task)) else {
        return Ok(None);
    };
    Ok(receiver.context.ledger.owner(Lookup::Task(task)).await?.filter(|owner| *owner != stored.key))
}

fn refused(by: &JobKey) -> CallbackOutcome {
    error!(%by, "a callback named a task that belongs to another job: refused");
    CallbackOutcome::Refused
}

/// Records now and then that callbacks arrive, when one is about the very task that its attempt made.
async fn record_heard(receiver: &Receiver, record: &Record, token: &Token, task: Option<&TaskId>, now: Timestamp) {
    let own = record.task().filter(|own| task == Some(&own.id));
    let last = record.last.as_ref().filter(|last| last.token.equals(token));
    let (Some(_), Some(attempt)) = (own, last) else { return };
    if receiver.is_record_due(now)
        && let Err(error) = receiver.context.ledger.hear(attempt.at).await
    {
        debug!(%error, "it could not be recorded that a callback arrived");
    }
}
