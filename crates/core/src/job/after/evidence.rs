//! What became of the paid call: evidence, carried by the attempt's token, that needs no lease and may come late.

use super::context::{Context, Moved};
use crate::job::delay;
use crate::job::event::{Outcome, Refusal, RefusalKind};
use crate::job::record::Stray;
use crate::job::record::{Attempt, Called, Failed, Failure, FailureKind, OpenAttempt, Record, State, Task};
use crate::money::Balances;
use crate::money::Credits;
use crate::names::id::{TaskId, Token};
use crate::polling::Polled;
use crate::time::Timestamp;

pub(super) fn submission(record: &Record, token: &Token, outcome: &Outcome, context: &Context<'_>) -> Moved {
    if let Outcome::Accepted(task) = outcome {
        let age = open_attempt(record, token).map(|attempt| context.now.since(attempt.at)).unwrap_or_default();
        let polled = Polled { kind: Some(&record.kind), token: Some(token), age };
        let first = context.now + context.policy.first_poll(&polled, context.jitter);
        return accepted(record, token, task, first, context);
    }
    let Some(attempt) = open_attempt(record, token) else { return beside_the_state(record, token, outcome, context) };
    if is_called_back(record) {
        return Err("was called back since: it was made");
    }
    match outcome {
        Outcome::Refused(refusal) => Ok(refused(record, &attempt, refusal, context)),
        Outcome::NotSent(why) => {
            let due = context.now + delay::retry(1, context.jitter);
            Ok(requeued(record, &attempt, Some(due), &format!("not sent: {why}"), context))
        }
        Outcome::Unknown(why) => doubted(record, &attempt, why, context),
        Outcome::Accepted(_) => Err("was accepted"),
    }
}

/// What is told, other than a task, of an attempt that the state is not about.
fn beside_the_state(record: &Record, token: &Token, outcome: &Outcome, context: &Context<'_>) -> Moved {
    let mut next = record.clone();
    let open = record.open.iter().position(|open| open.attempt.token == *token).map(|at| next.open.remove(at));
    match (open, outcome) {
        (Some(open), Outcome::Refused(_) | Outcome::NotSent(_)) if open.called => {
            Err("was called back since: it was made")
        }
        (Some(OpenAttempt { attempt, .. }), Outcome::Refused(_) | Outcome::NotSent(_)) => {
            next.note(context.now, format!("attempt {} was not paid for", attempt.number));
            next.attempts = next.attempts.saturating_sub(1);
            next.credits = next.credits.saturating_sub(attempt.price);
            next.end(attempt.token);
            Ok(next)
        }
        (None, Outcome::Unknown(why)) => forgotten(record, token, why, context),
        (Some(_), Outcome::Unknown(_)) => Err("is in doubt about that attempt already"),
        (_, Outcome::Accepted(_)) | (None, Outcome::Refused(_) | Outcome::NotSent(_)) => {
            Err("has moved on since that attempt")
        }
    }
}

/// An attempt that may have been paid for, and that the record does not know: the ledger went back in time and lost it.
/// Of one that is known this says nothing new: it was settled, or its task is kept beside the job's own.
fn forgotten(record: &Record, token: &Token, why: &str, context: &Context<'_>) -> Moved {
    if record.knows(token) {
        return Err("knows what became of that attempt");
    }
    if record.has_forgotten_its_attempts() {
        return Err("is done and compact: its attempts are no longer known");
    }
    let mut next = record.clone();
    next.attempts = next.attempts.saturating_add(1);
    if let State::Submitting { attempt } = &mut next.state {
        // As it is read from now on.
        attempt.number = next.attempts.saturating_add(1);
    }
    let (number, price) = (next.attempts, Credits::default());
    next.note(context.now, format!("attempt {number}, which the ledger had forgotten, may have been paid for: {why}"));
    let attempt = Attempt { token: token.clone(), number, at: context.now, price };
    next.open.push(OpenAttempt { attempt, why: why.to_owned(), called: false });
    Ok(next)
}

