//! A job that this process holds, on its way from a claimer to a step.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use veobatch_api::Permit;
use veobatch_core::{Lane, Submission};
use veobatch_ledger::{Claimed, Issuer, Settle};

use crate::runtime::leases::Hold;

/// Leave to submit the claimed job.
pub(crate) type SubmitPermit = Permit<Issuer, Submission>;

/// How long after its claim a paid call may still begin: well within the lease, so that the two never meet.
pub(crate) const BEGIN_WITHIN: Duration = Duration::from_secs(20);

/// From the claim to the end of the paid call at the latest: [`BEGIN_WITHIN`] and the client's limit of 60 s.
pub(crate) const STALL: Duration = Duration::from_secs(80);

/// A job, its lease and the slot it is worked in. Dropping it frees the slot, however the step ended.
#[derive(Debug)]
pub(crate) struct Claim {
    /// In which lane it was claimed.
    pub(crate) lane: Lane,
    /// The job and the lease.
    pub(crate) claimed: Box<Claimed>,
    /// In the submit lane: the leave to pay, until the step begins.
    pub(crate) permit: Option<SubmitPermit>,
    /// The end of an upgrade call of this step, for the account; told with what the step came to.
    pub(crate) settle: OnceLock<Settle>,
    /// Keeps the lease renewed.
    pub(crate) hold: Hold,
    /// The slot.
    pub(crate) _slot: OwnedSemaphorePermit,
}
