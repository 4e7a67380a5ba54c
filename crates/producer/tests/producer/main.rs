//! What the producer promises: every mistake is told at once, with its place; names follow from content; an admission is
//! all or nothing.
#![expect(clippy::unwrap_used, reason = "what cannot be arranged cannot be tested")]

mod admission;
mod bytes;
mod checking;
mod files;
mod ids;
mod misread;
mod policy;
