//! Jobs that are settled, and due all the same: for a task that was paid for beside their own.

use std::time::Duration;

use veobatch_core::{Files, Lane, Record, State, StateName, Stray, StrayState, Task, Timestamp};
use veobatch_ledger::Stored;

use crate::bench::{Bench, LONG, SHORT, count, generating_job, new_token, put, put_of, read, task};

fn done(stored: &Stored, fate: StrayState) -> Record {
    let own = Task { id: task("task-n-a"), attempt: 1, at: stored.now };
    let stray = Stray { fate, ..Stray::new(task("beside"), new_token(), stored.now) };
    let state = State::Done { task: own, files: Files::Usual(1) };
    Record { state, strays: vec![stray], ..stored.record.clone() }
}

fn made(due: Timestamp) -> StrayState {
    StrayState::Made { urls: vec!["https://files.example/a.mp4".to_owned()], stale: false, tries: 0, due }
}

pub(crate) async fn a_settled_job_may_be_due_for_a_task_beside_its_own(bench: &Bench) {
    let ledger = &bench.ledger;
    let stored = generating_job(ledger, "n", "a").await;
    let awaited = done(&stored, StrayState::Awaited { misses: 0, due: stored.now });
    put(ledger, &put_of(&stored, None, &awaited)).await;
    assert_eq!(count(ledger, "n", StateName::Done).await, 1);

    let [polled] = <[_; 1]>::try_from(ledger.claim(Lane::Follow, 8, LONG).await.unwrap().0).unwrap();
    assert_eq!(polled.stored.record, awaited);
    put(ledger, &put_of(&polled.stored, Some(&polled.lease), &done(&polled.stored, made(stored.now)))).await;
    assert_eq!(ledger.claim(Lane::Follow, 8, LONG).await.unwrap().1, None, "it is in the other lane now");

    let [saved] = <[_; 1]>::try_from(ledger.claim(Lane::Save, 8, LONG).await.unwrap().0).unwrap();
    assert_eq!(saved.stored.spec.prompt, read(ledger, "n", "a").await.spec.prompt);
    put(ledger, &put_of(&saved.stored, Some(&saved.lease), &done(&saved.stored, StrayState::Saved(Files::Usual(1)))))
        .await;
    assert_eq!(ledger.claim(Lane::Save, 8, LONG).await.unwrap(), (vec![], None));
    assert_eq!(count(ledger, "n", StateName::Done).await, 1);
    assert_eq!(ledger.batches().await.unwrap().iter().map(veobatch_ledger::BatchSummary::total).sum::<u64>(), 1);
}

pub(crate) async fn a_settled_job_whose_worker_died_comes_back_and_stays_settled(bench: &Bench) {
    let ledger = &bench.ledger;
    let stored = generating_job(ledger, "n", "a").await;
    put(ledger, &put_of(&stored, None, &done(&stored, made(stored.now)))).await;
    assert_eq!(ledger.claim(Lane::Save, 8, SHORT).await.unwrap().0.len(), 1);
    let again = crate::bench::claim(ledger, Lane::Save, LONG).await;
    assert_eq!((again.deliveries, again.stored.record.state.name()), (2, StateName::Done));
}

pub(crate) async fn a_claim_of_nothing_tells_when_the_next_job_is_due(bench: &Bench) {
    let ledger = &bench.ledger;
    assert_eq!(ledger.claim(Lane::Save, 0, LONG).await.unwrap(), (vec![], None));
    let stored = generating_job(ledger, "n", "a").await;
    let due = stored.now + Duration::from_secs(3600);
    put(ledger, &put_of(&stored, None, &done(&stored, made(due)))).await;
    assert_eq!(ledger.claim(Lane::Save, 0, LONG).await.unwrap(), (vec![], Some(due)));
    put(ledger, &put_of(&read(ledger, "n", "a").await, None, &done(&stored, made(stored.now)))).await;
    let (none, next) = ledger.claim(Lane::Save, 0, LONG).await.unwrap();
    assert!(none.is_empty() && next == Some(stored.now), "{next:?}");
    assert_eq!(ledger.claim(Lane::Save, 1, LONG).await.unwrap().0.len(), 1, "nothing was leased");
}
