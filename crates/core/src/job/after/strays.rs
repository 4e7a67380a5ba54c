//! What becomes of the strays of a job. What is told of a stray changes that stray and the history, and nothing else: no
//! way leads from a stray to a submission. Only where its job would be paid for once more, a stray takes the place of that.

use std::time::Duration;

use super::context::{Context, Moved, OTHER_TASK};
use crate::job::delay::{self, MISSING_GRACE, MISSING_POLLS, RETENTION};
use crate::job::event::SaveError;
use crate::job::event::{Progress, Trouble};
use crate::job::payable::live_stray;
use crate::job::record::{Attempt, Files, Record, State, Task};
use crate::job::record::{Stray, StrayState};
use crate::money::Credits;
use crate::names::id::TaskId;
use crate::polling::Polled;

const NO_VIDEO: &str = "the service says it is made, but names no video";
const TOO_OLD: &str = "the service keeps videos for 14 days only";

pub(super) fn polled(record: &Record, about: &TaskId, progress: &Progress, context: &Context<'_>) -> Moved {
    change(record, about, context, |stray| {
        let StrayState::Awaited { misses, .. } = stray.fate else { return None };
        let age = context.now.since(stray.at);
        let missed = misses.saturating_add(1);
        let mut again = |misses: u32, trouble: Option<(&str, Option<Duration>)>| {
            if age > RETENTION {
                return StrayState::Gone(TOO_OLD.to_owned());
            }
            let in_a_row = misses.max(u32::from(trouble.is_some()));
            let gap = context.policy.next_poll(&Polled { kind: None, token: None, age }, in_a_row, context.jitter);
            let asked = trouble.and_then(|(_, asked)| asked).unwrap_or_default();
            stray.trouble = trouble.map(|(words, _)| words.to_owned());
            StrayState::Awaited { misses, due: context.now + gap.max(asked) }
        };
        Some(match progress {
            // Due since it is known: the one that is kept no longer than others goes first, as with jobs.
            Progress::Made { urls, .. } => {
                StrayState::Made { urls: urls.clone(), stale: false, tries: 0, due: stray.at }
            }
            Progress::Failed(failure) => StrayState::Gone(failure.message.clone()),
            Progress::Running => again(0, None),
            Progress::NoOutput if missed >= MISSING_POLLS => StrayState::Gone(NO_VIDEO.to_owned()),
            Progress::NoOutput => again(missed, Some((NO_VIDEO, None))),
            Progress::Missing(why) if missed >= MISSING_POLLS && age > MISSING_GRACE => StrayState::Gone(why.clone()),
            Progress::Missing(why) => again(missed, Some((why, None))),
            Progress::Trouble(Trouble { message, retry_after, .. }) => again(misses, Some((message, *retry_after))),
        })
    })
}

pub(super) fn relinked(record: &Record, about: &TaskId, links: &[String], context: &Context<'_>) -> Moved {
    change(record, about, context, |stray| match stray.fate {
        StrayState::Made { tries, .. } if !links.is_empty() => {
            Some(StrayState::Made { urls: links.to_vec(), stale: false, tries, due: stray.at })
        }
        StrayState::Made { .. } | StrayState::Awaited { .. } | StrayState::Saved(_) | StrayState::Gone(_) => None,
    })
}

pub(super) fn saved(record: &Record, about: &TaskId, files: &Files, context: &Context<'_>) -> Moved {
    change(record, about, context, |stray| match stray.fate {
        StrayState::Made { .. } => Some(StrayState::Saved(files.clone())),
        StrayState::Awaited { .. } | StrayState::Saved(_) | StrayState::Gone(_) => None,
    })
}

pub(super) fn not_saved(record: &Record, about: &TaskId, why: &SaveError, context: &Context<'_>) -> Moved {
    change(record, about, context, |stray| {
        let StrayState::Made { urls, stale, tries, .. } = &stray.fate else { return None };
        let (words, link) = why.weighed(*tries);
        if context.now.since(stray.at) > RETENTION && !matches!(why, SaveError::Disk(_)) {
            return Some(StrayState::Gone(words.to_owned()));
        }
        let due = context.now + delay::retry(tries.saturating_add(1), context.jitter);
        let next = StrayState::Made { urls: urls.clone(), stale: *stale || link, tries: tries.saturating_add(1), due };
        stray.trouble = Some(words.to_owned());
        Some(next)
    })
}

/// A step about the next stray that ended without a result, again and again.
pub(super) fn stuck(record: &Record, why: &str, deliveries: u32, context: &Context<'_>) -> Moved {
    let task = record.next_stray().ok_or("is not under way")?.task.clone();
    let later = context.now + delay::park(deliveries.saturating_sub(1));
    change(record, &task, context, |stray| {
        let mut fate = stray.fate.clone();
        if let StrayState::Awaited { due, .. } | StrayState::Made { due, .. } = &mut fate {
            *due = later;
        }
        stray.trouble = Some(why.to_owned());
        Some(fate)
    })
}

/// Takes a task beside the job's own for its own, if one was paid for and not in vain: where the job would be queued, and
/// paid for once more. `false` if there is none.
pub(super) fn promoted(next: &mut Record, context: &Context<'_>) -> bool {
    let Some(task) = live_stray(next).map(|stray| stray.task.clone()) else { return false };
    let Some(at) = next.strays.iter().position(|stray| stray.task == task) else { return false };
    let stray = next.strays.remove(at);
    let task = Task { attempt: next.attempts, ..stray.as_task() };
    next.note(context.now, format!("task {} was paid for too: nothing is submitted again", stray.task));
    let price = Credits::default();
    next.succeed(Attempt { token: stray.token, number: next.attempts, at: stray.at, price });
    next.trouble = None;
    next.state = match stray.fate {
        StrayState::Saved(files) => State::Done { task, files },
        StrayState::Awaited { .. } | StrayState::Made { .. } | StrayState::Gone(_) => {
            // It may be a callback that told of it.
            State::Generating { task, polls: 0, misses: 0, due: context.now, called: true }
        }
    };
    true
}

/// The record with another fate of the stray `about`, if `fate` knows one. What is new in kind goes into the history.
fn change(
    record: &Record,
    about: &TaskId,
    context: &Context<'_>,
    fate: impl FnOnce(&mut Stray) -> Option<StrayState>,
) -> Moved {
    let mut next = record.clone();
    let stray = next.strays.iter_mut().find(|stray| stray.task == *about).ok_or(OTHER_TASK)?;
    let was = std::mem::discriminant(&stray.fate);
    stray.fate = fate(stray).ok_or(OTHER_TASK)?;
    if std::mem::discriminant(&stray.fate) == was {
        return Ok(next);
    }
    stray.trouble = None;
    let words = match &stray.fate {
        StrayState::Awaited { .. } => format!("task {about}, beside the job's own, is awaited"),
        StrayState::Made { .. } => format!("task {about}, beside the job's own, is made"),
        StrayState::Saved(_) => format!("task {about}, beside the job's own, is saved"),
        StrayState::Gone(why) => format!("task {about}, beside the job's own, is given up: {why}"),
    };
    next.note(context.now, words);
    Ok(next)
}
