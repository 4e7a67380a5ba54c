//! Batches at rest: known as such, since when, and listed only where they are asked for.

use std::time::Duration;

use veobatch_core::{State, Timestamp};
use veobatch_ledger::{BatchFlag, Batches, SharedLedger};

use crate::bench::{Bench, admit, batch, generating, job, jobs, moved, put, put_of, read, until};
use crate::compaction::{compaction, finish};

async fn names(ledger: &SharedLedger, which: Batches) -> Vec<String> {
    ledger.list(&which).await.unwrap().into_iter().map(|summary| summary.batch.to_string()).collect()
}

async fn active(ledger: &SharedLedger) -> Vec<String> {
    names(ledger, Batches::Active).await
}

async fn rested(ledger: &SharedLedger, name: &str) -> Option<Timestamp> {
    ledger.list(&Batches::Named(vec![batch(name)])).await.unwrap()[0].rested
}

/// The ledger's time, once it is later than any so far.
async fn later(ledger: &SharedLedger) -> Timestamp {
    let before = ledger.info().await.unwrap().now;
    until("time goes by", async || Some(ledger.info().await.unwrap().now).filter(|now| *now > before)).await
}

async fn order(ledger: &SharedLedger, name: &str, id: &str, state: State) {
    let stored = read(ledger, name, id).await;
    put(ledger, &put_of(&stored, None, &moved(&stored.record, state))).await;
}

pub(crate) async fn a_batch_comes_to_rest_with_its_last_job_and_leaves_it_with_one_that_is_taken_up(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 3)).await;
    finish(ledger, "n", "a00000").await;
    order(ledger, "n", "a00001", State::Cancelled).await;
    assert_eq!((active(ledger).await, rested(ledger, "n").await), (vec!["n".to_owned()], None));
    let before = later(ledger).await;
    finish(ledger, "n", "a00002").await;
    let at = rested(ledger, "n").await.unwrap();
    assert!(at >= before && active(ledger).await.is_empty());
    // What happens to one of its jobs, for a task beside it, is something that happens to the batch.
    later(ledger).await;
    let stored = read(ledger, "n", "a00000").await;
    put(ledger, &put_of(&stored, None, &stored.record)).await;
    assert!(rested(ledger, "n").await.unwrap() > at);
    order(ledger, "n", "a00001", State::Queued { due: None }).await;
    assert_eq!((active(ledger).await, rested(ledger, "n").await), (vec!["n".to_owned()], None));
    order(ledger, "n", "a00001", generating("task", before)).await;
    assert_eq!(active(ledger).await, ["n"]);
    order(ledger, "n", "a00001", State::Cancelled).await;
    assert!(active(ledger).await.is_empty());
    // Further lines of the file.
    admit(ledger, "n", &[job("b")]).await;
    assert_eq!(active(ledger).await, ["n"]);
}

pub(crate) async fn what_is_at_rest_is_listed_where_it_is_asked_for(bench: &Bench) {
    let ledger = &bench.ledger;
    for name in ["Old", "new", "open"] {
        admit(ledger, name, &[job("a")]).await;
    }
    finish(ledger, "old", "a").await;
    let since = later(ledger).await;
    finish(ledger, "new", "a").await;
    assert_eq!(active(ledger).await, ["open"]);
    assert_eq!(names(ledger, Batches::Recent { since }).await, ["new", "open"]);
    assert_eq!(names(ledger, Batches::Rested { before: since, limit: 9 }).await, ["Old"]);
    let before = later(ledger).await;
    assert_eq!(names(ledger, Batches::Rested { before, limit: 1 }).await, ["new"], "the latest first");
    assert_eq!(names(ledger, Batches::Rested { before, limit: 9 }).await, ["Old", "new"]);
    let page = |after: Option<&str>, limit| Batches::All { after: after.map(batch), limit };
    assert_eq!(names(ledger, page(None, 2)).await, ["Old", "new"]);
    assert_eq!(names(ledger, page(Some("NEW"), 2)).await, ["open"]);
    assert!(names(ledger, page(Some("open"), 2)).await.is_empty());
    assert!(names(ledger, page(Some("nobody"), 2)).await.is_empty());
    let named = ["open", "nobody", "OLD"].map(batch).to_vec();
    assert_eq!(names(ledger, Batches::Named(named)).await, ["open", "Old"]);
    assert!(names(ledger, Batches::Named(vec![])).await.is_empty());

    ledger.forget(Some(&batch("old"))).await.unwrap();
    assert!(names(ledger, Batches::Rested { before: since, limit: 9 }).await.is_empty());
    assert_eq!(names(&bench.second().await, Batches::Recent { since }).await, ["new", "open"]);
}

pub(crate) async fn flags_leave_a_batch_at_rest_but_for_a_cancellation(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    finish(ledger, "n", "a").await;
    let at = rested(ledger, "n").await;
    later(ledger).await;
    for flag in [BatchFlag::Paused(true), BatchFlag::Paused(false), BatchFlag::PausedBecause("of that".into())] {
        ledger.update_batch(&batch("n"), &flag.into()).await.unwrap();
        assert_eq!(rested(ledger, "n").await, at);
    }
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(true).into()).await.unwrap();
    assert_eq!(active(ledger).await, ["n"]);
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(false).into()).await.unwrap();
    assert!(active(ledger).await.is_empty());
}

pub(crate) async fn only_what_may_be_made_compact_is_listed_for_that(bench: &Bench) {
    let ledger = &bench.ledger;
    for name in ["failed", "done", "open"] {
        admit(ledger, name, &jobs("a", 2)).await;
    }
    finish(ledger, "open", "a00000").await;
    for name in ["failed", "done"] {
        order(ledger, name, "a00000", State::Cancelled).await;
    }
    order(ledger, "failed", "a00001", State::Cancelled).await;
    let early = later(ledger).await;
    let last = finish(ledger, "done", "a00001").await;
    assert!(names(ledger, Batches::Whole { before: early }).await.is_empty());
    let before = Timestamp::from_millis(later(ledger).await.as_millis() + 1);
    assert_eq!(names(ledger, Batches::Whole { before }).await, ["done"]);
    ledger.compact(&[compaction(&last)]).await.unwrap();
    assert!(names(ledger, Batches::Whole { before }).await.is_empty());
    // A late change makes it whole.
    let stored = read(ledger, "done", "a00001").await;
    put(ledger, &put_of(&stored, None, &stored.record)).await;
    let before = later(ledger).await + Duration::from_millis(1);
    assert_eq!(names(ledger, Batches::Whole { before }).await, ["done"]);
}
