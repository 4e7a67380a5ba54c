//! The client against a server that does exactly what a scene tells it, down to the bytes.
//!
//! `paid`: every end of the one call that costs money, and how many requests the server saw. `following`: the calls
//! after it. `files`: fetching results.

mod files;
mod following;
mod paid;
mod server;
