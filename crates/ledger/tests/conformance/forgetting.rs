//! A person has a batch forgotten: at once, wholly, and nothing but that batch.

use veobatch_core::{Failure, FailureKind, Files, Lane, Record, State, StateName, Stray, StrayState};
use veobatch_ledger::{Admission, Compaction, JobFilter, LedgerError, Lookup, SharedLedger};

use crate::bench::{
    Bench, LONG, admit, batch, count, generating, hindrance, ids, in_doubt, job, jobs, key, moved, put, put_of, read,
    submission, task, token,
};
use crate::compaction::{compaction, finish};

async fn cleared(ledger: &SharedLedger) {
    while ledger.forget(None).await.unwrap() {}
}

pub(crate) async fn a_settled_batch_is_forgotten_and_its_ids_are_new(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "Night", &jobs("a", 3)).await;
    admit(ledger, "day", &jobs("a", 1)).await;
    let compact = finish(ledger, "night", "a00000").await;
    ledger.compact(&[compaction(&compact)]).await.unwrap();
    for (id, state) in [("a00001", State::Cancelled), ("a00002", failed())] {
        let stored = read(ledger, "night", id).await;
        put(ledger, &put_of(&stored, None, &moved(&stored.record, state))).await;
    }
    ledger.forget(Some(&batch("NIGHT"))).await.unwrap();
    let names = async || ledger.batches().await.unwrap().iter().map(|b| b.batch.to_string()).collect::<Vec<_>>();
    assert_eq!(names().await, ["day"]);
    assert_eq!(ledger.find(Lookup::Name(&key("night", "a00000"))).await.unwrap(), None);
    assert!(ledger.page(&batch("night"), JobFilter::All, None, 9).await.unwrap().is_empty());
    assert_eq!(ledger.owner(Lookup::Task(&task("task-night-a00000"))).await.unwrap(), None);
    assert!(matches!(ledger.forget(Some(&batch("night"))).await, Err(LedgerError::UnknownBatch(_))));

    // Known as new at once, and what is cleared away is not these.
    assert_eq!(ledger.compare(&batch("night"), &jobs("a", 3)).await.unwrap().known, 0);
    assert_eq!(admit(ledger, "night", &jobs("a", 3)).await.new, 3);
    cleared(ledger).await;
    assert_eq!(names().await, ["day", "night"]);
    assert_eq!(count(ledger, "night", StateName::Queued).await, 3);
    finish(ledger, "night", "a00000").await;
    assert_eq!(ledger.owner(Lookup::Task(&task("task-night-a00000"))).await.unwrap(), Some(key("night", "a00000")));
    let expected = ["a00000", "a00001", "a00002"];
    assert_eq!(ids(&ledger.page(&batch("night"), JobFilter::All, None, 9).await.unwrap()), expected);
}

fn failed() -> State {
    State::Failed { failure: Failure { kind: FailureKind::Policy, message: "no".into() }, task: None }
}

pub(crate) async fn a_batch_with_open_jobs_is_not_forgotten(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let refused = async || {
        assert!(
            matches!(ledger.forget(Some(&batch("n"))).await, Err(LedgerError::Unsettled(name)) if name == batch("n"))
        );
    };
    refused().await;
    let claimed = submission(ledger).await;
    refused().await;
    let doubtful = moved(&claimed.stored.record, in_doubt(&claimed.stored));
    put(ledger, &put_of(&claimed.stored, None, &doubtful)).await;
    refused().await;
    let stored = read(ledger, "n", "a").await;
    put(ledger, &put_of(&stored, None, &moved(&stored.record, generating("t", stored.now)))).await;
    refused().await;
    assert_eq!(read(ledger, "n", "a").await.spec, job("a").spec);
    finish(ledger, "n", "a").await;
    ledger.forget(Some(&batch("n"))).await.unwrap();
    assert!(matches!(ledger.forget(Some(&batch("unknown"))).await, Err(LedgerError::UnknownBatch(_))));
}

pub(crate) async fn a_batch_with_a_job_that_is_due_all_the_same_is_not_forgotten(bench: &Bench) {
    let ledger = &bench.ledger;
    let refused = async |name: &str| {
        assert!(matches!(ledger.forget(Some(&batch(name))).await, Err(LedgerError::Unsettled(_))), "{name}");
    };
    admit(ledger, "other", &[job("a")]).await;
    finish(ledger, "other", "a").await;
    for (name, state) in [("done", None), ("failed", Some(failed())), ("cancelled", Some(State::Cancelled))] {
        admit(ledger, name, &jobs("a", 2)).await;
        finish(ledger, name, "a00001").await;
        let stored = finish(ledger, name, "a00000").await;
        let stray = Stray::new(task(&format!("stray-{name}")), token(7), stored.now);
        let with = |fate| Record {
            state: state.clone().unwrap_or(stored.record.state.clone()),
            strays: vec![Stray { fate, ..stray.clone() }],
            ..stored.record.clone()
        };
        put(ledger, &put_of(&stored, None, &with(StrayState::default()))).await;
        refused(name).await;
        let [polled] = <[_; 1]>::try_from(ledger.claim(Lane::Follow, 8, LONG).await.unwrap().0).unwrap();
        refused(name).await;
        let made = StrayState::Made { urls: vec![], stale: false, tries: 0, due: stored.now + LONG };
        put(ledger, &put_of(&polled.stored, Some(&polled.lease), &with(made))).await;
        refused(name).await;
        let waiting = read(ledger, name, "a00000").await;
        put(ledger, &put_of(&waiting, None, &with(StrayState::Saved(Files::Usual(1))))).await;
        ledger.forget(Some(&batch(name))).await.unwrap();
    }
    ledger.forget(Some(&batch("other"))).await.unwrap();
}