/// A job that would rest, or wait to be paid for, comes to be in doubt about its oldest open attempt, if it has one.
pub(super) fn reopened(mut next: Record, context: &Context<'_>) -> Record {
    if next.open.is_empty() {
        return next;
    }
    let OpenAttempt { attempt, why, called } = next.open.remove(0);
    let failed = match &next.state {
        State::Failed { failure, task } => Some(Box::new(Failed { failure: failure.clone(), task: task.clone() })),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Cancelled => None,
    };
    next.trouble = None;
    next.note(context.now, format!("in doubt about attempt {}: {why}", attempt.number));
    next.succeed(attempt.clone());
    let called = called.then_some(Called { task: None, comparison: None });
    next.state = State::InDoubt { attempt, why, called, balances: None, failed };
    next
}

/// A task id is known for `token`. Whatever state the job is in, the task was paid for and is not forgotten.
pub(super) fn accepted(record: &Record, token: &Token, task: &TaskId, due: Timestamp, context: &Context<'_>) -> Moved {
    if record.strays.iter().any(|stray| stray.task == *task)
        || record.failed_task.as_ref() == Some(task)
        || record.failed_before().and_then(|failed| failed.task.as_ref()).is_some_and(|known| known.id == *task)
        || record.task().is_some_and(|known| known.id == *task)
    {
        return Err("knows that task already");
    }
    let mut next = record.clone();
    let Some(attempt) = adoptable(record, token, context) else {
        next.open.retain(|open| open.attempt.token != *token);
        next.strays.push(Stray::new(task.clone(), token.clone(), context.now));
        next.note(context.now, format!("a late answer names task {task}: kept beside the job's own"));
        return Ok(next);
    };
    if let State::InDoubt { called: Some(Called { task: Some(named), comparison: Some(_) }), .. } = &record.state
        && named != task
    {
        next.strays.push(Stray::new(named.clone(), token.clone(), context.now));
    }
    if let State::Failed { failure: Failure { kind: FailureKind::Refused, .. }, .. } = &record.state {
        next.credits += attempt.price;
    }
    next.attempts = next.attempts.max(attempt.number);
    next.trouble = None;
    next.note(context.now, format!("attempt {} accepted", attempt.number));
    if let Some(failed) = record.failed_before().and_then(|failed| failed.task.as_ref()) {
        next.failed_task = Some(failed.id.clone());
    }
    let task = Task { id: task.clone(), attempt: attempt.number, at: attempt.at };
    next.succeed(attempt);
    next.state = State::Generating { task, polls: 0, misses: 0, due, called: false };
    Ok(next)
}

