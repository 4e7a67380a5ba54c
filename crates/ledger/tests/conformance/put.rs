//! What a put changes, and when it is refused.

use std::time::Duration;

use veobatch_core::{Lane, Record, State, StateName};
use veobatch_ledger::{Fence, JobRef, LedgerError, Lookup, Put};

use crate::bench::{
    Bench, LONG, SHORT, admit, claim, count, downloading, ending, generating, generating_job, in_doubt, job, jobs, key,
    moved, put, put_of, read, submission, submission_for, task, token,
};

pub(crate) async fn a_put_with_an_old_version_changes_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    let old = generating_job(ledger, "n", "a").await;
    put(ledger, &put_of(&old, None, &moved(&old.record, State::Cancelled))).await;
    let before = read(ledger, "n", "a").await;
    let late = ledger.put(&put_of(&old, None, &moved(&old.record, State::Queued { due: None }))).await;
    assert!(matches!(late, Err(LedgerError::Changed)));
    let after = read(ledger, "n", "a").await;
    assert_eq!((before.record, before.version), (after.record, after.version));
    assert_eq!(count(ledger, "n", StateName::Cancelled).await, 1);
}

pub(crate) async fn a_put_with_a_lost_fence_changes_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let slow = claim(ledger, Lane::Follow, Duration::ZERO).await;
    let next = claim(ledger, Lane::Follow, LONG).await;
    let late = ledger.put(&ending(&slow, State::Cancelled)).await;
    assert!(matches!(late, Err(LedgerError::LostLease)));
    put(ledger, &ending(&next, generating("task-n-a", next.stored.now))).await;
    assert_eq!(count(ledger, "n", StateName::Generating).await, 1);
}

pub(crate) async fn a_lost_fence_is_told_before_an_old_version(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let slow = claim(ledger, Lane::Follow, Duration::ZERO).await;
    let next = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &ending(&next, generating("task-n-a", next.stored.now))).await;
    assert!(matches!(ledger.put(&ending(&slow, State::Cancelled)).await, Err(LedgerError::LostLease)));
}

pub(crate) async fn repeating_a_put_is_ok(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let claimed = claim(ledger, Lane::Follow, LONG).await;
    let put = ending(&claimed, downloading("task-n-a", claimed.stored.now));
    let first = ledger.put(&put).await.unwrap();
    assert_eq!(ledger.put(&put).await.unwrap(), first);
    assert_eq!(read(ledger, "n", "a").await.version, first);
    // Even once somebody has claimed the job since.
    claim(ledger, Lane::Save, LONG).await;
    assert_eq!(ledger.put(&put).await.unwrap(), first);
    assert_eq!(count(ledger, "n", StateName::Downloading).await, 1);
}

pub(crate) async fn a_holders_put_ends_its_lease(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let claimed = claim(ledger, Lane::Follow, LONG).await;
    let version = put(ledger, &ending(&claimed, generating("task-n-a", claimed.stored.now))).await;
    let stored = read(ledger, "n", "a").await;
    assert_eq!((stored.leased_until, stored.version), (None, version));
    let again = Put { version, ..ending(&claimed, State::Cancelled) };
    assert!(matches!(ledger.put(&again).await, Err(LedgerError::LostLease)));
    claim(ledger, Lane::Follow, LONG).await;
}

pub(crate) async fn a_put_by_another_leaves_the_lease_alone(bench: &Bench) {
    let ledger = &bench.ledger;
    let stored = generating_job(ledger, "n", "a").await;
    let holder = claim(ledger, Lane::Follow, LONG).await;
    let touched = Record { cancelled: true, ..stored.record.clone() };
    let version = put(ledger, &put_of(&stored, None, &touched)).await;
    assert!(read(ledger, "n", "a").await.leased_until.is_some());
    assert!(ledger.claim(Lane::Follow, 1, LONG).await.unwrap().0.is_empty());
    let late = ending(&holder, generating("task-n-a", holder.stored.now));
    assert!(matches!(ledger.put(&late).await, Err(LedgerError::Changed)));
    put(ledger, &Put { version, ..late }).await;
    assert_eq!(read(ledger, "n", "a").await.leased_until, None);
}

pub(crate) async fn what_another_made_due_on_a_leased_job_is_not_lost(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let first = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &ending(&first, generating("task-n-a", first.stored.now))).await;
    let holder = claim(ledger, Lane::Follow, SHORT).await;
    // "Look at it now", while the holder is at work; then the holder dies.
    let now = ledger.info().await.unwrap().now;
    let hint = put_of(&holder.stored, None, &moved(&holder.stored.record, generating("task-n-a", now)));
    put(ledger, &hint).await;
    let next = claim(ledger, Lane::Follow, LONG).await;
    assert!(next.stored.now >= holder.stored.leased_until.unwrap());
    assert_eq!(next.stored.version.0, holder.stored.version.0 + 1);
}

pub(crate) async fn a_put_by_another_that_moves_the_job_to_another_lane_ends_the_lease(bench: &Bench) {
    let ledger = &bench.ledger;
    let stored = generating_job(ledger, "n", "a").await;
    let holder = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &put_of(&stored, None, &moved(&stored.record, downloading("task-n-a", stored.now)))).await;
    assert_eq!(ledger.renew(std::slice::from_ref(&holder.lease), Some(LONG)).await.unwrap(), [false]);
    assert!(matches!(ledger.put(&ending(&holder, State::Cancelled)).await, Err(LedgerError::LostLease)));
    claim(ledger, Lane::Save, LONG).await;
}

