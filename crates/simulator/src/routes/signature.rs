//! The signature of a link to a file.

use crate::rng::Rng;

/// What makes a minted link hard to write oneself; it protects nothing.
pub(crate) fn signature(path: &str, until_ms: u64) -> String {
    format!("{:016x}", Rng::of(&format!("{path} {until_ms}")).next())
}
