//! The follow lane's step: what became of a paid task. Nothing here leads to a submission.

pub(crate) mod measure;
pub(crate) mod verify_task;

use tracing::{Instrument as _, warn};
use veobatch_api::RecordInfo;
use veobatch_core::{Event, Lane, Progress, Step, Trouble, TroubleKind, plan};

use crate::account::upgrade::upgrade;
use crate::follow::measure::sized;
use crate::follow::verify_task::compare;
use crate::runtime::claim::Claim;
use crate::runtime::span;
use crate::runtime::worker::Worker;

/// Looks after the claimed job: one question to the service at most, and a look at the file of a video without a label.
pub(crate) async fn follow(worker: &Worker, claim: &Claim) {
    let event = match plan(&claim.claimed.stored.record, Lane::Follow, None) {
        Step::Orphan => {
            span::for_a_line(claim).in_scope(|| warn!("found in the middle of its submission: its worker was cut off"));
            Event::Orphaned
        }
        Step::Poll(task) => {
            let stored = &claim.claimed.stored;
            let RecordInfo { progress, .. } = worker.client.poll(&task.id).await;
            let progress = Box::pin(sized(worker, &stored.record, &task, progress)).await;
            let now = worker.clock.now().unwrap_or(stored.now);
            match &progress {
                Progress::Trouble(trouble) => report_trouble(worker, trouble),
                Progress::Made { .. } => worker.learning.add(&stored.record, now),
                Progress::Running | Progress::NoOutput | Progress::Failed(_) | Progress::Missing(_) => {}
            }
            Event::Polled { task: task.id, progress }
        }
        Step::Upgrade(task, to) => {
            let upgrade = Box::pin(upgrade(worker, claim, &task, to)).await;
            Event::Upgraded { task: task.id, to, upgrade }
        }
        Step::Compare(attempt, task) => {
            Box::pin(compare(worker, claim, attempt, task).instrument(span::for_a_line(claim))).await
        }
        Step::Submit(_) | Step::Withdraw | Step::Relink(_) | Step::Save(..) | Step::Nothing => {
            return worker.release(claim).await;
        }
    };
    worker.tell(claim, &event).await;
}

/// What an answer says of this process's access to the service; the job keeps its trouble and is asked about again.
pub(crate) fn report_trouble(worker: &Worker, trouble: &Trouble) {
    match trouble.kind {
        TroubleKind::KeyRefused => worker.access.refused(&trouble.message),
        TroubleKind::Blocked => worker.access.blocked(&trouble.message, trouble.retry_after),
        TroubleKind::Transport | TroubleKind::RateLimited | TroubleKind::Busy => {}
    }
}
