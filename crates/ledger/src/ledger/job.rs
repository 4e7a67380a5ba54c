//! What goes in and out of the ledger, job by job.

use std::fmt;

use veobatch_core::{Facets, Intent, JobId, JobKey, Record, Spec, StateName, TaskId, Timestamp, Token, WorkPolicy};

use crate::ledger::account::Settle;
use crate::ledger::grant::SubmissionGrant;
use veobatch_core::account::Blocked;

/// How often a job's record was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// Where a job is in the ledger: its batch's number and its sequence in the batch, from 0 in file order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobRef {
    /// The batch's number.
    pub batch: u32,
    /// The job's place in it.
    pub seq: u32,
}

/// Proof of holding a lease: random, compared for equality, never for order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fence(pub(crate) String);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job held by this worker until its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Which job.
    pub job: JobRef,
    /// The proof.
    pub fence: Fence,
}

/// Makes a put recognizable, so that repeating it is harmless. Random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub u64);

/// One admission: a producer's run over its files. Random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission(pub(crate) String);

/// A job to admit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// What is asked for; stored in its compact form.
    pub spec: Spec,
}

/// What became of jobs that were staged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Stored now.
    pub new: u64,
    /// Known already, with the same content.
    pub known: u64,
    /// Known already, with other content.
    pub conflicts: Vec<JobId>,
    /// How many of `known` [`Known::restated`] would name.
    pub restated: u64,
}

/// What of jobs is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// How many, with the same content.
    pub known: u64,
    /// Those with other content.
    pub conflicts: Vec<JobId>,
    /// Those of `known` of which something else is said than the last time of how to work at them; none that is done or
    /// cancelled, where it means nothing any more.
    pub restated: Vec<Restatement>,
}

/// A known job, and what its file says by now of how to work at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Restatement {
    /// The job; its spec has what was said the last time.
    pub stored: Stored,
    /// What is said now.
    pub says: WorkPolicy,
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its name, as written.
    pub key: JobKey,
    /// Where it is.
    pub job: JobRef,
    /// What was asked for; default where the claim's lane does not need it, and where it was dropped.
    pub spec: Spec,
    /// The spec was dropped when the job was compacted. Known where the spec would be brought.
    pub compacted: bool,
    /// Its record, the intent read into it.
    pub record: Record,
    /// To be given back with a put.
    pub version: Version,
    /// By the ledger's clock, when it was read.
    pub now: Timestamp,
    /// Until when it is leased, if it is.
    pub leased_until: Option<Timestamp>,
}

/// A job leased to this worker.
#[derive(Debug, PartialEq)]
pub struct Claimed {
    /// The job.
    pub stored: Stored,
    /// The lease.
    pub lease: Lease,
    /// Claims since the last put by a holder or into another lane, this one included.
    pub deliveries: u32,
    /// Leave to submit it, if that is what it was claimed for.
    pub grant: Option<SubmissionGrant>,
}

/// The answer to a claim of a submission.
#[derive(Debug, PartialEq)]
pub enum SubmissionClaim {
    /// The slot is taken, the intent is written: make the call now.
    Granted(Box<Claimed>),
    /// Not now.
    Wait {
        /// What for.
        why: Blocked,
        /// When to ask again at the latest, if the ledger knows; by the ledger's clock.
        until: Option<Timestamp>,
        /// By the ledger's clock.
        now: Timestamp,
    },
}

/// A change to store.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// Which job.
    pub job: JobRef,
    /// The version it was loaded at.
    pub version: Version,
    /// The lease it is held by; `None` for evidence and orders, which need none.
    pub fence: Option<Fence>,
    /// Makes a repetition recognizable.
    pub nonce: Nonce,
    /// The record's body.
    pub body: Vec<u8>,
    /// What the ledger may know of it.
    pub facets: Facets,
    /// The task that the job owns from now on, if it is new: unique in the ledger.
    pub task: Option<TaskId>,
    /// The end of a paid call, for the account.
    pub settle: Option<Settle>,
    /// The spec from now on, with what its file says of how to work at it; the content is the same.
    pub spec: Option<Spec>,
}

/// A done job as it is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Which job.
    pub job: JobRef,
    /// The version it was loaded at.
    pub version: Version,
    /// Its compact body.
    pub body: Vec<u8>,
}

/// By what a published job is found.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// Its name, folded.
    Name(&'a JobKey),
    /// The token of its open attempt.
    Token(&'a Token),
    /// A task that belongs to it.
    Task(&'a TaskId),
}

/// Which jobs of a batch to page through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFilter {
    /// All.
    All,
    /// Those in this state.
    In(StateName),
    /// Done ones that are not compact: what is compact costs next to nothing, however much it is.
    Whole,
}

impl From<Option<StateName>> for JobFilter {
    /// Those in a state, if one is named.
    fn from(state: Option<StateName>) -> Self {
        state.map_or(Self::All, Self::In)
    }
}

impl Stored {
    /// Puts together what an implementation read; an empty spec is one that was dropped. The error says what cannot be read.
    pub(crate) fn assemble(
        key: JobKey,
        job: JobRef,
        spec: Option<&[u8]>,
        body: Option<&[u8]>,
        intent: Option<Intent>,
        version: Version,
        now: Timestamp,
    ) -> Result<Self, String> {
        if spec.is_none() && body.is_none() {
            return Err("what was asked for is missing".to_owned());
        }
        let compacted = spec.is_some_and(<[u8]>::is_empty);
        let asked = spec.filter(|_| !compacted).map(Spec::from_bytes).transpose();
        let spec = asked.map_err(|error| format!("what was asked for: {error}"))?.unwrap_or_default();
        let record = Record::load(body, intent, &spec).map_err(|error| format!("its record: {error}"))?;
        Ok(Self { key, job, spec, compacted, record, version, now, leased_until: None })
    }
}

macro_rules! random {
    ($($type:ident => $make:expr),+) => { $(
        impl $type {
            /// A new one, from the system's randomness.
            pub fn random() -> Self {
                $make(crate::random::bits())
            }
        }
    )+ };
}

random!(
    Nonce => Self,
    Fence => |bits| Self(format!("{bits:016x}")),
    Admission => |bits| Self(format!("{bits:016x}"))
);
