//! Whether a task that a callback named for an attempt in doubt belongs to the job: no other job owns it, the service knows
//! it, and its prompt is the job's, if the service tells the prompt.

use std::sync::Arc;

use tracing::{error, info};
use veobatch_api::RecordInfo;
use veobatch_core::{Attempt, Event, Progress, TaskId, TaskMatch, Trouble, TroubleKind};
use veobatch_ledger::Lookup;

use crate::Client;
use crate::account::access::Access;
use crate::callback::{CallbackOutcome, Receiver};
use crate::runtime::claim::Claim;
use crate::runtime::context::Context;

/// Verifies tasks named by callbacks. Nothing here leads to a submission.
#[derive(Debug)]
pub(crate) struct TaskVerifier {
    pub(crate) context: Arc<Context>,
    pub(crate) client: Arc<Client>,
    pub(crate) access: Arc<Access>,
    /// Counts refused callbacks, if this process receives any.
    pub(crate) receiver: Option<Arc<Receiver>>,
}

impl TaskVerifier {
    /// Looks the task up at the service and in the ledger.
    pub(crate) async fn verify(&self, claim: &Claim, attempt: Attempt, task: TaskId) -> Event {
        let found = self.find(claim, &task).await;
        match &found {
            TaskMatch::Ours => info!(%task, "a callback settled the doubt: this is its task"),
            TaskMatch::Another(why) => {
                error!(%task, %why, "a callback named a task that is not this job's: refused");
                if let Some(receiver) = &self.receiver {
                    receiver.counts.add(CallbackOutcome::Refused);
                }
            }
            TaskMatch::Missing(_) => {}
            TaskMatch::Trouble(trouble) => self.access.report(trouble),
        }
        Event::Compared { token: attempt.token, task, found }
    }

    async fn find(&self, claim: &Claim, task: &TaskId) -> TaskMatch {
        let (ledger, key) = (&self.context.ledger, &claim.claimed.stored.key);
        // Claims in the follow lane come without the spec.
        let (owner, stored) = match tokio::try_join!(ledger.owner(Lookup::Task(task)), ledger.find(Lookup::Name(key))) {
            Ok((owner, Some(stored))) => (owner, stored),
            Ok((_, None)) => return trouble("the job is gone from the ledger".to_owned()),
            Err(error) => return trouble(error.to_string()),
        };
        if let Some(owner) = owner.filter(|owner| owner != key) {
            return TaskMatch::Another(format!("it belongs to job {owner}"));
        }
        compare(self.client.poll(task).await, &stored.spec.prompt)
    }
}

fn compare(info: RecordInfo, ours: &str) -> TaskMatch {
    match (info.prompt, info.progress) {
        (Some(prompt), _) if prompt.trim() == ours.trim() => TaskMatch::Ours,
        (Some(_), _) => TaskMatch::Another("it has another prompt".to_owned()),
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
        assert_eq!(compare(of(Some(" a cat "), Progress::Running), "a cat"), TaskMatch::Ours);
        assert_eq!(compare(of(None, Progress::NoOutput), "a cat"), TaskMatch::Ours);
        assert!(matches!(compare(of(Some("a dog"), Progress::Running), "a cat"), TaskMatch::Another(_)));
        assert!(matches!(compare(of(None, Progress::Missing("null".into())), "a cat"), TaskMatch::Missing(_)));
    }
}
