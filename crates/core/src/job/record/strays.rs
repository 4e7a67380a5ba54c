//! Which of a record's strays is followed or saved next.

use super::Record;
use super::state::{Called, State};
use super::stray::Stray;
use crate::names::id::TaskId;

impl Record {
    /// The stray to follow or save next, if the job itself needs no lane.
    pub fn next_stray(&self) -> Option<&Stray> {
        let is_free = match &self.state {
            State::Done { .. } | State::Failed { .. } | State::Cancelled => true,
            State::InDoubt { called, .. } => {
                called.as_ref().is_none_or(|Called { comparison, .. }| comparison.is_none())
            }
            State::Queued { .. }
            | State::Submitting { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. } => false,
        };
        // A task that became the job's own after all is followed as such.
        let is_own = |stray: &Stray| self.task().is_some_and(|own| own.id == stray.task);
        let open = self.strays.iter().filter(|stray| is_free && stray.due().is_some() && !is_own(stray));
        open.min_by_key(|stray| stray.due().map(|(_, due)| due))
    }

    /// The stray of this task.
    pub fn stray(&self, task: &TaskId) -> Option<&Stray> {
        self.strays.iter().find(|stray| stray.task == *task)
    }
}
