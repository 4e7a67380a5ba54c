//! What polls and upgrades taught. None of it leads to a submission, except the service's own word that a task failed.

use std::time::Duration;

use super::context::{Context, Moved, OTHER_TASK};
use super::strays;
use crate::job::delay::{self, AFTER_CALLBACK, MISSING_GRACE, MISSING_POLLS, NEXT_ATTEMPT, RETENTION, UPGRADE_TROUBLE};
use crate::job::event::{Progress, TaskFailure, Trouble, Upgrade};
use crate::job::record::{Called, Failure, FailureKind, Record, State, Task};
use crate::job::spec::Resolution;
use crate::names::id::{TaskId, Token};
use crate::polling::Polled;

const NO_VIDEO: &str = "the service says it is made, but names no video";

pub(super) fn polled(record: &Record, about: &TaskId, progress: &Progress, context: &Context<'_>) -> Moved {
    let State::Generating { task, polls, misses, called, .. } = &record.state else { return Err(OTHER_TASK) };
    if task.id != *about {
        return Err(OTHER_TASK);
    }
    let again = |misses, trouble| again(record, task, (*polls, misses, *called), trouble, context);
    let missed = misses.saturating_add(1);
    Ok(match progress {
        Progress::Made { urls, resolution } => made(record, task, urls, *resolution, context),
        Progress::Failed(failure) => generation_failed(record, task, failure, context),
        Progress::Running => again(0, None),
        Progress::NoOutput if missed >= MISSING_POLLS => lost(record, task, FailureKind::NoOutput, NO_VIDEO, context),
        Progress::NoOutput => again(missed, Some((NO_VIDEO.to_owned(), None))),
        Progress::Missing(why) if missed >= MISSING_POLLS && context.now.since(task.at) > MISSING_GRACE => {
            lost(record, task, FailureKind::Lost, why, context)
        }
        Progress::Missing(why) => again(missed, Some((why.clone(), None))),
        // Says nothing of the task, so it is no evidence that the task is gone.
        Progress::Trouble(Trouble { message, retry_after, .. }) => {
            again(*misses, Some((message.clone(), *retry_after)))
        }
    })
}

/// The same task once more, later; in the way is what `trouble` says, and the wait that the service asked for with it.
fn again(
    record: &Record,
    task: &Task,
    (polls, misses, called): (u32, u32, bool),
    trouble: Option<(String, Option<Duration>)>,
    context: &Context<'_>,
) -> Record {
    let age = context.now.since(task.at);
    if age > RETENTION {
        return lost(record, task, FailureKind::Lost, "the service keeps videos for 14 days only", context);
    }
    let in_a_row = misses.max(u32::from(trouble.is_some()));
    let (trouble, asked) = trouble.unzip();
    let polled = Polled { kind: Some(&record.kind), token: carrier(record), age };
    let gap = context.policy.next_poll(&polled, in_a_row, context.jitter);
    // What was called back about may have come after this answer was given: poll once more, soon.
    let gap = if called { gap.min(AFTER_CALLBACK) } else { gap }.max(asked.flatten().unwrap_or_default());
    let mut next = record.clone();
    next.trouble = trouble;
    let (polls, due) = (polls.saturating_add(1), context.now + gap);
    next.state = State::Generating { task: task.clone(), polls, misses, due, called: false };
    next
}

/// The attempt that made the present task.
fn carrier(record: &Record) -> Option<&Token> {
    record.last.as_ref().map(|last| &last.token)
}

fn made(
    record: &Record,
    task: &Task,
    urls: &[String],
    resolution: Option<Resolution>,
    context: &Context<'_>,
) -> Record {
    let mut next = record.clone();
    next.trouble = None;
    let wanted = record.resolution;
    if resolution.is_some_and(|size| wanted > size) {
        next.note(context.now, format!("made; asking for {}", wanted.as_str()));
        next.state = State::Upscaling {
            task: task.clone(),
            base: urls.to_vec(),
            since: context.now,
            tries: 0,
            due: context.now,
        };
        return next;
    }
    // It may have the size that was asked for, and then a larger version would be paid for twice.
    let is_open = resolution.is_none() && wanted > Resolution::default();
    let words = format!("made; its size is not known, so no {} version is bought", wanted.as_str());
    next.note(context.now, if is_open { &words } else { "made" });
    next.state = downloading(task, urls.to_vec(), resolution, false);
    next
}

