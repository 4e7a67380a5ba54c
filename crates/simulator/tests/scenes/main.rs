//! Scenes: the service is arranged, used over HTTP as a client would, and asked for its bill.
//!
//! - `wire`: what is documented, and the dialects
//! - `limits`: pace, tasks in flight, credits
//! - `faults`: what is lost, broken off and garbled
//! - `files`: the videos and their links
//! - `memory`: what survives a restart
//! - `notices`: callbacks

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "scenes")]

mod client;
mod faults;
mod files;
mod limits;
mod memory;
mod notices;
mod wire;