pub(crate) async fn a_batch_with_a_late_stray_beside_a_compact_job_is_not_forgotten(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("Cat")]).await;
    let done = finish(ledger, "n", "cat").await;
    ledger.compact(&[compaction(&done)]).await.unwrap();
    let compact = read(ledger, "n", "cat").await;
    let made = StrayState::Made { urls: vec![], stale: false, tries: 0, due: compact.now };
    let stray = Stray { fate: made, ..Stray::new(task("late"), token(7), compact.now) };
    let late = Record { strays: vec![stray.clone()], ..compact.record.clone() };
    put(ledger, &put_of(&compact, None, &late)).await;
    assert!(matches!(ledger.forget(Some(&batch("n"))).await, Err(LedgerError::Unsettled(_))));

    let [claimed] = <[_; 1]>::try_from(ledger.claim(Lane::Save, 8, LONG).await.unwrap().0).unwrap();
    assert_eq!((&claimed.stored.record, &claimed.stored.key), (&late, &key("n", "Cat")));
    assert_eq!((claimed.stored.compacted, &claimed.stored.spec), (true, &compact.spec));
    let body = late.body();
    let compaction = Compaction { job: claimed.stored.job, version: claimed.stored.version, body };
    assert_eq!(ledger.compact(&[compaction]).await.unwrap(), 0, "it is due in a lane");
    let saved = Record { strays: vec![Stray { fate: StrayState::Saved(Files::Usual(1)), ..stray }], ..late };
    put(ledger, &put_of(&claimed.stored, Some(&claimed.lease), &saved)).await;
    ledger.forget(Some(&batch("n"))).await.unwrap();
}

pub(crate) async fn a_batch_that_is_being_admitted_to_is_not_forgotten(bench: &Bench) {
    let (ledger, admission) = (&bench.ledger, Admission::random());
    ledger.stage(&admission, &batch("new"), &[job("a")]).await.unwrap();
    assert!(matches!(ledger.forget(Some(&batch("new"))).await, Err(LedgerError::UnknownBatch(_))));
    ledger.publish(&admission, &[batch("new")], None).await.unwrap();
    finish(ledger, "new", "a").await;
    let second = Admission::random();
    ledger.stage(&second, &batch("new"), &[job("b")]).await.unwrap();
    assert!(matches!(ledger.forget(Some(&batch("new"))).await, Err(LedgerError::Busy { .. })));
    ledger.publish(&second, &[batch("new")], None).await.unwrap();
    assert_eq!(ids(&ledger.page(&batch("new"), JobFilter::All, None, 9).await.unwrap()), ["a", "b"]);
}

pub(crate) async fn a_change_of_a_forgotten_job_is_refused(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 2)).await;
    let (whole, compact) = (finish(ledger, "n", "a00000").await, finish(ledger, "n", "a00001").await);
    ledger.compact(&[compaction(&compact)]).await.unwrap();
    ledger.forget(Some(&batch("n"))).await.unwrap();
    for stored in [whole, compact] {
        let late = put_of(&stored, None, &stored.record);
        assert!(matches!(ledger.put(&late).await, Err(LedgerError::Changed)));
        assert_eq!(ledger.compact(&[compaction(&stored)]).await.unwrap(), 0);
    }
}

pub(crate) async fn clearing_away_leaves_other_batches_and_their_tasks(bench: &Bench) {
    let ledger = &bench.ledger;
    assert!(!ledger.forget(None).await.unwrap(), "there is nothing yet");
    // Enough tasks for the index to be split while both are in it.
    admit(ledger, "kept", &jobs("k", 150)).await;
    admit(ledger, "gone", &jobs("g", 150)).await;
    for n in 0..150 {
        finish(ledger, "kept", &format!("k{n:05}")).await;
        finish(ledger, "gone", &format!("g{n:05}")).await;
    }
    ledger.forget(Some(&batch("gone"))).await.unwrap();
    cleared(ledger).await;
    assert!(!ledger.forget(None).await.unwrap());
    for n in 0..150 {
        let kept = key("kept", &format!("k{n:05}"));
        assert_eq!(
            ledger.owner(Lookup::Task(&task(&format!("task-{kept}").replace('/', "-")))).await.unwrap(),
            Some(kept)
        );
    }
    // A task of a forgotten job may be another's.
    admit(ledger, "new", &[job("a")]).await;
    let stored = read(ledger, "new", "a").await;
    let mut taking = put_of(&stored, None, &moved(&stored.record, generating("task-gone-g00007", stored.now)));
    taking.task = Some(task("task-gone-g00007"));
    put(ledger, &taking).await;
    assert_eq!(count(ledger, "kept", StateName::Done).await, 150);
    hindrance(ledger, None).await;
}
