//! Whether a task that a callback named for an attempt in doubt is this job's: unique in the ledger, known to the
//! service, and of the job's prompt, if the service tells one.

use tracing::{error, info};
use veobatch_api::RecordInfo;
use veobatch_core::{Attempt, Event, Progress, TaskId, TaskMatch, Trouble, TroubleKind};

use crate::callback::CallbackOutcome;
use crate::follow::report_trouble;
use crate::runtime::claim::Claim;
use crate::runtime::worker::Worker;
use veobatch_ledger::Lookup;

/// Looks the task up. Nothing here leads to a submission.
pub(crate) async fn compare(worker: &Worker, claim: &Claim, attempt: Attempt, task: TaskId) -> Event {
    let found = found(worker, claim, &task).await;
    match &found {
        TaskMatch::Ours => info!(%task, "a callback settled the doubt: this is its task"),
        TaskMatch::Another(why) => {
            error!(%task, %why, "a callback named a task that is not this job's: refused");
            if let Some(receiver) = &worker.receiver {
                receiver.counts.add(CallbackOutcome::Refused);
            }
        }
        TaskMatch::Missing(_) => {}
        TaskMatch::Trouble(trouble) => report_trouble(worker, trouble),
    }
    Event::Compared { token: attempt.token, task, found }
}

async fn found(worker: &Worker, claim: &Claim, task: &TaskId) -> TaskMatch {
    let key = &claim.claimed.stored.key;
    // The follow lane's claims bring no spec.
    let (owner, stored) =
        match tokio::try_join!(worker.ledger.owner(Lookup::Task(task)), worker.ledger.find(Lookup::Name(key))) {
            Ok((owner, Some(stored))) => (owner, stored),
            Ok((_, None)) => return trouble("the job is gone from the ledger".to_owned()),
            Err(error) => return trouble(error.to_string()),
        };
    if let Some(owner) = owner.filter(|owner| owner != key) {
        return TaskMatch::Another(format!("it belongs to job {owner}"));
    }
    judged(worker.client.poll(task).await, &stored.spec.prompt)
}

fn judged(info: RecordInfo, ours: &str) -> TaskMatch {
    match (info.prompt, info.progress) {
        (Some(prompt), _) if prompt.trim() == ours.trim() => TaskMatch::Ours,
        (Some(_), _) => TaskMatch::Another("its prompt is another one".to_owned()),
        (None, Progress::Trouble(trouble)) => TaskMatch::Trouble(trouble),
        (None, Progress::Missing(why)) => TaskMatch::Missing(why),
        (None, Progress::Running | Progress::Made { .. } | Progress::NoOutput | Progress::Failed(_)) => TaskMatch::Ours,
    }
}

fn trouble(message: String) -> TaskMatch {
    TaskMatch::Trouble(Trouble { kind: TroubleKind::Transport, message, retry_after: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_the_jobs_unless_the_service_says_otherwise_or_nothing() {
        let of = |prompt: Option<&str>, progress| RecordInfo { prompt: prompt.map(str::to_owned), progress };
        assert_eq!(judged(of(Some(" a cat "), Progress::Running), "a cat"), TaskMatch::Ours);
        assert_eq!(judged(of(None, Progress::NoOutput), "a cat"), TaskMatch::Ours);
        assert!(matches!(judged(of(Some("a dog"), Progress::Running), "a cat"), TaskMatch::Another(_)));
        assert!(matches!(judged(of(None, Progress::Missing("null".into())), "a cat"), TaskMatch::Missing(_)));
    }
}
