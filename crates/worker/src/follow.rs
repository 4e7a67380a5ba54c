//! The follow lane's step: what became of a paid task. Nothing here leads to a submission.

pub(crate) mod measure;
pub(crate) mod verify_task;

use std::sync::Arc;

use tracing::{Instrument as _, warn};
use veobatch_api::{FileHost, RecordInfo};
use veobatch_core::{Event, Lane, Progress, Step, Task, plan};

use crate::Client;
use crate::account::access::Access;
use crate::account::upgrade::Upgrader;
use crate::follow::measure::with_resolution;
use crate::follow::verify_task::TaskVerifier;
use crate::runtime::claim::{Claim, span};
use crate::runtime::context::Context;

/// Follows paid tasks.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) context: Arc<Context>,
    pub(crate) client: Arc<Client>,
    pub(crate) files: FileHost,
    pub(crate) access: Arc<Access>,
    pub(crate) upgrader: Upgrader,
    pub(crate) verifier: TaskVerifier,
}

impl Follower {
    /// Asks the service about the claimed job at most once, and reads the index of a video without a size label. `None` if
    /// there is nothing to do.
    pub(crate) async fn follow(&self, claim: &Claim) -> Option<Event> {
        match plan(&claim.claimed.stored.record, Lane::Follow, None) {
            Step::Orphan => {
                span::for_a_line(claim).in_scope(|| warn!("found in the middle of its submission: its worker is gone"));
                Some(Event::Orphaned)
            }
            Step::Poll(task) => Some(self.poll(claim, task).await),
            Step::Upgrade(task, to) => {
                let upgrade = Box::pin(self.upgrader.upgrade(claim, &task, to)).await;
                Some(Event::Upgraded { task: task.id, to, upgrade })
            }
            Step::Compare(attempt, task) => {
                let verifying = self.verifier.verify(claim, attempt, task);
                Some(Box::pin(verifying.instrument(span::for_a_line(claim))).await)
            }
            Step::Submit(_) | Step::Withdraw | Step::Relink(_) | Step::Save(..) | Step::Nothing => None,
        }
    }

    async fn poll(&self, claim: &Claim, task: Task) -> Event {
        let stored = &claim.claimed.stored;
        let RecordInfo { progress, .. } = self.client.poll(&task.id).await;
        let progress = Box::pin(with_resolution(&self.client, &self.files, &stored.record, &task, progress)).await;
        let now = self.context.clock.now().unwrap_or(stored.now);
        match &progress {
            Progress::Trouble(trouble) => self.access.report(trouble),
            Progress::Made { .. } => self.context.learning.add(&stored.record, now),
            Progress::Running | Progress::NoOutput | Progress::Failed(_) | Progress::Missing(_) => {}
        }
        Event::Polled { task: task.id, progress }
    }
}
