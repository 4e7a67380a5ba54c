//! How long videos took, as it is kept for all machines: bounded for each kind of video, and in the number of kinds.

use std::time::Duration;

use veobatch_core::millis;

/// So many are kept of a kind: enough for its quartiles, and few enough to follow a service that changes.
pub const SAMPLES: usize = 128;

/// So many kinds are kept: a model's name comes from a file, and may be anything.
pub const KINDS: usize = 32;

/// As it is stored: in milliseconds.
pub(crate) fn stored(took: Duration) -> u32 {
    u32::try_from(millis(took)).unwrap_or(u32::MAX)
}
