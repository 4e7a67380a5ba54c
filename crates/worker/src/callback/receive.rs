//! One callback, from its path, headers and body to what the ledger keeps of it.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use tracing::{Instrument as _, debug, error, info_span};
use veobatch_api::wall_clock;
use veobatch_core::{Event, JobKey, Record, State, TaskId, Timestamp, Token};
use veobatch_ledger::{Change, Changed, LedgerError, Lookup, NoRetry, Stored, change};

use super::counts::CallbackOutcome;
use super::{Receiver, address, body};
use crate::runtime::random;
use crate::runtime::worker::{Worker, log};

/// The ledger gets so long. The sender waits 15 s (docs/kie-api.md, section 7), and tries again after a 503.
const WITHIN: Duration = Duration::from_secs(5);

/// A callback that was read: for which attempt of which job, and about which task.
struct Callback {
    token: Token,
    key: JobKey,
    task: Option<TaskId>,
}

/// Decides about a request, and tells the ledger what it taught. What it returns is durable.
pub(crate) async fn receive(
    worker: &Worker,
    receiver: &Receiver,
    path: &str,
    headers: &HeaderMap,
    bytes: &[u8],
) -> CallbackOutcome {
    let Some((token, key)) = address::read(path) else { return CallbackOutcome::Unknown };
    let Some(body) = body::parse(bytes) else { return CallbackOutcome::Malformed };
    if !is_signed(receiver, headers, body.task.as_ref()) {
        return CallbackOutcome::Forged;
    }
    let span = info_span!("callback", batch = %key.batch, job = %key.job);
    let callback = Callback { token, key, task: body.task };
    let told = async { tokio::time::timeout(WITHIN, tell(worker, receiver, callback)).await };
    match told.instrument(span).await {
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

/// True if it is signed as it must be; without a key the token alone is proof.
fn is_signed(receiver: &Receiver, headers: &HeaderMap, task: Option<&TaskId>) -> bool {
    let Some(key) = &receiver.key else { return true };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(task), Some(timestamp), Some(signature)) =
        (task, text("x-webhook-timestamp"), text("x-webhook-signature"))
    else {
        return false;
    };
    // The sender's times are those of the world, not of a ledger.
    let now = wall_clock().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    key.verifies(task.as_str(), timestamp, signature, now)
}

async fn tell(worker: &Worker, receiver: &Receiver, callback: Callback) -> Result<CallbackOutcome, LedgerError> {
    let Callback { token, key, task } = callback;
    let stored = match worker.ledger.find(Lookup::Name(&key)).await? {
        Some(stored) if stored.record.knows(&token) => stored,
        Some(stored) if repeats(&stored.record, task.as_ref()) => return Ok(CallbackOutcome::Known),
        Some(_) | None => return stranger(worker, receiver).await,
    };
    if matches!(stored.record.state, State::Submitting { .. }) && task.is_none() {
        // Its outcome is not known yet, and this tells too little of it: it says more once the job is in doubt.
        return Ok(CallbackOutcome::Deferred);
    }
    if let Some(by) = somebody_elses(worker, &stored, task.as_ref()).await? {
        return Ok(refused(&by));
    }
    let (now, event) = (stored.now, Event::CalledBack { token: token.clone(), task: task.clone() });
    let policy = worker.learning.policy();
    let told = Change { event: &event, lease: None, settle: None, jitter: random::jitter(), policy: &policy };
    let result = change(worker.ledger.as_ref(), stored.clone(), &told, &mut NoRetry).await;
    let (outcome, record) = match result {
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
    heard(worker, receiver, &record, &token, task.as_ref(), now).await;
    Ok(outcome)
}

/// True if the job is done with this very task. A compact record knows no token any more, and needs none: whoever names
/// that task says nothing new, and should stop repeating it.
fn repeats(record: &Record, task: Option<&TaskId>) -> bool {
    record.has_forgotten_its_attempts()
        && matches!(&record.state, State::Done { task: own, .. } if task == Some(&own.id))
}

/// Who knows no token is limited, and only that: what is genuine is never turned away because of others.
async fn stranger(worker: &Worker, receiver: &Receiver) -> Result<CallbackOutcome, LedgerError> {
    if receiver.strangers.check().is_err() {
        return Ok(CallbackOutcome::Limited);
    }
    // A ledger that went back in time learns of its attempts again while it recovers: the sender is to come back.
    let is_recovering = worker.ledger.account(0).await?.recovering_until.is_some();
    Ok(if is_recovering { CallbackOutcome::Deferred } else { CallbackOutcome::Unknown })
}

/// The job that owns the task already, if it is another one and this job would take it.
async fn somebody_elses(
    worker: &Worker,
    stored: &Stored,
    task: Option<&TaskId>,
) -> Result<Option<JobKey>, LedgerError> {
    let Some(task) = task.filter(|task| stored.record.task().is_none_or(|own| own.id != **task)) else {
        return Ok(None);
    };
    Ok(worker.ledger.owner(Lookup::Task(task)).await?.filter(|owner| *owner != stored.key))
}

fn refused(by: &JobKey) -> CallbackOutcome {
    error!(%by, "a callback named a task that belongs to another job: refused");
    CallbackOutcome::Refused
}

/// Writes down, now and then, that callbacks get through: by one about the very task that its attempt made.
async fn heard(
    worker: &Worker,
    receiver: &Receiver,
    record: &Record,
    token: &Token,
    task: Option<&TaskId>,
    now: Timestamp,
) {
    let own = record.task().filter(|own| task == Some(&own.id));
    let last = record.last.as_ref().filter(|last| last.token.equals(token));
    let (Some(_), Some(attempt)) = (own, last) else { return };
    if receiver.is_news(now)
        && let Err(error) = worker.ledger.hear(attempt.at).await
    {
        debug!(%error, "it could not be stored that a callback was heard");
    }
}
