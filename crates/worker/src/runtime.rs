//! What the rest of the worker is built on: the ledger and its clock, leases, backoff, supervision and shutdown.
//!
//! Nothing in here knows a lane, a journal or a file of a video.

pub(crate) mod backoff;
pub(crate) mod blocking;
pub(crate) mod changes;
pub(crate) mod claim;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod disk;
pub(crate) mod learning;
pub(crate) mod leases;
pub(crate) mod random;
pub(crate) mod shutdown;
pub(crate) mod supervise;
