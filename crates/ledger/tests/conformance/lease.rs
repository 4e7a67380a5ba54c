//! Claims of the follow and the save lane, and what becomes of their leases.

use std::time::Duration;

use veobatch_core::{Lane, Record, Spec, State};
use veobatch_ledger::{CLAIM_MAX, Fence, Lease, SharedLedger, Stored};

use crate::bench::{
    Bench, LONG, SHORT, admit, claim, downloading, ending, generating, generating_job, ids, job, jobs, put, read,
    submission, until,
};

/// Jobs of batch `n` that are generating, each due a second after the one before, all in the past.
async fn due_jobs(ledger: &SharedLedger, count: usize) -> Vec<Stored> {
    admit(ledger, "n", &jobs("a", count)).await;
    let mut stored = Vec::new();
    for n in 0..count {
        let claimed = submission(ledger).await;
        let due = veobatch_core::Timestamp::from_millis(1_000_000 + 1000 * n as u64);
        put(ledger, &ending(&claimed, generating(&format!("task-{n}"), due))).await;
        stored.push(read(ledger, "n", claimed.stored.key.job.as_str()).await);
    }
    stored
}

async fn nothing_due(ledger: &SharedLedger, lane: Lane) -> bool {
    ledger.claim(lane, 1, LONG).await.unwrap().0.is_empty()
}

pub(crate) async fn due_jobs_are_leased_earliest_first(bench: &Bench) {
    let stored = due_jobs(&bench.ledger, 5).await;
    let (claimed, _) = bench.ledger.claim(Lane::Follow, 3, LONG).await.unwrap();
    let claimed: Vec<_> = claimed.into_iter().map(|claimed| claimed.stored).collect();
    assert_eq!(ids(&claimed), ids(&stored[..3]));
    assert_eq!(claimed[0].record, stored[0].record);
    assert_eq!(claimed[0].version, stored[0].version);
}

pub(crate) async fn a_leased_job_is_given_to_nobody_else(bench: &Bench) {
    due_jobs(&bench.ledger, 1).await;
    claim(&bench.ledger, Lane::Follow, LONG).await;
    assert!(nothing_due(&bench.ledger, Lane::Follow).await);
    assert!(nothing_due(&bench.second().await, Lane::Follow).await);
}

pub(crate) async fn a_job_is_due_again_when_its_lease_ends(bench: &Bench) {
    due_jobs(&bench.ledger, 1).await;
    let first = claim(&bench.ledger, Lane::Follow, SHORT).await;
    let second = claim(&bench.ledger, Lane::Follow, LONG).await;
    assert!(second.stored.now >= first.stored.leased_until.unwrap());
    assert_ne!(first.lease.fence, second.lease.fence);
    assert_eq!(first.stored.version, second.stored.version);
}

pub(crate) async fn an_ended_lease_is_held_until_somebody_else_claims(bench: &Bench) {
    let ledger = &bench.ledger;
    due_jobs(ledger, 1).await;
    let slow = claim(ledger, Lane::Follow, Duration::ZERO).await;
    until("the lease has ended", async || read(ledger, "n", "a00000").await.leased_until.is_none().then_some(())).await;
    assert_eq!(ledger.renew(std::slice::from_ref(&slow.lease), Some(Duration::ZERO)).await.unwrap(), [true]);
    let due = slow.stored.now + LONG;
    put(ledger, &ending(&slow, generating("task-0", due))).await;
}

pub(crate) async fn deliveries_are_counted_until_the_holder_puts(bench: &Bench) {
    let ledger = &bench.ledger;
    due_jobs(ledger, 1).await;
    for expected in 1..=3 {
        let claimed = claim(ledger, Lane::Follow, Duration::from_millis(5)).await;
        assert_eq!(claimed.deliveries, expected);
        // A put by somebody else does not start the count anew.
        let now = claimed.stored.now;
        let touched = Record { trouble: Some(format!("{now}")), ..claimed.stored.record.clone() };
        put(ledger, &crate::bench::put_of(&read(ledger, "n", "a00000").await, None, &touched)).await;
    }
    let claimed = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &ending(&claimed, generating("task-0", claimed.stored.now))).await;
    assert_eq!(claim(ledger, Lane::Follow, LONG).await.deliveries, 1);
}

pub(crate) async fn the_next_due_time_is_told(bench: &Bench) {
    let ledger = &bench.ledger;
    assert_eq!(ledger.claim(Lane::Follow, 1, LONG).await.unwrap().1, None);
    let stored = due_jobs(ledger, 2).await;
    let (mut first, next) = ledger.claim(Lane::Follow, 1, LONG).await.unwrap();
    assert_eq!(next, stored[1].record.facets().due.map(|(_, at)| at));
    let later = first[0].stored.now + LONG;
    put(ledger, &ending(&first.remove(0), generating("task-0", later))).await;
    let (second, next) = ledger.claim(Lane::Follow, 1, LONG / 2).await.unwrap();
    assert_eq!(next, second[0].stored.leased_until, "a leased job counts at the end of its lease");
    assert_eq!(ledger.claim(Lane::Save, 1, LONG).await.unwrap().1, None);
}