fn downloading(task: &Task, urls: Vec<String>, size: Option<Resolution>, upgraded: bool) -> State {
    // Due since it was submitted: of those that are due, the one whose retention ends first goes first.
    State::Downloading { task: task.clone(), urls, size, upgraded, stale: false, tries: 0, due: task.at }
}

fn generation_failed(record: &Record, task: &Task, failure: &TaskFailure, context: &Context<'_>) -> Record {
    let words = match failure.code {
        Some(code) => format!("{} ({code})", failure.message),
        None => failure.message.clone(),
    };
    let mut next = record.clone();
    next.trouble = None;
    next.note(context.now, format!("attempt {} (task {}) failed: {words}", task.attempt, task.id));
    if failure.policy || record.cancelled || record.attempts >= record.max_attempts {
        let kind = if failure.policy { FailureKind::Policy } else { FailureKind::Generation };
        next.state = State::Failed { failure: Failure { kind, message: words }, task: Some(task.clone()) };
    } else {
        next.failed_task = Some(task.id.clone());
        next.state = State::Queued { due: Some(context.now + NEXT_ATTEMPT) };
    }
    next
}

pub(super) fn lost(record: &Record, task: &Task, kind: FailureKind, why: &str, context: &Context<'_>) -> Record {
    let mut next = record.clone();
    next.trouble = None;
    next.note(context.now, format!("given up: {why}"));
    next.state = State::Failed { failure: Failure { kind, message: why.to_owned() }, task: Some(task.clone()) };
    next
}

pub(super) fn upgraded(
    record: &Record,
    about: &TaskId,
    to: Resolution,
    upgrade: &Upgrade,
    context: &Context<'_>,
) -> Moved {
    let State::Upscaling { task, base, since, tries, .. } = &record.state else { return Err(OTHER_TASK) };
    if task.id != *about {
        return Err(OTHER_TASK);
    }
    let mut next = record.clone();
    next.trouble = None;
    let (why, on) = match upgrade {
        Upgrade::Ready(url) => {
            let urls = std::iter::once(url).chain(base.iter().skip(1)).cloned().collect();
            next.note(context.now, format!("{} made", to.as_str()));
            next.state = downloading(task, urls, Some(to), true);
            return Ok(next);
        }
        Upgrade::Unavailable(why) => (why, None),
        Upgrade::NotAsked(until) => {
            next.trouble.clone_from(&record.trouble);
            let (task, base, due) = (task.clone(), base.clone(), *until);
            next.state = State::Upscaling { task, base, since: *since, tries: *tries, due };
            return Ok(next);
        }
        // Counted in answers, not in time: a time in which nobody asked is no reason to give up what was paid for.
        Upgrade::Waiting(why) => {
            let tries = tries.saturating_add(1);
            (why, (tries < context.policy.upgrades.tries(to)).then_some((tries, Duration::ZERO)))
        }
        Upgrade::Trouble(Trouble { message, retry_after, .. }) => {
            let is_early = context.now.since(*since) < UPGRADE_TROUBLE;
            (message, is_early.then_some((*tries, retry_after.unwrap_or_default())))
        }
    };
    if let Some((tries, asked)) = on {
        let gap = context.policy.upgrades.next(to, context.jitter).max(asked);
        next.trouble = Some(why.clone());
        next.state =
            State::Upscaling { task: task.clone(), base: base.clone(), since: *since, tries, due: context.now + gap };
    } else {
        next.note(context.now, format!("no {} version, the base video is saved: {why}", to.as_str()));
        next.state = downloading(task, base.clone(), None, false);
    }
    Ok(next)
}

/// A step that ended without a result, again and again: due in an hour or more, and never given up.
pub(super) fn stuck(record: &Record, why: &str, deliveries: u32, context: &Context<'_>) -> Moved {
    let later = context.now + delay::park(deliveries.saturating_sub(1));
    let mut next = record.clone();
    match &mut next.state {
        State::Generating { due, .. } | State::Upscaling { due, .. } | State::Downloading { due, .. } => *due = later,
        State::InDoubt { called: Some(Called { comparison: Some(comparison), .. }), .. } => comparison.due = later,
        State::Submitting { .. } => return super::evidence::orphaned(record, context),
        State::Queued { .. } | State::Done { .. } | State::InDoubt { .. } | State::Failed { .. } | State::Cancelled => {
            return strays::stuck(record, why, deliveries, context);
        }
    }
    next.trouble = Some(why.to_owned());
    next.note(context.now, format!("parked: {why}"));
    Ok(next)
}
