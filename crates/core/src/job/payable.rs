//! Whether a job may be paid for: the one rule. The state table ends every event with it; `retry`, `resolve`, `--in-doubt` and
//! forecasts ask it before they promise, or count, a payment.

use crate::job::record::Stray;
use crate::job::record::{FailureKind, Record, State};
use crate::names::id::TaskId;

/// What keeps a job from being paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpayable {
    /// This task was paid for, and not in vain as far as is known: it is taken up instead.
    HasTask(TaskId),
    /// An attempt may have been paid for: evidence or a person settles that first.
    InDoubt,
    /// It is done.
    Done,
}

/// Whether `record` may be paid for, once it is queued.
///
/// # Errors
/// What keeps it from that. A job in doubt is in the way of itself: a person, or a policy, that orders another attempt
/// settles the doubt first, and then [`payable_once_settled`] has the last word.
pub fn payable(record: &Record) -> Result<(), Unpayable> {
    match &record.state {
        State::Submitting { .. } | State::InDoubt { .. } => Err(Unpayable::InDoubt),
        State::Failed { failure, .. } if failure.kind == FailureKind::GivenUp => Err(Unpayable::InDoubt),
        // The service may know it again: asking costs nothing.
        State::Failed { failure, task: Some(task) }
            if matches!(failure.kind, FailureKind::NoOutput | FailureKind::Lost) =>
        {
            Err(Unpayable::HasTask(task.id.clone()))
        }
        State::Generating { task, .. } | State::Upscaling { task, .. } | State::Downloading { task, .. } => {
            Err(Unpayable::HasTask(task.id.clone()))
        }
        State::Done { .. } => Err(Unpayable::Done),
        State::Queued { .. } | State::Failed { .. } | State::Cancelled => payable_once_settled(record),
    }
}

/// Whether `record` may be paid for once the doubt that its state tells of, if any, is settled.
///
/// # Errors
/// What stands beside the job's own state against a payment: a task that was paid for, or another attempt that may have been.
pub fn payable_once_settled(record: &Record) -> Result<(), Unpayable> {
    if let Some(stray) = live_stray(record) {
        return Err(Unpayable::HasTask(stray.task.clone()));
    }
    if record.open.is_empty() { Ok(()) } else { Err(Unpayable::InDoubt) }
}

/// The first task beside the job's own that is awaited, made or saved.
pub(crate) fn live_stray(record: &Record) -> Option<&Stray> {
    record.strays.iter().find(|stray| !stray.fate.is_gone())
}
