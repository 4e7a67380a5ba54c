//! The claim that is the intent.

use std::time::Duration;

use veobatch_core::{Lane, Record, State, StateName};
use veobatch_ledger::{Admission, Blocked, Claimed, LedgerError, SharedLedger};

use crate::bench::{
    Bench, LONG, SHORT, admit, batch, claim, count, ending, hindrance, in_doubt, job, jobs, new_token, put, ranked,
    read, submission, submission_for, token, until,
};

fn name(claimed: &Claimed) -> &str {
    claimed.stored.key.job.as_str()
}

async fn order(ledger: &SharedLedger, n: usize) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..n {
        order.push(submission(ledger).await.stored.key.to_string());
    }
    order
}

pub(crate) async fn a_grant_is_submitting_with_its_token_as_the_intent(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &[job("a")]).await;
    let claimed = submission_for(ledger, &token(7), None, LONG).await;
    for stored in [claimed.stored.clone(), read(ledger, "night", "a").await] {
        let State::Submitting { attempt } = &stored.record.state else { panic!("{stored:?}") };
        assert_eq!((&attempt.token, attempt.number), (&token(7), 1));
        assert!(attempt.at <= stored.now);
        assert!(stored.leased_until.is_some_and(|until| until > stored.now));
    }
    assert_eq!(claimed.deliveries, 1);
    assert_eq!(count(ledger, "night", StateName::Submitting).await, 1);
    assert_eq!(count(ledger, "night", StateName::Queued).await, 0);
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 1);
}

pub(crate) async fn a_grant_brings_the_spec(bench: &Bench) {
    admit(&bench.ledger, "night", &[job("a")]).await;
    assert_eq!(submission(&bench.ledger).await.stored.spec, job("a").spec);
}

pub(crate) async fn a_token_that_was_granted_gets_the_same_grant_again(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &jobs("a", 3)).await;
    let first = submission_for(ledger, &token(1), None, SHORT).await;
    let again = submission_for(ledger, &token(1), None, LONG).await;
    assert_eq!((&first.lease, first.stored.version), (&again.lease, again.stored.version));
    assert_eq!((&first.stored.key, &first.stored.record), (&again.stored.key, &again.stored.record));
    assert!(again.stored.leased_until > first.stored.leased_until);
    assert_eq!(again.deliveries, 1);
    assert_eq!(count(ledger, "night", StateName::Submitting).await, 1);
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 1);
    // The lease is the renewed one: nobody finds the job when the first would have ended.
    tokio::time::sleep(2 * SHORT).await;
    assert!(ledger.claim(Lane::Follow, 1, LONG).await.unwrap().0.is_empty());
}

pub(crate) async fn a_token_whose_job_was_claimed_by_somebody_else_gets_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &jobs("a", 2)).await;
    submission_for(ledger, &token(1), None, Duration::ZERO).await;
    let orphan = claim(ledger, Lane::Follow, LONG).await;
    let again = ledger.claim_submission(&token(1), None, LONG, LONG).await;
    assert!(matches!(again, Err(LedgerError::LostLease)), "{again:?}");
    put(ledger, &ending(&orphan, in_doubt(&orphan.stored))).await;
    let again = ledger.claim_submission(&token(1), None, LONG, LONG).await;
    assert!(matches!(again, Err(LedgerError::LostLease)), "{again:?}");
    assert_eq!(count(ledger, "night", StateName::Queued).await, 1);
}

pub(crate) async fn a_claim_is_confirmed_as_long_as_its_attempt_is_open_and_no_other_is(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &jobs("a", 2)).await;
    let claimed = submission_for(ledger, &token(1), None, LONG).await;
    ledger.confirm(&token(1)).await.unwrap();
    assert!(matches!(ledger.confirm(&token(2)).await, Err(LedgerError::LostLease)));
    submission_for(ledger, &token(2), None, LONG).await;
    put(ledger, &ending(&claimed, State::Queued { due: None })).await;
    let (first, second) = (token(1), token(2));
    let (over, open) = tokio::join!(ledger.confirm(&first), ledger.confirm(&second));
    assert!(matches!(over, Err(LedgerError::LostLease)), "{over:?}");
    open.unwrap();
}

