//! What a person orders. No order drops paid work, and only `resolve` touches a job in doubt.

use super::context::{Context, Moved};
use crate::job::event::Verdict;
use crate::job::payable::{Unpayable, payable};
use crate::job::record::Stray;
use crate::job::record::{Attempt, Failure, FailureKind, Record, State, Task};
use crate::names::id::TaskId;

pub(super) fn cancel(record: &Record, context: &Context<'_>) -> Moved {
    let mut next = record.clone();
    match &record.state {
        State::Queued { .. } => {
            next.trouble = None;
            next.note(context.now, "cancelled");
            next.state = State::Cancelled;
        }
        State::Submitting { .. } | State::Generating { .. } | State::Upscaling { .. } | State::Downloading { .. } => {
            if record.cancelled {
                return Err("is cancelled already; what is paid for is still followed and saved");
            }
            next.note(context.now, "cancelled: no further attempt; what is paid for is followed and saved");
        }
        State::InDoubt { .. } => {
            if record.cancelled {
                return Err("is in doubt: settle it with `veobatch resolve`");
            }
            next.note(context.now, "cancelled: no further attempt; whether this one was paid for is still in doubt");
        }
        State::Done { .. } => return Err("is done"),
        State::Failed { .. } => return Err("has failed already"),
        State::Cancelled => return Err("is cancelled already"),
    }
    next.cancelled = true;
    Ok(next)
}

pub(super) fn retry(record: &Record, context: &Context<'_>) -> Moved {
    let mut next = record.clone();
    match &mut next.state {
        State::Failed { task, .. } => match (payable(record), task.take()) {
            (Err(Unpayable::InDoubt), _) => {
                return Err("was given up in doubt and may have been paid for: use `veobatch resolve … --resubmit`");
            }
            (Err(Unpayable::HasTask(own)), Some(task)) if task.id == own => {
                next.state = State::Generating { task, polls: 0, misses: 0, due: context.now, called: false };
            }
            (_, task) => {
                next.failed_task = task.map(|task| task.id);
                next.state = State::Queued { due: None };
            }
        },
        State::Cancelled => next.state = State::Queued { due: None },
        State::Generating { due, misses, .. } => {
            *misses = 0;
            *due = context.now;
        }
        State::Upscaling { due, .. } => *due = context.now,
        State::Downloading { task, due, tries, .. } => {
            *tries = 0;
            *due = task.at;
        }
        State::Queued { due: due @ Some(_) } => *due = None,
        State::Queued { due: None } => return Err("is in the queue already"),
        State::Submitting { .. } => return Err("is being submitted"),
        State::InDoubt { .. } => return Err("is in doubt: settle it with `veobatch resolve`"),
        State::Done { .. } => return Err("is done"),
    }
    next.cancelled = false;
    next.trouble = None;
    next.note(context.now, "retried by hand");
    Ok(next)
}

/// Orders the queue only, so only a job that is in it can be moved there.
pub(super) fn prioritize(record: &Record, priority: i16, context: &Context<'_>) -> Moved {
    match &record.state {
        State::Queued { .. } if record.priority == priority => return Err("has that priority already"),
        State::Queued { .. } => {}
        State::Submitting { .. } => return Err("is being submitted"),
        State::Generating { .. } | State::Upscaling { .. } | State::Downloading { .. } => {
            return Err("is submitted already: nothing of it waits in the queue");
        }
        State::Done { .. } => return Err("is done"),
        State::InDoubt { .. } => return Err("is in doubt: settle it with `veobatch resolve`"),
        State::Failed { .. } => return Err("has failed already: `veobatch retry` puts it back into the queue"),
        State::Cancelled => return Err("is cancelled: `veobatch retry --state cancelled` puts it back into the queue"),
    }
    let mut next = record.clone();
    next.note(context.now, format!("priority {priority} by hand (was {})", record.priority));
    next.priority = priority;
    Ok(next)
}

pub(super) fn resolve(record: &Record, verdict: &Verdict, context: &Context<'_>) -> Moved {
    let (attempt, compared) = doubtful(record).ok_or("is not in doubt")?;
    let mut next = record.clone();
    next.trouble = None;
    match verdict {
        Verdict::Adopt(id) => {
            if let Some(other) = compared.filter(|compared| compared != id) {
                next.strays.push(Stray::new(other, attempt.token.clone(), context.now));
            }
            next.note(context.now, format!("resolved by hand: it is task {id}"));
            let task = Task { id: id.clone(), attempt: attempt.number, at: attempt.at };
            next.state = State::Generating { task, polls: 0, misses: 0, due: context.now, called: false };
        }
        Verdict::Resubmit | Verdict::GiveUp if compared.is_some() => return Err(COMPARED),
        Verdict::GiveUp if matches!(record.state, State::Failed { .. }) => return Err("was given up already"),
        Verdict::Resubmit => {
            next.cancelled = false;
            next.earlier.push(attempt.token);
            next.failed_task =
                record.failed_before().and_then(|failed| failed.task.as_ref()).map(|task| task.id.clone());
            next.note(context.now, "resolved by hand: to be submitted again, possibly paid for twice");
            next.state = State::Queued { due: None };
        }
        Verdict::GiveUp => {
            let message = "given up by hand while in doubt; it may have been paid for".to_owned();
            next.note(context.now, message.as_str());
            next.state = State::Failed { failure: Failure { kind: FailureKind::GivenUp, message }, task: None };
        }
    }
    Ok(next)
}

/// A task that was named by a callback was most likely paid for: its record is read before anything else is decided.
const COMPARED: &str = "was called back with a task id, and a worker compares it first";

/// The attempt in doubt, and the task that is being compared with its job.
fn doubtful(record: &Record) -> Option<(Attempt, Option<TaskId>)> {
    match &record.state {
        State::InDoubt { attempt, called, .. } => {
            let called = called.as_ref().filter(|called| called.comparison.is_some());
            Some((attempt.clone(), called.and_then(|called| called.task.clone())))
        }
        State::Failed { failure: Failure { kind: FailureKind::GivenUp, .. }, .. } => {
            record.last.clone().map(|last| (last, None))
        }
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::Failed { .. }
        | State::Cancelled => None,
    }
}
