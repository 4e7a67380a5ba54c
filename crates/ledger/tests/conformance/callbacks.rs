//! What is kept of callbacks: that they were heard, and jobs in doubt that one of them makes due.

use std::time::Duration;

use veobatch_core::{Called, Comparison, Heard, Lane, State, StateName, doubted};

use crate::bench::{Bench, LONG, admit, ending, in_doubt, job, key, put, read, submission, task};
use veobatch_ledger::Lookup;

pub(crate) async fn the_callback_of_the_latest_submission_is_remembered_for_all(bench: &Bench) {
    let ledger = &bench.ledger;
    let second = bench.second().await;
    assert_eq!(ledger.heard().await.unwrap(), None);
    let start = ledger.info().await.unwrap().now;
    ledger.hear(start).await.unwrap();
    let first = second.heard().await.unwrap().unwrap();
    assert!(first.submitted == start && first.at >= start, "{first:?}");

    let later = start + Duration::from_secs(5);
    second.hear(later).await.unwrap();
    let latest = ledger.heard().await.unwrap().unwrap();
    assert!(latest.submitted == later && latest.at >= first.at, "{latest:?}");
    ledger.hear(start).await.unwrap();
    assert_eq!(bench.reopen().await.unwrap().heard().await.unwrap(), Some(latest), "an earlier one replaces nothing");

    // The same submission, called back for again: heard later.
    ledger.hear(later).await.unwrap();
    let Heard { submitted, at } = ledger.heard().await.unwrap().unwrap();
    assert!(submitted == later && at >= latest.at);
}

pub(crate) async fn a_job_in_doubt_may_be_due_to_be_looked_at(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let claimed = submission(ledger).await;
    let now = claimed.stored.now;
    let doubt = |due| {
        let State::InDoubt { attempt, why, balances, .. } = in_doubt(&claimed.stored) else { panic!("in doubt") };
        let comparison = Comparison { since: now, misses: 0, due };
        let called = Some(Called { task: Some(task("t-1")), comparison: Some(comparison) });
        State::InDoubt { attempt, why, called, balances, failed: None }
    };
    put(ledger, &ending(&claimed, doubt(now))).await;
    let (due, _) = ledger.claim(Lane::Follow, 8, LONG).await.unwrap();
    let [due] = <[_; 1]>::try_from(due).unwrap();
    assert_eq!(due.stored.record.state.name(), StateName::InDoubt);
    assert_eq!(ledger.owner(Lookup::Task(&task("t-1"))).await.unwrap(), None, "it is not the job's yet");
    let token = doubted(&due.stored.record).unwrap();
    assert_eq!(ledger.owner(Lookup::Token(token)).await.unwrap(), Some(key("n", "a")), "its attempt is open");

    put(ledger, &ending(&due, doubt(now + LONG))).await;
    assert_eq!(ledger.claim(Lane::Follow, 8, LONG).await.unwrap().0.len(), 0);
    assert_eq!(read(ledger, "n", "a").await.record.state.name(), StateName::InDoubt);
}
