//! What everything else in this crate stands on: the clock, leases, the ways to wait, to retry and to shut down.

pub(crate) mod backoff;
pub(crate) mod blocking;
pub(crate) mod claim;
pub(crate) mod claimer;
pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod evidence;
pub(crate) mod learning;
pub(crate) mod leases;
pub(crate) mod random;
pub(crate) mod shutdown;
pub(crate) mod span;
pub(crate) mod worker;