/// Its slot is nobody's by then: another submission may have taken it.
pub(crate) async fn a_grant_that_is_asked_for_again_after_its_time_is_none(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 2)).await;
    let late = token(3);
    let ask = async |stall| ledger.claim_submission(&late, None, LONG, stall).await;
    let claimed = crate::bench::until("a submission is granted", async || match ask(SHORT).await.unwrap() {
        veobatch_ledger::SubmissionClaim::Granted(claimed) => Some(claimed),
        veobatch_ledger::SubmissionClaim::Wait { .. } => None,
    })
    .await;
    let over = claimed.stored.now + 2 * SHORT;
    crate::bench::until("its time is over", async || (ledger.info().await.unwrap().now > over).then_some(())).await;
    let again = ask(LONG).await;
    assert!(matches!(again, Err(LedgerError::LostLease)), "{again:?}");
    assert_eq!(read(ledger, "n", "a00000").await.record.state, claimed.stored.record.state);
}

pub(crate) async fn higher_priorities_go_first_and_then_file_order(bench: &Bench) {
    let ledger = &bench.ledger;
    let jobs = [ranked("a", 0), ranked("b", 5), ranked("c", -5), ranked("d", 5), ranked("e", i16::MAX), job("f")];
    admit(ledger, "n", &jobs).await;
    assert_eq!(order(ledger, 6).await, ["n/e", "n/b", "n/d", "n/a", "n/f", "n/c"]);
}

pub(crate) async fn what_is_staged_does_not_go_before_it_is_published(bench: &Bench) {
    let (ledger, late) = (&bench.ledger, Admission::random());
    admit(ledger, "n", &[ranked("a", 0), ranked("b", -1)]).await;
    ledger.stage(&late, &batch("n"), &[ranked("c", 9), ranked("d", 0), ranked("e", -9)]).await.unwrap();
    assert_eq!(order(ledger, 2).await, ["n/a", "n/b"]);
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    ledger.publish(&late, &[batch("n")], None).await.unwrap();
    assert_eq!(order(ledger, 3).await, ["n/c", "n/d", "n/e"]);
}

/// Back in the queue, not before `due`.
async fn requeue(ledger: &SharedLedger, claimed: &Claimed, due: Option<veobatch_core::Timestamp>) {
    put(ledger, &ending(claimed, State::Queued { due })).await;
}

pub(crate) async fn a_delayed_job_waits_for_its_time(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let claimed = submission(ledger).await;
    let due = ledger.info().await.unwrap().now + Duration::from_millis(150);
    requeue(ledger, &claimed, Some(due)).await;
    assert_eq!(hindrance(ledger, None).await, (Blocked::Work, Some(due)));
    assert_eq!(count(ledger, "n", StateName::Queued).await, 1);
    let again = until("the time has come", async || {
        match ledger.claim_submission(&token(9), None, LONG, LONG).await.unwrap() {
            veobatch_ledger::SubmissionClaim::Granted(claimed) => Some(claimed),
            veobatch_ledger::SubmissionClaim::Wait { .. } => None,
        }
    })
    .await;
    assert!(again.stored.now >= due);
}

pub(crate) async fn many_delayed_jobs_become_ready_over_several_claims(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 250)).await;
    let mut claims = Vec::new();
    for _ in 0..250 {
        claims.push(submission(ledger).await);
    }
    let due = ledger.info().await.unwrap().now + Duration::from_millis(300);
    for claimed in &claims {
        requeue(ledger, claimed, Some(due)).await;
    }
    until("they are due", async || (ledger.info().await.unwrap().now >= due).then_some(())).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..250 {
        seen.insert(submission(ledger).await.stored.key);
    }
    assert_eq!(seen.len(), 250);
}

