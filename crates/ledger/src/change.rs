//! How anyone changes a job: load, `after(state, event)` in core, put; again if somebody was faster.

mod restate;

use async_trait::async_trait;
use veobatch_core::{After, Context, Event, JobKey, PollPolicy, Record, after};

use crate::ledger::account::Settle;
use crate::ledger::job::{Lease, Lookup, Nonce, Put, Stored, Version};
use crate::{Ledger, LedgerError};

pub use restate::restate;

/// How often a change is reapplied to a job that others keep changing. Each turn means that somebody else got through.
pub(crate) const MAX_TURNS: usize = 64;

/// What to do while the ledger cannot be reached.
#[async_trait]
pub trait Backoff: Send {
    /// Waits before the next try; `false` gives up.
    async fn again(&mut self, error: &LedgerError) -> bool;
}

/// Gives up at once: for commands that a person repeats.
#[derive(Clone, Copy, Debug)]
pub struct NoRetry;

#[async_trait]
impl Backoff for NoRetry {
    async fn again(&mut self, _: &LedgerError) -> bool {
        false
    }
}

/// What there is to change, and by whom.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// What happened.
    pub event: &'a Event,
    /// The lease of the worker that changes it, if it holds one.
    pub lease: Option<&'a Lease>,
    /// The end of a paid call, for the account.
    pub settle: Option<Settle>,
    /// Evenly spread over 0 to 1.
    pub jitter: f64,
    /// How often to poll.
    pub policy: &'a PollPolicy,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// It is stored: the record before and after.
    Moved {
        /// Before.
        from: Box<Record>,
        /// After.
        to: Box<Record>,
    },
    /// Nothing changed, for this reason; a lease is ended all the same.
    Same(&'static str),
    /// The lease was lost, and the event needs one: somebody else has the job now.
    Lost,
}

/// Applies `change.event` to the job that was read as `stored`, until it is stored or known to change nothing.
///
/// An event that carries a token needs no lease: it is stored even if the lease was lost meanwhile.
///
/// # Errors
/// [`LedgerError::TaskTaken`] if the event names a task of another job; [`LedgerError::Unavailable`] once `backoff`
/// has given up; what else the ledger says. [`LedgerError::UnknownBatch`] if the job is gone.
pub async fn change(
    ledger: &dyn Ledger,
    stored: Stored,
    change: &Change<'_>,
    backoff: &mut dyn Backoff,
) -> Result<Changed, LedgerError> {
    change_unless(ledger, stored, change, backoff, &|_| None).await
}

/// As [`change`], but leaves the job as it is if `spared` says why, also when others have changed it meanwhile.
///
/// # Errors
/// As there.
pub async fn change_unless(
    ledger: &dyn Ledger,
    mut stored: Stored,
    change: &Change<'_>,
    backoff: &mut dyn Backoff,
    spared: &(dyn Fn(&Record) -> Option<&'static str> + Sync),
) -> Result<Changed, LedgerError> {
    let mut fence = change.lease.map(|lease| lease.fence.clone());
    for _ in 0..MAX_TURNS {
        if let Some(why) = spared(&stored.record) {
            return Ok(Changed::Same(why));
        }
        let context = Context { now: stored.now, jitter: change.jitter, policy: change.policy };
        let (next, reason) = match after(&stored.record, change.event, &context) {
            After::Moved(next) => (Some(next), ""),
            // A holder puts what is there: that ends its lease and settles the account.
            After::Same(reason) if fence.is_some() || change.settle.is_some() => (None, reason),
            After::Same(reason) => return Ok(Changed::Same(reason)),
        };
        let record = next.as_deref().unwrap_or(&stored.record);
        let put = Put {
            job: stored.job,
            version: stored.version,
            fence: fence.clone(),
            nonce: Nonce::random(),
            body: record.body(),
            facets: record.facets(),
            task: adopted(&stored.record, record),
            settle: change.settle.clone(),
            spec: None,
        };
        match put_retrying(ledger, &put, backoff).await {
            Ok(_) => {
                return Ok(
                    next.map_or(Changed::Same(reason), |to| Changed::Moved { from: Box::new(stored.record), to })
                );
            }
            Err(LedgerError::Changed) => {}
            Err(LedgerError::LostLease) if carries_token(change.event) => fence = None,
            Err(LedgerError::LostLease) => return Ok(Changed::Lost),
            Err(error) => return Err(error),
        }
        stored = reload(ledger, &stored.key, backoff).await?;
    }
    Err(LedgerError::Unavailable(format!("job {} is being changed by others all the time", stored.key)))
}

/// Puts, and puts the same again while the ledger cannot be reached.
pub(crate) async fn put_retrying(
    ledger: &dyn Ledger,
    put: &Put,
    backoff: &mut dyn Backoff,
) -> Result<Version, LedgerError> {
    loop {
        match ledger.put(put).await {
            Err(error @ LedgerError::Unavailable(_)) if backoff.again(&error).await => {}
            result => return result,
        }
    }
}

pub(crate) async fn reload(
    ledger: &dyn Ledger,
    key: &JobKey,
    backoff: &mut dyn Backoff,
) -> Result<Stored, LedgerError> {
    loop {
        match ledger.find(Lookup::Name(key)).await {
            Ok(Some(stored)) => return Ok(stored),
            Ok(None) => return Err(LedgerError::UnknownBatch(key.batch.clone())),
            Err(error @ LedgerError::Unavailable(_)) if backoff.again(&error).await => {}
            Err(error) => return Err(error),
        }
    }
}

/// The task that the job owns from now on, if it did not before.
fn adopted(before: &Record, now: &Record) -> Option<veobatch_core::TaskId> {
    let task = now.task()?;
    (before.task().map(|known| &known.id) != Some(&task.id)).then(|| task.id.clone())
}

fn carries_token(event: &Event) -> bool {
    matches!(event, Event::Submission { .. } | Event::CalledBack { .. })
}
