//! Flags of whole batches.

use veobatch_core::Lane;
use veobatch_ledger::{BatchFlag, Blocked, LedgerError};

use crate::bench::{Bench, LONG, admit, batch, claim, generating_job, hindrance, jobs, submission};

pub(crate) async fn a_paused_batch_gets_no_submissions(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "one", &jobs("a", 3)).await;
    admit(ledger, "two", &jobs("a", 1)).await;
    bench.second().await.update_batch(&batch("ONE"), &BatchFlag::Paused(true).into()).await.unwrap();
    assert_eq!(submission(ledger).await.stored.key.batch, batch("two"));
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    assert_eq!(hindrance(ledger, Some(&[batch("one")])).await.0, Blocked::Work);
    // What comes to a paused batch waits with it.
    admit(ledger, "one", &jobs("b", 1)).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    ledger.update_batch(&batch("one"), &BatchFlag::Paused(false).into()).await.unwrap();
    for _ in 0..4 {
        submission(ledger).await;
    }
}

pub(crate) async fn a_paused_batch_is_still_followed(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    ledger.update_batch(&batch("n"), &BatchFlag::Paused(true).into()).await.unwrap();
    claim(ledger, Lane::Follow, LONG).await;
}

pub(crate) async fn a_cancelling_batch_gets_no_submissions(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 3)).await;
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(true).into()).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(false).into()).await.unwrap();
    submission(ledger).await;
}

pub(crate) async fn resuming_ends_a_cancellation(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 3)).await;
    ledger.update_batch(&batch("n"), &BatchFlag::Paused(true).into()).await.unwrap();
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(true).into()).await.unwrap();
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(false).into()).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work, "it is still paused");
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(true).into()).await.unwrap();
    ledger.update_batch(&batch("n"), &BatchFlag::Paused(false).into()).await.unwrap();
    submission(ledger).await;
}

pub(crate) async fn flags_are_listed(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 1)).await;
    let flags = async || {
        let batches = ledger.batches().await.unwrap();
        (batches[0].paused, batches[0].cancelling)
    };
    assert_eq!(flags().await, (false, false));
    ledger.update_batch(&batch("n"), &BatchFlag::Paused(true).into()).await.unwrap();
    ledger.update_batch(&batch("n"), &BatchFlag::Cancelling(true).into()).await.unwrap();
    assert_eq!(flags().await, (true, true));
    ledger.update_batch(&batch("n"), &BatchFlag::Paused(false).into()).await.unwrap();
    assert_eq!(flags().await, (false, false));
}

pub(crate) async fn an_unknown_batch_has_no_flags(bench: &Bench) {
    let unknown = bench.ledger.update_batch(&batch("n"), &BatchFlag::Paused(true).into()).await;
    assert!(matches!(unknown, Err(LedgerError::UnknownBatch(name)) if name == batch("n")));
}
