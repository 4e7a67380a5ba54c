//! From a link to a file. Whatever goes wrong here, the video is paid for: it is tried until its retention ends.

use super::context::{Context, Moved, OTHER_TASK};
use super::following::lost;
use crate::job::delay::{self, RETENTION};
use crate::job::event::SaveError;
use crate::job::record::{FailureKind, Files, Record, State};
use crate::names::id::TaskId;

pub(super) fn relinked(record: &Record, about: &TaskId, urls: &[String]) -> Moved {
    let mut next = record.clone();
    match &mut next.state {
        State::Downloading { task, urls: links, stale, due, .. } if task.id == *about && !urls.is_empty() => {
            *links = urls.to_vec();
            *stale = false;
            *due = task.at;
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
        | State::Cancelled => Err(OTHER_TASK),
    }
}

pub(super) fn saved(
    record: &Record,
    about: &TaskId,
    files: &Files,
    remark: Option<&str>,
    context: &Context<'_>,
) -> Moved {
    let State::Downloading { task, .. } = &record.state else { return Err(OTHER_TASK) };
    if task.id != *about {
        return Err(OTHER_TASK);
    }
    let mut next = record.clone();
    next.trouble = None;
    next.note(context.now, remark.map_or_else(|| "saved".to_owned(), |remark| format!("saved; {remark}")));
    // Finished jobs are the most numerous, and are kept small; but what is told of its attempts later must be recognized.
    next.failed_task = None;
    if let Some(last) = next.last.take() {
        next.end(last.token);
    }
    next.state = State::Done { task: task.clone(), files: files.clone() };
    Ok(next)
}

pub(super) fn not_saved(record: &Record, about: &TaskId, why: &SaveError, context: &Context<'_>) -> Moved {
    let State::Downloading { task, tries, .. } = &record.state else { return Err(OTHER_TASK) };
    if task.id != *about {
        return Err(OTHER_TASK);
    }
    let (words, link) = why.weighed(*tries);
    if context.now.since(task.at) > RETENTION && !matches!(why, SaveError::Disk(_)) {
        return Ok(lost(record, task, FailureKind::Lost, words, context));
    }
    let wait = delay::retry(tries.saturating_add(1), context.jitter);
    let mut next = record.clone();
    next.trouble = Some(words.to_owned());
    if let State::Downloading { tries, stale, due, .. } = &mut next.state {
        *tries = tries.saturating_add(1);
        *stale = *stale || link;
        *due = context.now + wait;
    }
    Ok(next)
}
