//! What a file says anew of how to work at a job. It moves nothing: only `retry` makes a failed job payable again.

use super::context::{Context, Moved};
use crate::job::record::{Record, State};
use crate::job::spec::Restated;

/// The record is given back as it is where it says so already: that the file said it must be stored all the same.
pub(super) fn restated(record: &Record, restated: Restated, context: &Context<'_>) -> Moved {
    match &record.state {
        State::Done { .. } => return Err("is done"),
        State::Cancelled => return Err("is cancelled"),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::InDoubt { .. }
        | State::Failed { .. } => {}
    }
    let mut next = record.clone();
    if let Some(priority) = restated.priority.filter(|priority| *priority != record.priority) {
        next.note(context.now, format!("priority {priority} by its file (was {})", record.priority));
        next.priority = priority;
    }
    if let Some(max_attempts) = restated.max_attempts.filter(|max_attempts| *max_attempts != record.max_attempts) {
        next.note(context.now, format!("max_attempts {max_attempts} by its file (was {})", record.max_attempts));
        next.max_attempts = max_attempts;
    }
    Ok(next)
}
