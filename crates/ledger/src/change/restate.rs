//! What a file says anew of how to work at a job that is known: its record and its spec change in one put.
//!
//! The spec has what the file said the last time, the record has what holds, which a command may have set since. So what
//! the file says as before is left alone, and what it says otherwise is set. The put is by version, as any other: whoever
//! works at the job meanwhile loads it again and goes on with what holds then, and nothing of either is lost.

use veobatch_core::{After, Context, Event, PollPolicy, Spec, after};

use crate::change::{MAX_TURNS, put_retrying, reload};
use crate::ledger::job::{Nonce, Put, Restatement, Stored};
use crate::{Backoff, Changed, Ledger, LedgerError};

/// Sets what its file says anew, until it is stored or known to change nothing.
///
/// Many at the same time share a transaction, or a call.
///
/// # Errors
/// As [`crate::change`].
pub async fn restate(
    ledger: &dyn Ledger,
    restatement: Restatement,
    backoff: &mut dyn Backoff,
) -> Result<Changed, LedgerError> {
    let Restatement { mut stored, says } = restatement;
    // Nothing of it is about when to poll.
    let policy = PollPolicy::default();
    for _ in 0..MAX_TURNS {
        if stored.compacted || stored.spec.policy == says {
            return Ok(Changed::Same("is said to be worked at so already"));
        }
        let event = Event::Restated(stored.spec.policy.restated(says));
        let context = Context { now: stored.now, jitter: 0.5, policy: &policy };
        let next = match after(&stored.record, &event, &context) {
            After::Moved(next) => next,
            After::Same(reason) => return Ok(Changed::Same(reason)),
        };
        let spec = Spec { policy: says, ..stored.spec.clone() };
        let put = put(&stored, &next, spec);
        match put_retrying(ledger, &put, backoff).await {
            Ok(_) => return Ok(Changed::Moved { from: Box::new(stored.record), to: next }),
            Err(LedgerError::Changed) => {}
            Err(error) => return Err(error),
        }
        stored = reload(ledger, &stored.key, backoff).await?;
    }
    Err(LedgerError::Unavailable(format!("job {} is being changed by others all the time", stored.key)))
}

fn put(stored: &Stored, record: &veobatch_core::Record, spec: Spec) -> Put {
    Put {
        job: stored.job,
        version: stored.version,
        fence: None,
        nonce: Nonce::random(),
        body: record.body(),
        facets: record.facets(),
        task: None,
        settle: None,
        spec: Some(spec),
    }
}
