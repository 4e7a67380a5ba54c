//! A claimed job on its way from a claimer to a step.

pub(crate) mod span;

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use veobatch_api::Permit;
use veobatch_core::{Lane, Submission};
use veobatch_ledger::{Claimed, Issuer, Settle};

use crate::runtime::leases::Hold;

/// Permission to submit the claimed job.
pub(crate) type SubmitPermit = Permit<Issuer, Submission>;

/// How long after its claim a paid call may still begin: well within the lease, so that the two never meet.
pub(crate) const BEGIN_WITHIN: Duration = Duration::from_secs(20);

/// From the claim to the end of the paid call at the latest: [`BEGIN_WITHIN`] and the client's limit of 60 s.
pub(crate) const STALL: Duration = Duration::from_secs(80);

/// A job, its lease and the room it takes in its lane. Dropping it makes room again, however the step ended.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) lane: Lane,
    pub(crate) claimed: Box<Claimed>,
    /// In the submit lane: the permission to pay, until the step begins.
    pub(crate) permit: Option<SubmitPermit>,
    /// How an upgrade call of this step ended, for the account; stored together with the result of the step.
    pub(crate) settle: OnceLock<Settle>,
    /// Keeps the lease renewed.
    pub(crate) hold: Hold,
    pub(crate) _room: OwnedSemaphorePermit,
}
