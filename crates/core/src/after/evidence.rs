//! What became of the paid call: evidence, carried by the attempt's token, that needs no lease and may come late.

use super::{Moment, Moved, strays};
use crate::balances::Balances;
use crate::delay::{self, Looked};
use crate::id::{TaskId, Token};
use crate::outcome::{Outcome, Refusal, RefusalKind};
use crate::price::Credits;
use crate::record::{Attempt, Called, Failure, FailureKind, Record, State, Task};
use crate::stray::Stray;
use crate::time::Timestamp;

pub(super) fn submission(record: &Record, token: &Token, outcome: &Outcome, moment: &Moment<'_>) -> Moved {
    if let Outcome::Accepted(task) = outcome {
        let age = open_attempt(record, token).map(|attempt| moment.now.since(attempt.at)).unwrap_or_default();
        let looked = Looked { kind: Some(&record.kind), token: Some(token), age };
        let first = moment.now.after(moment.policy.first_poll(&looked, moment.jitter));
        return accepted(record, token, task, first, moment);
    }
    // A forgotten attempt raises a doubt where nothing else is under way: a queued job would be submitted again, and of a
    // cancelled one nobody would look for the video. Of one that the record knows, it says nothing new: that was settled,
    // or its task is kept beside the job's own.
    let is_at_rest = matches!(record.state, State::Queued { .. } | State::Cancelled);
    let raises_doubt = matches!(outcome, Outcome::Unknown(_)) && is_at_rest && !record.knows(token);
    let attempt = open_attempt(record, token)
        .or_else(|| raises_doubt.then(|| forgotten_attempt(record, token, moment)).flatten())
        .ok_or("has moved on since that attempt")?;
    if is_called_back(record) {
        return Err("was called back since: it was made");
    }
    match outcome {
        Outcome::Refused(refusal) => Ok(refused(record, &attempt, refusal, moment)),
        Outcome::NotSent(why) => {
            let due = moment.now.after(delay::retry(1, moment.jitter));
            Ok(requeued(record, &attempt, Some(due), &format!("not sent: {why}"), moment))
        }
        Outcome::Unknown(why) => doubted(record, &attempt, why, moment),
        Outcome::Accepted(_) => Err("was accepted"),
    }
}

/// A task id is known for `token`. Whatever state the job is in, the task was paid for and is not forgotten.
pub(super) fn accepted(record: &Record, token: &Token, task: &TaskId, due: Timestamp, moment: &Moment<'_>) -> Moved {
    if record.strays.iter().any(|stray| stray.task == *task)
        || record.failed_task.as_ref() == Some(task)
        || record.task().is_some_and(|known| known.id == *task)
    {
        return Err("knows that task already");
    }
    let mut next = record.clone();
    let Some(attempt) = adoptable(record, token, moment) else {
        next.strays.push(Stray::new(task.clone(), token.clone(), moment.now));
        next.note(moment.now, format!("a late answer names task {task}: kept beside the job's own"));
        return Ok(next);
    };
    if let State::InDoubt { called: Some(Called { task: Some(named), comparison: Some(_) }), .. } = &record.state
        && named != task
    {
        next.strays.push(Stray::new(named.clone(), token.clone(), moment.now));
    }
    if let State::Failed { failure: Failure { kind: FailureKind::Refused, .. }, .. } = &record.state {
        next.credits = next.credits.plus(attempt.price);
    }
    next.attempts = attempt.number;
    next.trouble = None;
    next.note(moment.now, format!("attempt {} accepted", attempt.number));
    let task = Task { id: task.clone(), attempt: attempt.number, at: attempt.at };
    next.last = Some(attempt);
    next.state = State::Generating { task, polls: 0, misses: 0, due, called: false, seen: None };
    Ok(next)
}

pub(super) fn orphaned(record: &Record, moment: &Moment<'_>) -> Moved {
    match &record.state {
        State::Submitting { attempt } => {
            doubted(record, attempt, "its worker was cut off during the paid call", moment)
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
fn adoptable(record: &Record, token: &Token, moment: &Moment<'_>) -> Option<Attempt> {
    match &record.state {
        State::Submitting { .. } | State::InDoubt { .. } => open_attempt(record, token),
        State::Queued { .. } | State::Failed { task: None, .. } | State::Cancelled => record
            .last
            .clone()
            .filter(|last| last.token == *token && record.failed_task.is_none())
            .or_else(|| forgotten_attempt(record, token, moment)),
        State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::Failed { .. } => None,
    }
}

/// The attempt of a `token` that the record does not know, while the job has no task and no open attempt: the ledger
/// lost the attempt (a Redis that went back in time), or it is an older one whose video is as good as a new one's.
fn forgotten_attempt(record: &Record, token: &Token, moment: &Moment<'_>) -> Option<Attempt> {
    let known = record.last.as_ref().is_some_and(|last| last.token == *token);
    match &record.state {
        State::Queued { .. } | State::Failed { task: None, .. } | State::Cancelled if !known => Some(Attempt {
            token: token.clone(),
            number: record.attempts + 1,
            at: moment.now,
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

fn doubted(record: &Record, attempt: &Attempt, why: &str, moment: &Moment<'_>) -> Moved {
    if matches!(record.state, State::InDoubt { .. }) {
        return Err("is in doubt already");
    }
    let mut next = record.clone();
    next.attempts = attempt.number;
    next.last = Some(attempt.clone());
    next.trouble = None;
    next.note(moment.now, format!("attempt {} may have been paid for: {why}", attempt.number));
    next.failed_task = None;
    next.state = State::InDoubt { attempt: attempt.clone(), why: why.to_owned(), called: None, balances: None };
    Ok(next)
}

fn refused(record: &Record, attempt: &Attempt, refusal: &Refusal, moment: &Moment<'_>) -> Record {
    let words = format!("{} ({})", refusal.message, refusal.code);
    match refusal.kind {
        RefusalKind::Job => {
            let mut next = record.clone();
            next.attempts = attempt.number;
            next.last = Some(attempt.clone());
            next.credits = next.credits.minus(attempt.price);
            next.trouble = None;
            next.note(moment.now, format!("attempt {} refused: {words}", attempt.number));
            next.state = State::Failed { failure: Failure { kind: FailureKind::Refused, message: words }, task: None };
            next
        }
        // Nothing is wrong with the job: the account's gate makes it wait, and no attempt is used up.
        RefusalKind::RateLimited | RefusalKind::Busy | RefusalKind::NoCredits | RefusalKind::KeyRefused => {
            requeued(record, attempt, None, &words, moment)
        }
    }
}

/// Back to the queue with the attempt undone, because nothing was paid; or cancelled, if a person asked for that.
fn requeued(record: &Record, attempt: &Attempt, due: Option<Timestamp>, why: &str, moment: &Moment<'_>) -> Record {
    let mut next = record.clone();
    next.attempts = attempt.number.saturating_sub(1);
    next.credits = next.credits.minus(attempt.price);
    if next.last.as_ref() == Some(attempt) {
        next.last = None;
    }
    if next.trouble.as_deref() != Some(why) {
        next.note(moment.now, format!("back in the queue: {why}"));
    }
    next.trouble = Some(why.to_owned());
    next.state = State::Queued { due };
    if next.cancelled {
        next.trouble = None;
        next.note(moment.now, "cancelled");
        next.state = State::Cancelled;
    } else {
        strays::promoted(&mut next, moment);
    }
    next
}
