//! The client against a server that does exactly what a scene tells it, down to the bytes.
//!
//! `paid`: every end of the one call that costs money, and how many requests the server saw. `following`: the calls
//! after it. `files`: fetching results.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be arranged fails the test, in its helpers too")]

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use veobatch_api::Permit;
use veobatch_core::{Grant, Token};

mod files;
mod following;
mod paid;
mod server;

const HOUR: Duration = Duration::from_secs(3600);

/// Who issues the grants of these tests.
struct Tests;

/// A client that takes them, and no others.
type Client = veobatch_api::Client<Tests>;

/// Leave for one call.
#[expect(clippy::disallowed_methods, reason = "stands in for a claim; its second deadline is one of the wall clock")]
fn permit<C>() -> Permit<Tests, C> {
    Permit::new(Grant::by(&Tests, Token::from_bits(7)), Instant::now() + HOUR, SystemTime::now() + HOUR)
}
