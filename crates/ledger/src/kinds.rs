//! What was seen of videos, as it is kept for all machines: a life table for each kind, of a bounded number of kinds.

/// So many kinds are kept: a model's name comes from a file, and may be anything.
pub const KINDS: usize = 32;
