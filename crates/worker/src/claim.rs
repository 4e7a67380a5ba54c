//! A job that this process holds, on its way from a claimer to a step.

use std::time::SystemTime;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use veobatch_core::{Lane, Token};
use veobatch_ledger::Claimed;

use crate::leases::Hold;

/// A job, its lease and the slot it is worked in. Dropping it frees the slot, however the step ended.
#[derive(Debug)]
pub(crate) struct Claim {
    /// In which lane it was claimed.
    pub(crate) lane: Lane,
    /// The job and the lease.
    pub(crate) claimed: Box<Claimed>,
    /// In the submit lane: the leave to pay.
    pub(crate) grant: Option<Grant>,
    /// Keeps the lease renewed.
    pub(crate) hold: Hold,
    /// The slot.
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// What a granted claim of a submission allows: one paid call for `token`, begun before both deadlines.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// The intent that the claim wrote.
    pub(crate) token: Token,
    /// By the monotonic clock.
    pub(crate) until: Instant,
    /// By the wall clock, which goes on while the machine sleeps.
    pub(crate) until_wall: SystemTime,
}
