//! Ledgers of older formats, as they were kept, opened by this program; and this program running when a newer one comes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a case that cannot go on has failed"
)]

mod expected;
mod file;
#[expect(dead_code, unreachable_pub, reason = "it is public, and whole, for the specifications of the whole program")]
#[path = "../fixtures/load.rs"]
mod load;
mod moved;
#[path = "../conformance/redis_server.rs"]
mod redis_server;
mod server;