pub(crate) async fn a_retried_job_goes_before_later_ones_of_its_priority(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a"), job("b"), job("c"), ranked("d", 1)]).await;
    assert_eq!(name(&submission(ledger).await), "d");
    let a = submission(ledger).await;
    assert_eq!(name(&submission(ledger).await), "b");
    requeue(ledger, &a, None).await;
    assert_eq!(order(ledger, 2).await, ["n/a", "n/c"]);
}

pub(crate) async fn only_the_named_batches_are_served(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "one", &jobs("a", 2)).await;
    admit(ledger, "two", &jobs("a", 2)).await;
    let only = [batch("TWO"), batch("unknown")];
    for _ in 0..2 {
        let claimed = submission_for(ledger, &new_token(), Some(&only), LONG).await;
        assert_eq!(claimed.stored.key.batch, batch("two"));
    }
    assert_eq!(hindrance(ledger, Some(&only)).await.0, Blocked::Work);
    assert_eq!(hindrance(ledger, Some(&[])).await.0, Blocked::Work);
    submission(ledger).await;
}

pub(crate) async fn a_small_batch_does_not_wait_for_a_large_one(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "large", &jobs("a", 1000)).await;
    order(ledger, 50).await;
    admit(ledger, "small", &jobs("a", 5)).await;
    let order = order(ledger, 12).await;
    let small: Vec<_> = order.iter().enumerate().filter(|(_, key)| key.starts_with("small")).map(|(n, _)| n).collect();
    assert_eq!(small.len(), 5, "{order:?}");
    assert!(small.iter().zip(0..).all(|(at, turn)| (2 * turn..=2 * turn + 2).contains(at)), "{order:?}");
}

pub(crate) async fn a_batch_that_comes_late_does_not_catch_up(bench: &Bench) {
    let ledger = &bench.ledger;
    for name in ["one", "two"] {
        admit(ledger, name, &jobs("a", 60)).await;
    }
    ledger.update_batch(&batch("two"), &veobatch_ledger::BatchFlag::Paused(true).into()).await.unwrap();
    order(ledger, 30).await;
    ledger.update_batch(&batch("two"), &veobatch_ledger::BatchFlag::Paused(false).into()).await.unwrap();
    let order = order(ledger, 20).await;
    let two = order.iter().filter(|key| key.starts_with("two")).count();
    assert!((9..=11).contains(&two), "{order:?}");
}

pub(crate) async fn without_a_job_no_slot_is_taken(bench: &Bench) {
    let ledger = &bench.ledger;
    let rate = Some((1, Duration::from_secs(3600)));
    ledger
        .update_account(&veobatch_ledger::AccountUpdate {
            rate,
            max_in_flight: None,
            ..veobatch_ledger::AccountUpdate::default()
        })
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(hindrance(ledger, None).await, (Blocked::Work, None));
    }
    admit(ledger, "n", &[job("a")]).await;
    assert!(matches!(crate::bench::try_submission(ledger).await, veobatch_ledger::SubmissionClaim::Granted(_)));
}

pub(crate) async fn an_orphaned_submission_is_found_by_the_follow_lane(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let granted = submission_for(ledger, &token(3), None, SHORT).await;
    let orphan = claim(ledger, Lane::Follow, LONG).await;
    assert!(orphan.stored.now >= granted.stored.leased_until.unwrap());
    assert_eq!(orphan.stored.record.state, granted.stored.record.state);
    assert_eq!(orphan.deliveries, 2);
    assert_ne!(orphan.lease.fence, granted.lease.fence);
}

pub(crate) async fn a_claim_changes_the_version(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let before = read(ledger, "n", "a").await;
    let claimed = submission(ledger).await;
    assert!(claimed.stored.version > before.version);
    // Whoever decided by the queued job, a cancellation for one, has to look again.
    let cancelled = Record { state: State::Cancelled, ..before.record.clone() };
    let late = ledger.put(&crate::bench::put_of(&before, None, &cancelled)).await;
    assert!(matches!(late, Err(LedgerError::Changed)));
}
