//! What the service tells by calling back: a hint. The truth is read from `record-info`, by whoever follows the job.
//!
//! For a task that is followed it makes the next poll due. For an attempt in doubt it names the task, which is written
//! down at once, so that it is never lost, and taken only after it was compared: whoever knows a token could name a
//! stranger's task.

use super::context::{Context, Moved};
use super::evidence::accepted;
use crate::job::delay::{self, MISSING_GRACE, MISSING_POLLS};
use crate::job::event::TaskMatch;
use crate::job::record::Stray;
use crate::job::record::{Attempt, Called, Comparison, Record, State, Task};
use crate::names::id::{TaskId, Token};
use crate::polling::Polled;

pub(super) fn called_back(record: &Record, token: &Token, task: Option<&TaskId>, context: &Context<'_>) -> Moved {
    match (&record.state, task) {
        (State::InDoubt { attempt, called, .. }, _) if attempt.token == *token => {
            in_doubt(record, attempt, called.as_ref(), task, context)
        }
        (State::Generating { task: own, .. } | State::Upscaling { task: own, .. }, _)
            if record.last.as_ref().is_some_and(|last| last.token == *token)
                && task.is_none_or(|task| *task == own.id) =>
        {
            due_now(record, context)
        }
        (_, Some(task)) => {
            let mut next = accepted(record, token, task, context.now, context)?;
            if let State::Generating { task: own, called, .. } = &mut next.state {
                *called = own.id == *task;
            }
            Ok(next)
        }
        (_, None) => called_namelessly(record, token, context),
    }
}

/// A callback that names no task: an open attempt was made, so no word that it was not may end it.
fn called_namelessly(record: &Record, token: &Token, context: &Context<'_>) -> Moved {
    let mut next = record.clone();
    let open = next.open.iter_mut().find(|open| open.attempt.token == *token && !open.called);
    let open = open.ok_or("has nothing to learn from a callback that names no task")?;
    open.called = true;
    let number = open.attempt.number;
    next.note(context.now, format!("attempt {number} was called back without a task id: it was made"));
    Ok(next)
}

fn due_now(record: &Record, context: &Context<'_>) -> Moved {
    let mut next = record.clone();
    match &mut next.state {
        State::Generating { due, called, .. } => {
            *due = context.now.min(*due);
            *called = true;
        }
        State::Upscaling { due, .. } => *due = context.now.min(*due),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => {}
    }
    if next == *record { Err("is due already") } else { Ok(next) }
}

fn in_doubt(
    record: &Record,
    attempt: &Attempt,
    called: Option<&Called>,
    task: Option<&TaskId>,
    context: &Context<'_>,
) -> Moved {
    let known = called.and_then(|called| called.task.as_ref());
    let mut next = record.clone();
    let now = match (known, task) {
        (Some(known), Some(task)) if known == task => return Err("knows that task already"),
        (None, Some(task)) => {
            next.note(context.now, format!("called back: task {task}, which is compared first"));
            let comparison = Comparison { since: context.now, misses: 0, due: context.now };
            Called { task: Some(task.clone()), comparison: Some(comparison) }
        }
        (Some(_), Some(other)) => {
            if record.strays.iter().any(|stray| stray.task == *other) {
                return Err("knows that task already");
            }
            next.note(context.now, format!("called back about another task, {other}: kept beside the first one"));
            next.strays.push(Stray::new(other.clone(), attempt.token.clone(), context.now));
            return Ok(next);
        }
        (_, None) if called.is_some() => return Err("was called back already"),
        (_, None) => {
            next.note(context.now, "called back without a task id: it was made, and nobody says which task it is");
            Called { task: None, comparison: None }
        }
    };
    if let State::InDoubt { called, .. } = &mut next.state {
        *called = Some(now);
    }
    Ok(next)
}

pub(super) fn compared(
    record: &Record,
    token: &Token,
    task: &TaskId,
    found: &TaskMatch,
    context: &Context<'_>,
) -> Moved {
    let State::InDoubt { attempt, called: Some(Called { task: Some(named), comparison: Some(comparison) }), .. } =
        &record.state
    else {
        return Err("has no task to compare");
    };
    if attempt.token != *token || named != task {
        return Err("has another task to compare by now");
    }
    let mut next = record.clone();
    next.trouble = None;
    match found {
        TaskMatch::Ours => {
            next.note(context.now, format!("attempt {} accepted, as its callback said: task {task}", attempt.number));
            let task = Task { id: task.clone(), attempt: attempt.number, at: attempt.at };
            next.state = State::Generating { task, polls: 0, misses: 0, due: context.now, called: false };
        }
        TaskMatch::Another(why) => {
            next.note(context.now, format!("the callback's task {task} is refused: {why}"));
            set_comparison(&mut next, None);
        }
        TaskMatch::Missing(why) => {
            let misses = comparison.misses.saturating_add(1);
            if misses >= MISSING_POLLS && context.now.since(comparison.since) > MISSING_GRACE {
                // It may have been made all the same: what was named by a callback is not forgotten.
                next.note(context.now, format!("the callback's task {task} is kept beside the job: {why}"));
                next.strays.push(Stray::new(task.clone(), token.clone(), context.now));
                set_comparison(&mut next, None);
            } else {
                let due = context.now + delay::retry(misses, context.jitter);
                next.trouble = Some(why.clone());
                set_comparison(&mut next, Some(Comparison { since: comparison.since, misses, due }));
            }
        }
        TaskMatch::Trouble(trouble) => {
            let polled = Polled { kind: None, token: None, age: context.now.since(comparison.since) };
            let gap = context.policy.next_poll(&polled, 1, context.jitter);
            let due = context.now + gap.max(trouble.retry_after.unwrap_or_default());
            next.trouble = Some(trouble.message.clone());
            set_comparison(&mut next, Some(Comparison { due, ..comparison.clone() }));
        }
    }
    Ok(next)
}

/// What is still to be done about the task that was named.
fn set_comparison(record: &mut Record, comparison: Option<Comparison>) {
    if let State::InDoubt { called: Some(called), .. } = &mut record.state {
        called.comparison = comparison;
    }
}