pub(crate) async fn a_put_by_another_that_ends_the_job_ends_the_lease(bench: &Bench) {
    let ledger = &bench.ledger;
    let stored = generating_job(ledger, "n", "a").await;
    let holder = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &put_of(&stored, None, &moved(&stored.record, State::Cancelled))).await;
    assert_eq!(read(ledger, "n", "a").await.leased_until, None);
    assert_eq!(ledger.renew(&[holder.lease], Some(LONG)).await.unwrap(), [false]);
    assert_eq!(ledger.claim(Lane::Follow, 1, LONG).await.unwrap(), (vec![], None));
}

pub(crate) async fn a_put_on_a_submitting_job_keeps_the_intent(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let holder = submission_for(ledger, &token(5), None, LONG).await;
    let cancelled = Record { cancelled: true, ..holder.stored.record.clone() };
    let version = put(ledger, &put_of(&holder.stored, None, &cancelled)).await;
    let stored = read(ledger, "n", "a").await;
    assert_eq!(stored.record, cancelled);
    assert!(stored.leased_until.is_some());
    assert_eq!(ledger.owner(Lookup::Token(&token(5))).await.unwrap(), Some(key("n", "a")));
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 1);
    let late = ending(&holder, generating("t", holder.stored.now));
    assert!(matches!(ledger.put(&late).await, Err(LedgerError::Changed)));
    put(ledger, &Put { version, ..late }).await;
}

pub(crate) async fn a_put_that_leaves_submitting_clears_the_intent(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let holder = submission(ledger).await;
    put(ledger, &ending(&holder, State::Queued { due: None })).await;
    let stored = read(ledger, "n", "a").await;
    assert_eq!(stored.record.state, State::Queued { due: None });
    assert_eq!(count(ledger, "n", StateName::Queued).await, 1);
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 0);
    submission(ledger).await;
}

pub(crate) async fn a_task_belongs_to_one_job_only(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 2)).await;
    let (first, second) = (submission(ledger).await, submission(ledger).await);
    let owning = |claimed, state| Put { task: Some(task("t-1")), ..ending(claimed, state) };
    put(ledger, &owning(&first, generating("t-1", first.stored.now))).await;
    match ledger.put(&owning(&second, generating("t-1", first.stored.now))).await {
        Err(LedgerError::TaskTaken { by }) => assert_eq!(by, first.stored.key),
        other => panic!("{other:?}"),
    }
    assert!(matches!(read(ledger, "n", "a00001").await.record.state, State::Submitting { .. }));
    assert_eq!(ledger.owner(Lookup::Task(&task("t-1"))).await.unwrap(), Some(first.stored.key.clone()));
    assert_eq!(ledger.owner(Lookup::Task(&task("t-2"))).await.unwrap(), None);
    // Its owner may say so again.
    let stored = read(ledger, "n", "a00000").await;
    put(ledger, &Put { task: Some(task("t-1")), ..put_of(&stored, None, &stored.record) }).await;
}

pub(crate) async fn a_token_is_found_while_its_attempt_is_open(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    assert_eq!(ledger.owner(Lookup::Token(&token(1))).await.unwrap(), None);
    let holder = submission_for(ledger, &token(1), None, LONG).await;
    assert_eq!(ledger.owner(Lookup::Token(&token(1))).await.unwrap(), Some(key("n", "a")));
    put(ledger, &ending(&holder, in_doubt(&holder.stored))).await;
    assert_eq!(ledger.owner(Lookup::Token(&token(1))).await.unwrap(), Some(key("n", "a")));
    let stored = read(ledger, "n", "a").await;
    assert!(matches!(stored.record.state, State::InDoubt { .. }));
    put(ledger, &put_of(&stored, None, &moved(&stored.record, generating("t", stored.now)))).await;
    assert_eq!(ledger.owner(Lookup::Token(&token(1))).await.unwrap(), None);
}

pub(crate) async fn counts_follow_every_put(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 3)).await;
    let claimed = submission(ledger).await;
    let counts = async || {
        let batches = ledger.batches().await.unwrap();
        StateName::ALL.iter().map(|state| batches[0].count(*state)).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [2, 1, 0, 0, 0, 0, 0, 0, 0]);
    put(ledger, &ending(&claimed, generating("t", claimed.stored.now))).await;
    assert_eq!(counts().await, [2, 0, 1, 0, 0, 0, 0, 0, 0]);
    let claimed = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &ending(&claimed, downloading("t", claimed.stored.now))).await;
    assert_eq!(counts().await, [2, 0, 0, 0, 1, 0, 0, 0, 0]);
    let stored = read(ledger, "n", "a00002").await;
    put(ledger, &put_of(&stored, None, &moved(&stored.record, State::Cancelled))).await;
    assert_eq!(counts().await, [1, 0, 0, 0, 1, 0, 0, 0, 1]);
}

pub(crate) async fn a_job_that_does_not_exist_is_changed(bench: &Bench) {
    let ledger = &bench.ledger;
    let stored = generating_job(ledger, "n", "a").await;
    let nowhere = Put { job: JobRef { batch: 77, seq: 7 }, ..put_of(&stored, None, &stored.record) };
    assert!(matches!(ledger.put(&nowhere).await, Err(LedgerError::Changed)));
    let held = Put { fence: Some(Fence::random()), ..nowhere };
    assert!(matches!(ledger.put(&held).await, Err(LedgerError::Changed)));
}
