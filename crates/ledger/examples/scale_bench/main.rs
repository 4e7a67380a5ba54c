//! What the size of a queue costs: `cargo run --release -p veobatch-ledger --example scale_bench -- URL WHAT [NUMBER…]`.
//!
//! | what | numbers | says |
//! |---|---|---|
//! | `claims` | jobs, batches | how long one claim of a submission takes among so many |
//! | `backlog` | jobs | how so many that are due at once are worked off, second by second |
//! | `states` | jobs | bytes of a Redis server's memory that a job takes in each state on the way |
//! | `noop` | jobs, claimers, jobs a claim | so many jobs that are due are claimed and finished: the rate |
//! | `finished` | batches, jobs in each | makes a ledger of years: all of them done, compact and at rest |
//!
//! Give it a new, empty ledger. One line a figure: the figure, then what it is.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a tool"
)]

mod backlog;
mod claims;
mod finished;
mod queue;
mod states;

use veobatch_ledger::{LedgerUrl, open};

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, what, numbers @ ..] = words.as_slice() else { panic!("URL WHAT [NUMBER…]") };
    let url = LedgerUrl::parse(url).expect("a ledger's URL");
    let number = |at: usize| numbers.get(at).map_or(1, |number| number.parse().expect("a number"));
    let ledger = open(&url).await.expect("a ledger");
    if what != "finished" {
        queue::unbound(&ledger).await;
    }
    match what.as_str() {
        "claims" => claims::measure(&ledger, number(0), number(1)).await,
        "backlog" => backlog::measure(&ledger, number(0)).await,
        "noop" => backlog::noop(&ledger, number(0), number(1), number(2)).await,
        "finished" => finished::make(&ledger, &url, number(0), number(1)).await,
        "states" => states::measure(&ledger, &url, number(0)).await,
        other => panic!("there is no measurement {other}"),
    }
}
