//! What became of a paid call, brought to the ledger: by the worker that made it, or by a journal.

use tracing::error;
use veobatch_core::{Event, Outcome, PollPolicy, Token};
use veobatch_ledger::{Backoff, Change, Changed, Lease, Ledger, LedgerError, Settle, Stored, change};

use crate::runtime::random;

/// How one paid call ended.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// Which attempt.
    pub(crate) token: &'a Token,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// For the account.
    pub(crate) settle: Option<Settle>,
    /// The lease it is told under, if it is still held.
    pub(crate) lease: Option<&'a Lease>,
}

/// Tells the ledger. A task id that belongs to another job cannot be this one's: then the outcome is unknown.
pub(crate) async fn record_outcome(
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    stored: Stored,
    evidence: Evidence<'_>,
    backoff: &mut dyn Backoff,
) -> Result<Changed, LedgerError> {
    let Evidence { token, outcome, settle, lease } = evidence;
    let jitter = random::jitter();
    let task = match &outcome {
        Outcome::Accepted(task) => Some(task.clone()),
        Outcome::Refused(_) | Outcome::NotSent(_) | Outcome::Unknown(_) => None,
    };
    let event = Event::Submission { token: token.clone(), outcome };
    let told = Change { event: &event, lease, settle: settle.clone(), jitter, policy };
    let result = change(ledger, stored.clone(), &told, backoff).await;
    let (Err(LedgerError::TaskTaken { by }), Some(task)) = (&result, task) else { return result };
    error!(job = %stored.key, %task, %by, "the service answered with a task that belongs to another job");
    let why = format!("the service answered with task {task}, which belongs to job {by}");
    let event = Event::Submission { token: token.clone(), outcome: Outcome::Unknown(why) };
    change(ledger, stored, &Change { event: &event, lease, settle, jitter, policy }, backoff).await
}
