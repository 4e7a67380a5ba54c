//! The client against a server that does exactly what a scene tells it, down to the bytes.
//!
//! `paid`: every end of the one call that costs money, and how many requests the server saw. `following`: the calls
//! after it. `files`: fetching results.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be arranged fails the test, in its helpers too")]

mod files;
mod following;
mod paid;
mod server;