pub(crate) async fn a_renewed_lease_lasts_longer(bench: &Bench) {
    let ledger = &bench.ledger;
    due_jobs(ledger, 1).await;
    let claimed = claim(ledger, Lane::Follow, SHORT).await;
    assert_eq!(ledger.renew(std::slice::from_ref(&claimed.lease), Some(LONG)).await.unwrap(), [true]);
    let until_when = read(ledger, "n", "a00000").await.leased_until.unwrap();
    assert!(until_when >= claimed.stored.now + LONG);
    tokio::time::sleep(2 * SHORT).await;
    assert!(nothing_due(ledger, Lane::Follow).await);
}

pub(crate) async fn a_lost_lease_is_not_renewed(bench: &Bench) {
    let ledger = &bench.ledger;
    let stored = due_jobs(ledger, 2).await;
    let (claimed, _) = ledger.claim(Lane::Follow, 2, LONG).await.unwrap();
    let forged = Lease { job: stored[0].job, fence: Fence::random() };
    put(ledger, &ending(&claimed[0], generating("task-0", claimed[0].stored.now + LONG))).await;
    let leases = [claimed[0].lease.clone(), claimed[1].lease.clone(), forged];
    assert_eq!(ledger.renew(&leases, Some(LONG)).await.unwrap(), [false, true, false]);
}

pub(crate) async fn a_released_job_is_due_now(bench: &Bench) {
    let ledger = &bench.ledger;
    due_jobs(ledger, 2).await;
    let (claimed, _) = ledger.claim(Lane::Follow, 2, LONG).await.unwrap();
    let stale = Lease { job: claimed[1].lease.job, fence: Fence::random() };
    ledger.renew(&[claimed[0].lease.clone(), stale], None).await.unwrap();
    ledger.renew(&[claimed[0].lease.clone()], None).await.unwrap();
    let again = claim(ledger, Lane::Follow, LONG).await;
    assert_eq!(again.stored.key, claimed[0].stored.key);
    assert_ne!(again.lease.fence, claimed[0].lease.fence);
    assert!(nothing_due(ledger, Lane::Follow).await, "the other one is still leased");
}

pub(crate) async fn a_submitting_job_is_not_released(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let claimed = submission(ledger).await;
    ledger.renew(std::slice::from_ref(&claimed.lease), None).await.unwrap();
    assert!(nothing_due(ledger, Lane::Follow).await);
    assert!(matches!(read(ledger, "n", "a").await.record.state, State::Submitting { .. }));
    assert_eq!(ledger.renew(&[claimed.lease], Some(LONG)).await.unwrap(), [true]);
}

pub(crate) async fn lanes_do_not_mix(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    admit(ledger, "m", &[job("a")]).await;
    let claimed = submission(ledger).await;
    put(ledger, &ending(&claimed, downloading("other", claimed.stored.now))).await;
    assert_eq!(claim(ledger, Lane::Save, LONG).await.stored.key.batch.as_str(), "m");
    assert_eq!(claim(ledger, Lane::Follow, LONG).await.stored.key.batch.as_str(), "n");
    assert!(nothing_due(ledger, Lane::Save).await && nothing_due(ledger, Lane::Follow).await);
}

pub(crate) async fn specs_are_brought_where_they_are_needed(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let polled = claim(ledger, Lane::Follow, LONG).await;
    assert_eq!(polled.stored.spec, Spec::default());
    put(ledger, &ending(&polled, downloading("task-n-a", polled.stored.now))).await;
    assert_eq!(claim(ledger, Lane::Save, LONG).await.stored.spec, job("a").spec);

    admit(ledger, "m", &[crate::bench::ranked("b", 4)]).await;
    crate::bench::submission_for(ledger, &crate::bench::new_token(), None, Duration::ZERO).await;
    let orphan = claim(ledger, Lane::Follow, LONG).await;
    assert_eq!(orphan.stored.spec, crate::bench::ranked("b", 4).spec, "it has no body yet");
    assert_eq!(orphan.stored.record.priority, 4);
}

pub(crate) async fn a_claim_takes_no_more_than_it_may(bench: &Bench) {
    let ledger = &bench.ledger;
    due_jobs(ledger, CLAIM_MAX + 10).await;
    assert!(ledger.claim(Lane::Follow, 0, LONG).await.unwrap().0.is_empty());
    let (claimed, next) = ledger.claim(Lane::Follow, 10_000, LONG).await.unwrap();
    assert_eq!(claimed.len(), CLAIM_MAX);
    assert!(next.is_some_and(|next| next <= claimed[0].stored.now));
    assert_eq!(ledger.claim(Lane::Follow, CLAIM_MAX, LONG).await.unwrap().0.len(), 10);
}
