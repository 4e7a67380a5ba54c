//! What a change of a job came to, and the one change that must never be lost: how a paid call ended.

use tracing::{debug, error, info, warn};
use veobatch_core::{Event, Outcome, PollPolicy, Record, State, Token};
use veobatch_ledger::{Backoff, Change, Changed, Lease, Ledger, LedgerError, Settle, Stored, change};

use crate::runtime::random;

/// How one paid call ended, as told by the worker that made it or by a journal.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) token: &'a Token,
    pub(crate) outcome: Outcome,
    /// For the account.
    pub(crate) settle: Option<Settle>,
    /// The lease it is recorded under, if that is still held.
    pub(crate) lease: Option<&'a Lease>,
}

/// Records the outcome of a paid call. If the task id belongs to another job, it cannot be this job's: then the outcome is
/// recorded as unknown.
pub(crate) async fn record_outcome(
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    stored: Stored,
    evidence: Evidence<'_>,
    backoff: &mut dyn Backoff,
) -> Result<Changed, LedgerError> {
    let Evidence { token, outcome, settle, lease } = evidence;
    let jitter = random::jitter();
    let task = match &outcome {
        Outcome::Accepted(task) => Some(task.clone()),
        Outcome::Refused(_) | Outcome::NotSent(_) | Outcome::Unknown(_) => None,
    };
    let event = Event::Submission { token: token.clone(), outcome };
    let told = Change { event: &event, lease, settle: settle.clone(), jitter, policy };
    let result = change(ledger, stored.clone(), &told, backoff).await;
    let (Err(LedgerError::TaskTaken { by }), Some(task)) = (&result, task) else { return result };
    error!(job = %stored.key, %task, %by, "the service answered with a task that belongs to another job");
    let why = format!("the service answered with task {task}, which belongs to job {by}");
    let event = Event::Submission { token: token.clone(), outcome: Outcome::Unknown(why) };
    change(ledger, stored, &Change { event: &event, lease, settle, jitter, policy }, backoff).await
}

/// Logs the result of a change, once, in the span of its job.
pub(crate) fn log(result: &Result<Changed, LedgerError>) {
    match result {
        Ok(Changed::Moved { from, to }) => log_move(from, to),
        Ok(Changed::Same(reason)) => debug!("nothing changed: the job {reason}"),
        Ok(Changed::Lost) => info!("another worker holds the job now"),
        Err(error @ LedgerError::Unavailable(_)) => warn!(%error, "the result of a step could not be stored"),
        Err(error) => error!(%error, "the result of a step was not stored"),
    }
}

/// Whether [`log`] writes more than a debug line about it.
pub(crate) fn is_news(result: &Result<Changed, LedgerError>) -> bool {
    match result {
        Ok(Changed::Moved { from, to }) => {
            let is_new_trouble = to.trouble.is_some() && from.trouble != to.trouble;
            is_new_trouble || from.state.name() != to.state.name()
        }
        Ok(Changed::Same(_)) => false,
        Ok(Changed::Lost) | Err(_) => true,
    }
}

fn log_move(from: &Record, to: &Record) {
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
            Some(trouble) if from.trouble.as_ref() != Some(trouble) => info!(%was, %is, task, %trouble, "trouble"),
            Some(_) | None if was != is => info!(%was, %is, task, "state changed"),
            Some(_) | None => debug!(%is, task, "polled"),
        },
    }
}
