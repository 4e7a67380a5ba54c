//! The state table: what a job becomes when something happens to it. Total, pure, and the only place that decides.
//!
//! Which stories it cannot tell: a poll, an upgrade or a download never leads to a submission; nothing leads from an
//! accepted submission to a second one except the service's own word that the attempt failed; a job in doubt is moved
//! only by evidence about its own token, by a person, or by the policy that a person chose; no job rests, or waits to be
//! paid for, while any attempt of it is open; what was paid for is never dropped by a command; what becomes of a stray moves
//! nothing but the stray.

mod callbacks;
mod context;
mod evidence;
mod following;
mod orders;
mod presumed;
mod restated;
mod saving;
mod strays;

pub use self::context::Context;
use crate::job::event::Event;
use crate::job::record::{Record, State};
use crate::names::id::TaskId;

/// What a change came to.
#[derive(Clone, Debug, PartialEq)]
pub enum After {
    /// The job as it must be stored now.
    Moved(Box<Record>),
    /// Nothing changes, for this reason; completes "… was left as it is: it …".
    Same(&'static str),
}

/// What `record` becomes when `event` happens to it.
pub fn after(record: &Record, event: &Event, context: &Context<'_>) -> After {
    let moved = match event {
        Event::Submission { token, outcome } => evidence::submission(record, token, outcome, context),
        Event::CalledBack { token, task } => callbacks::called_back(record, token, task.as_ref(), context),
        Event::Compared { token, task, found } => callbacks::compared(record, token, task, found, context),
        Event::Presumed { token, because } => presumed::presumed(record, token, *because, context),
        Event::BalanceRead { token, balances } => evidence::balance_read(record, token, balances),
        Event::Orphaned => evidence::orphaned(record, context),
        Event::Polled { task, progress } if is_stray(record, task) => strays::polled(record, task, progress, context),
        Event::Polled { task, progress } => following::polled(record, task, progress, context),
        Event::Upgraded { task, to, upgrade } => following::upgraded(record, task, *to, upgrade, context),
        Event::Relinked { task, urls } if is_stray(record, task) => strays::relinked(record, task, urls, context),
        Event::Relinked { task, urls } => saving::relinked(record, task, urls),
        Event::Saved { task, files, .. } if is_stray(record, task) => strays::saved(record, task, files, context),
        Event::Saved { task, files, remark } => saving::saved(record, task, files, remark.as_deref(), context),
        Event::NotSaved { task, why } if is_stray(record, task) => strays::not_saved(record, task, why, context),
        Event::NotSaved { task, why } => saving::not_saved(record, task, why, context),
        Event::Stuck { why, deliveries } => following::stuck(record, why, *deliveries, context),
        Event::Cancel => orders::cancel(record, context),
        Event::Retry => orders::retry(record, context),
        Event::Prioritize(priority) => orders::prioritize(record, *priority, context),
        Event::Restated(restated) => restated::restated(record, *restated, context),
        Event::Resolve(verdict) => orders::resolve(record, verdict, context),
    };
    match moved {
        Ok(record) => After::Moved(Box::new(settled(record, context))),
        Err(reason) => After::Same(reason),
    }
}

/// What holds after every event: a job that would be queued beside a task that was paid for takes that task up; and one that
/// would be queued, failed or cancelled while another attempt may have been paid for is in doubt about that attempt.
fn settled(mut next: Record, context: &Context<'_>) -> Record {
    if matches!(next.state, State::Queued { .. }) && strays::promoted(&mut next, context) {
        return next;
    }
    match &next.state {
        State::Queued { .. } | State::Failed { .. } | State::Cancelled => evidence::reopened(next, context),
        State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. } => next,
    }
}

/// Whether `task` was paid for beside the job's own. What is told of it concerns nothing else.
fn is_stray(record: &Record, task: &TaskId) -> bool {
    record.task().is_none_or(|own| own.id != *task) && record.stray(task).is_some()
}