pub(super) fn orphaned(record: &Record, context: &Context<'_>) -> Moved {
    match &record.state {
        State::Submitting { attempt } => {
            doubted(record, attempt, "its worker was cut off during the paid call", context)
        }
        State::Queued { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => Err("is not being submitted"),
    }
}

/// What the balance was around the attempt in doubt. The first telling stands: a later one is further from the attempt.
pub(super) fn balance_read(record: &Record, token: &Token, read: &Balances) -> Moved {
    let mut next = record.clone();
    match &mut next.state {
        State::InDoubt { attempt, balances, .. } if attempt.token == *token => {
            if balances.is_some() {
                return Err("knows a balance already");
            }
            *balances = Some(read.clone());
            Ok(next)
        }
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => Err("is not in doubt about that attempt"),
    }
}

/// A callback for the attempt in doubt says more than any word that it was not made.
fn is_called_back(record: &Record) -> bool {
    matches!(record.state, State::InDoubt { called: Some(_), .. })
}

/// The attempt of `token`, if its outcome is still open.
fn open_attempt(record: &Record, token: &Token) -> Option<Attempt> {
    match &record.state {
        State::Submitting { attempt } | State::InDoubt { attempt, .. } if attempt.token == *token => {
            Some(attempt.clone())
        }
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => None,
    }
}

/// The attempt of `token`, if its task may become the job's own: no later attempt is open, and the job has no task.
fn adoptable(record: &Record, token: &Token, context: &Context<'_>) -> Option<Attempt> {
    match &record.state {
        State::Submitting { .. } | State::InDoubt { .. } => open_attempt(record, token),
        State::Queued { .. } | State::Failed { task: None, .. } | State::Cancelled => record
            .last
            .clone()
            .filter(|last| last.token == *token && record.failed_task.is_none())
            .or_else(|| forgotten_attempt(record, token, context)),
        State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::Failed { .. } => None,
    }
}

/// The attempt of a `token` that the record does not know, while the job has no task and no open attempt: the ledger
/// lost the attempt (a Redis that went back in time), or it is an older one whose video is as good as a new one's.
fn forgotten_attempt(record: &Record, token: &Token, context: &Context<'_>) -> Option<Attempt> {
    let known = record.last.as_ref().is_some_and(|last| last.token == *token);
    match &record.state {
        State::Queued { .. } | State::Failed { task: None, .. } | State::Cancelled if !known => Some(Attempt {
            token: token.clone(),
            number: record.attempts + 1,
            at: context.now,
            price: Credits::default(),
        }),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => None,
    }
}

fn doubted(record: &Record, attempt: &Attempt, why: &str, context: &Context<'_>) -> Moved {
    if matches!(record.state, State::InDoubt { .. }) {
        return Err("is in doubt already");
    }
    let mut next = record.clone();
    next.attempts = next.attempts.max(attempt.number);
    next.succeed(attempt.clone());
    next.trouble = None;
    next.note(context.now, format!("attempt {} may have been paid for: {why}", attempt.number));
    next.failed_task = None;
    let (attempt, why) = (attempt.clone(), why.to_owned());
    next.state = State::InDoubt { attempt, why, called: None, balances: None, failed: None };
    Ok(next)
}

fn refused(record: &Record, attempt: &Attempt, refusal: &Refusal, context: &Context<'_>) -> Record {
    let words = format!("{} ({})", refusal.message, refusal.code);
    match refusal.kind {
        RefusalKind::Job => {
            let mut next = record.clone();
            next.attempts = next.attempts.max(attempt.number);
            next.succeed(attempt.clone());
            next.credits = next.credits.saturating_sub(attempt.price);
            next.trouble = None;
            next.note(context.now, format!("attempt {} refused: {words}", attempt.number));
            let refused = Failed { failure: Failure { kind: FailureKind::Refused, message: words }, task: None };
            let Failed { failure, task } = record.failed_before().cloned().unwrap_or(refused);
            next.state = State::Failed { failure, task };
            next
        }
        // Nothing is wrong with the job: the account's gate makes it wait, and no attempt is used up.
        RefusalKind::RateLimited | RefusalKind::Busy | RefusalKind::NoCredits | RefusalKind::KeyRefused => {
            requeued(record, attempt, None, &words, context)
        }
    }
}

/// Back to the queue with the attempt undone, because nothing was paid; or cancelled, if a person asked for that.
fn requeued(record: &Record, attempt: &Attempt, due: Option<Timestamp>, why: &str, context: &Context<'_>) -> Record {
    let mut next = record.clone();
    // An attempt counts from when it may have been sent; one that is still being submitted does not yet.
    if matches!(record.state, State::InDoubt { .. }) {
        next.attempts = next.attempts.saturating_sub(1);
    }
    next.credits = next.credits.saturating_sub(attempt.price);
    next.last = next.last.filter(|last| last.token != attempt.token);
    if next.trouble.as_deref() != Some(why) {
        next.note(context.now, format!("back in the queue: {why}"));
    }
    next.trouble = Some(why.to_owned());
    next.state = State::Queued { due };
    next.end(attempt.token.clone());
    if let Some(Failed { failure, task }) = record.failed_before().cloned() {
        next.trouble = None;
        next.note(context.now, "failed, as before");
        next.state = State::Failed { failure, task };
    } else if next.cancelled {
        next.trouble = None;
        next.note(context.now, "cancelled");
        next.state = State::Cancelled;
    }
    next
}
