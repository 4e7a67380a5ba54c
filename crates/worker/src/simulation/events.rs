//! What happens in a story beside the processes: arrivals at the service, callbacks, orders of an operator, mishaps.

pub(super) mod arrivals;
pub(super) mod callbacks;
pub(super) mod limits;
pub(super) mod operator;
pub(super) mod rewind;
pub(super) mod stall;
