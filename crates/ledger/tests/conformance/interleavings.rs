//! Many at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use veobatch_core::{Event, Lane, Outcome, PollPolicy, State, StateName};
use veobatch_ledger::{Blocked, Change, Changed, LedgerError, Lookup, NoRetry, SharedLedger, SubmissionClaim, change};

use crate::bench::{
    Bench, LONG, SHORT, admit, batch, claim, count, ending, generating, generating_job, jobs, key, moved, new_token,
    put, put_of, read, submission_for, task, token,
};

async fn handles(bench: &Bench) -> [SharedLedger; 4] {
    let second = bench.second().await;
    [Arc::clone(&bench.ledger), Arc::clone(&second), Arc::clone(&bench.ledger), second]
}

pub(crate) async fn two_claimers_never_get_the_same_submission(bench: &Bench) {
    admit(&bench.ledger, "n", &jobs("a", 200)).await;
    let mut claimers = JoinSet::new();
    for ledger in handles(bench).await {
        claimers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                match ledger.claim_submission(&new_token(), None, LONG, LONG).await.unwrap() {
                    SubmissionClaim::Granted(claimed) => mine.push(claimed.stored.key.clone()),
                    SubmissionClaim::Wait { why: Blocked::Work, .. } => return mine,
                    SubmissionClaim::Wait { .. } => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
                }
            }
        });
    }
    let all = claimers.join_all().await.concat();
    assert_eq!(all.len(), 200);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 200);
    assert_eq!(bench.ledger.account(0).await.unwrap().in_flight, 200);
}

pub(crate) async fn two_claimers_never_get_the_same_job(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 200)).await;
    for n in 0..200 {
        let claimed = submission_for(ledger, &new_token(), None, LONG).await;
        put(ledger, &ending(&claimed, generating(&format!("t{n}"), claimed.stored.now))).await;
    }
    let mut claimers = JoinSet::new();
    for ledger in handles(bench).await {
        claimers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let (claimed, _) = ledger.claim(Lane::Follow, 7, LONG).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|claimed| claimed.stored.key));
            }
        });
    }
    let all = claimers.join_all().await.concat();
    assert_eq!(all.len(), 200);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 200);
}

pub(crate) async fn no_change_is_lost_among_many(bench: &Bench) {
    generating_job(&bench.ledger, "n", "a").await;
    let mut evidence = JoinSet::new();
    for (n, ledger) in handles(bench).await.into_iter().cycle().take(12).enumerate() {
        evidence.spawn(async move {
            // Each one is a stray that must be kept.
            let event = Event::CalledBack { token: token(n as u128), task: Some(task(&format!("stray-{n}"))) };
            let stored = read(&ledger, "n", "a").await;
            apply(&ledger, stored, &event, None).await.unwrap()
        });
    }
    for changed in evidence.join_all().await {
        assert!(matches!(changed, Changed::Moved { .. }), "{changed:?}");
    }
    let stored = read(&bench.ledger, "n", "a").await;
    let strays: BTreeSet<_> = stored.record.strays.iter().map(|stray| stray.task.clone()).collect();
    assert_eq!(strays.len(), 12);
    assert!(matches!(stored.record.state, State::Generating { .. }));
}

async fn apply(
    ledger: &SharedLedger,
    stored: veobatch_ledger::Stored,
    event: &Event,
    lease: Option<&veobatch_ledger::Lease>,
) -> Result<Changed, LedgerError> {
    let wanted = Change { event, lease, settle: None, jitter: 0.5, policy: &PollPolicy::default() };
    change(ledger.as_ref(), stored, &wanted, &mut NoRetry).await
}

pub(crate) async fn a_worker_that_is_slow_does_not_overwrite_its_successor(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let slow = claim(ledger, Lane::Follow, SHORT).await;
    let successor = claim(ledger, Lane::Follow, LONG).await;
    let poll = Event::Polled { task: task("task-n-a"), progress: veobatch_core::Progress::NoOutput };
    let lost = apply(ledger, slow.stored.clone(), &poll, Some(&slow.lease)).await.unwrap();
    assert_eq!(lost, Changed::Lost);
    let made = Event::Polled {
        task: task("task-n-a"),
        progress: veobatch_core::Progress::Made { urls: vec!["https://x/v.mp4".into()], resolution: None },
    };
    apply(ledger, successor.stored.clone(), &made, Some(&successor.lease)).await.unwrap();
    assert_eq!(apply(ledger, slow.stored, &poll, Some(&slow.lease)).await.unwrap(), Changed::Lost);
    assert_eq!(count(ledger, "n", StateName::Downloading).await, 1);
}

pub(crate) async fn evidence_is_stored_even_if_the_lease_was_lost(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 1)).await;
    let writer = submission_for(ledger, &token(1), None, SHORT).await;
    let orphan = claim(ledger, Lane::Follow, LONG).await;
    apply(ledger, orphan.stored.clone(), &Event::Orphaned, Some(&orphan.lease)).await.unwrap();
    assert_eq!(count(ledger, "n", StateName::InDoubt).await, 1);

    let accepted = Event::Submission { token: token(1), outcome: Outcome::Accepted(task("t-1")) };
    let changed = apply(ledger, writer.stored, &accepted, Some(&writer.lease)).await.unwrap();
    assert!(matches!(changed, Changed::Moved { .. }), "{changed:?}");
    assert_eq!(count(ledger, "n", StateName::Generating).await, 1);
    assert_eq!(ledger.owner(Lookup::Task(&task("t-1"))).await.unwrap(), Some(key("n", "a00000")));
}

/// Admits a batch, and submits and ends some of its jobs.
async fn work(ledger: &SharedLedger, name: &str) {
    admit(ledger, name, &jobs("a", 300)).await;
    for _ in 0..20 {
        let claimed = submission_for(ledger, &new_token(), Some(&[batch(name)]), LONG).await;
        let cancelled = moved(&claimed.stored.record, State::Cancelled);
        put(ledger, &put_of(&claimed.stored, Some(&claimed.lease), &cancelled)).await;
    }
}

pub(crate) async fn admissions_and_claims_at_once(bench: &Bench) {
    let [a, b, c, d] = handles(bench).await;
    tokio::join!(work(&a, "batch-0"), work(&b, "batch-1"), work(&c, "batch-2"), work(&d, "batch-3"));
    for n in 0..4 {
        assert_eq!(count(&bench.ledger, &format!("batch-{n}"), StateName::Queued).await, 280);
        assert_eq!(count(&bench.ledger, &format!("batch-{n}"), StateName::Cancelled).await, 20);
    }
    assert_eq!(bench.ledger.account(0).await.unwrap().in_flight, 0);
}
