//! What to do next with a job that is due. Decides nothing about money: that was decided by how it came to be due.

use crate::job::facets::Lane;
use crate::job::payable::payable_once_settled;
use crate::job::record::{Attempt, Called, Record, State, Task};
use crate::job::record::{Stray, StrayState};
use crate::job::spec::Resolution;
use crate::names::id::{TaskId, Token};

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make the paid call of this attempt, whose intent this claim wrote.
    Submit(Attempt),
    /// Make no call: something was, or may have been, paid for meanwhile. Report that nothing was sent.
    Withdraw,
    /// Its writer is gone: report it as orphaned. Never a call.
    Orphan,
    /// Ask how the task is.
    Poll(Task),
    /// Ask whether the task that a callback named for this attempt in doubt is the job's.
    Compare(Attempt, TaskId),
    /// Ask for a larger version of the task's video.
    Upgrade(Task, Resolution),
    /// Ask for new links, then fetch.
    Relink(Task),
    /// Fetch these.
    Save(Task, Vec<String>),
    /// Nothing: it is not due in this lane.
    Nothing,
}

/// The next step of a job claimed in `lane`; `mine` is the token that this claim wrote as an intent, if it wrote one.
///
/// [`Step::Submit`] comes out for one input only: the submit lane, in state `submitting`, with this claim's own token,
/// and nothing beside it that was or may have been paid for.
pub fn plan(record: &Record, lane: Lane, mine: Option<&Token>) -> Step {
    if let Some(stray) = record.next_stray() {
        return follow_stray(stray, lane);
    }
    match (&record.state, lane) {
        (State::Submitting { attempt }, Lane::Submit) if mine == Some(&attempt.token) => {
            match payable_once_settled(record) {
                Ok(()) => Step::Submit(attempt.clone()),
                Err(_) => Step::Withdraw,
            }
        }
        (State::Submitting { .. }, Lane::Submit | Lane::Follow) => Step::Orphan,
        (State::Generating { task, .. }, Lane::Follow) => Step::Poll(task.clone()),
        (State::Upscaling { task, .. }, Lane::Follow) => Step::Upgrade(task.clone(), record.resolution),
        (
            State::InDoubt { attempt, called: Some(Called { task: Some(task), comparison: Some(_) }), .. },
            Lane::Follow,
        ) => Step::Compare(attempt.clone(), task.clone()),
        (State::Downloading { task, stale: true, .. }, Lane::Save) => Step::Relink(task.clone()),
        (State::Downloading { task, urls, .. }, Lane::Save) => Step::Save(task.clone(), urls.clone()),
        (
            State::Queued { .. }
            | State::Submitting { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::Done { .. }
            | State::InDoubt { .. }
            | State::Failed { .. }
            | State::Cancelled,
            Lane::Submit | Lane::Follow | Lane::Save,
        ) => Step::Nothing,
    }
}

/// The next step about a task beside the job's own. None of them pays.
fn follow_stray(stray: &Stray, lane: Lane) -> Step {
    let task = stray.as_task();
    match (&stray.fate, lane) {
        (StrayState::Awaited { .. }, Lane::Follow) => Step::Poll(task),
        (StrayState::Made { stale: true, .. }, Lane::Save) => Step::Relink(task),
        (StrayState::Made { urls, .. }, Lane::Save) => Step::Save(task, urls.clone()),
        (
            StrayState::Awaited { .. } | StrayState::Made { .. } | StrayState::Saved(_) | StrayState::Gone(_),
            Lane::Submit | Lane::Follow | Lane::Save,
        ) => Step::Nothing,
    }
}
