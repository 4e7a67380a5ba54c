//! Records that this program cannot read: set aside one by one, so that their neighbours go on.
//!
//! A spec or a record may have been written by a newer program, or be damaged. A claim that meets one gives it to nobody: a
//! submission that was granted for it is taken back in the next step (slot, price, place in flight), and the job is tried
//! again after [`SET_ASIDE`], or as soon as a worker starts, which may be a program that can read it. Until then it is in the
//! ledger's list of unreadable jobs, for people. Whoever stores a change of the job could read it and takes it off the list;
//! so does [`crate::Ledger::unreadable`], which reads each of them again.

use std::time::Duration;

use veobatch_core::{JobId, JobKey, StateName, Timestamp};

use crate::ledger::batch::BatchSummary;
use crate::ledger::job::JobRef;
use crate::{Fence, LedgerError};

/// How long a job that could not be read is left alone before a claim tries it again.
pub(crate) const SET_ASIDE: Duration = Duration::from_secs(600);

/// Longest reason that is kept, in characters.
const REASON: usize = 200;

/// A job whose spec or record this program cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name.
    pub key: JobKey,
    /// Where it is.
    pub job: JobRef,
    /// Its state, if this program knows the word.
    pub state: Option<StateName>,
    /// What cannot be read, in words.
    pub why: String,
    /// When a program first met it.
    pub since: Timestamp,
    /// The claim that met it.
    pub(crate) fence: Option<Fence>,
}

impl Unreadable {
    /// What was met at `now`.
    pub(crate) fn new(key: JobKey, job: JobRef, state: Option<StateName>, why: &str, now: Timestamp) -> Self {
        Self { key, job, state, why: why.chars().take(REASON).collect(), since: now, fence: None }
    }

    /// A name for a job whose own cannot be read either.
    pub(crate) fn name(job: JobRef) -> Option<JobId> {
        JobId::parse(&format!("unreadable-{}", job.seq)).ok()
    }

    /// Said once, by the process that met it first.
    pub(crate) fn log(&self) {
        tracing::warn!(
            job = %self.key, why = %self.why,
            "this program cannot read a job: it is set aside, and all others go on; `veobatch status` says what to do"
        );
    }
}

impl From<Unreadable> for LedgerError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable { key: unreadable.key, why: unreadable.why }
    }
}

impl BatchSummary {
    /// The same batch without the jobs that this program cannot read: nothing moves those before another program comes. If
    /// only those are left to be cancelled, it is not being cancelled.
    #[must_use]
    pub fn without(mut self, unreadable: &[Unreadable]) -> Self {
        let folded = self.batch.folded();
        for state in unreadable.iter().filter(|job| job.key.batch.folded() == folded).filter_map(|job| job.state) {
            self.counts.entry(state).and_modify(|count| *count = count.saturating_sub(1));
        }
        self.cancelling &= self.count(StateName::Queued) > 0;
        self
    }
}
