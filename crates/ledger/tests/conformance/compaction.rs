//! Finished jobs become compact, and are known all the same.

use veobatch_core::{Files, HistoryEntry, JobId, Record, Spec, State, StateName, Stray, Task, Timestamp};
use veobatch_ledger::{Compaction, JobFilter, Known, LedgerError, Lookup, NewJob, SharedLedger, Stored};

use crate::bench::{
    Bench, admit, batch, count, downloading, generating, generating_job, ids, job, jobs, key, moved, put, put_of, read,
    task, token,
};

/// The record of a job that is done, with a history.
pub(crate) fn done(stored: &Stored, id: &str) -> Record {
    let at = Timestamp::from_millis(1_795_368_605_999);
    let state = State::Done { task: Task { id: task(id), attempt: 1, at }, files: Files::Usual(1) };
    let history = vec![HistoryEntry(at, "attempt 1 accepted".into()), HistoryEntry(at, "saved".into())];
    Record { attempts: 1, history, ..moved(&stored.record, state) }
}

pub(crate) fn compaction(stored: &Stored) -> Compaction {
    Compaction { job: stored.job, version: stored.version, body: stored.record.compact().unwrap() }
}

/// Brings a job of `name` to its end, with a task of its own.
pub(crate) async fn finish(ledger: &SharedLedger, name: &str, id: &str) -> Stored {
    let stored = read(ledger, name, id).await;
    let mut last = put_of(&stored, None, &done(&stored, &format!("task-{name}-{id}")));
    last.task = Some(task(&format!("task-{name}-{id}")));
    put(ledger, &last).await;
    read(ledger, name, id).await
}

async fn compact(ledger: &SharedLedger, stored: &Stored) -> Stored {
    assert_eq!(ledger.compact(&[compaction(stored)]).await.unwrap(), 1);
    ledger.find(Lookup::Name(&stored.key)).await.unwrap().unwrap()
}

async fn whole(ledger: &SharedLedger, name: &str, after: Option<&str>) -> Vec<String> {
    let after = after.map(|id| JobId::parse(id).unwrap());
    ids(&ledger.page(&batch(name), JobFilter::Whole, after.as_ref(), 1000).await.unwrap())
}

pub(crate) async fn a_compacted_job_is_what_it_was_without_its_history_and_spec(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("Cat"), job("b")]).await;
    let before = finish(ledger, "n", "Cat").await;
    assert!(!before.compacted);
    let after = compact(ledger, &before).await;
    let record = Record { history: vec![], ..before.record.clone() };
    let expected = Stored { record, spec: Spec::default(), compacted: true, now: after.now, ..before.clone() };
    assert_eq!(after, expected);
    assert_eq!(count(ledger, "n", StateName::Done).await, 1);
    assert_eq!(ids(&ledger.page(&batch("n"), JobFilter::All, None, 9).await.unwrap()), ["Cat", "b"]);
    let page = ledger.page(&batch("n"), JobFilter::In(StateName::Done), None, 9).await.unwrap();
    assert_eq!((page.len(), &page[0].record), (1, &after.record));
    assert_eq!(ledger.owner(Lookup::Task(&task("task-n-Cat"))).await.unwrap(), Some(key("n", "Cat")));
    assert!(!read(&bench.second().await, "n", "b").await.compacted);
}

pub(crate) async fn only_done_jobs_of_that_version_are_compacted(bench: &Bench) {
    let ledger = &bench.ledger;
    let body = b"[\"x\",1,1]".to_vec();
    let fails = async |stored: &Stored| {
        let compaction = Compaction { job: stored.job, version: stored.version, body: body.clone() };
        assert_eq!(ledger.compact(&[compaction]).await.unwrap(), 0);
        assert_eq!(
            &Stored { now: stored.now, ..ledger.find(Lookup::Name(&stored.key)).await.unwrap().unwrap() },
            stored
        );
    };
    fails(&generating_job(ledger, "n", "a").await).await;
    admit(ledger, "n", &[job("b"), job("c")]).await;
    fails(&read(ledger, "n", "b").await).await;
    let stored = read(ledger, "n", "b").await;
    put(ledger, &put_of(&stored, None, &moved(&stored.record, State::Cancelled))).await;
    fails(&read(ledger, "n", "b").await).await;

    let mut old = finish(ledger, "n", "c").await;
    old.version.0 -= 1;
    assert_eq!(ledger.compact(&[compaction(&old)]).await.unwrap(), 0);
    old.job.seq = 99;
    assert_eq!(ledger.compact(&[compaction(&old)]).await.unwrap(), 0);
    assert!(!read(ledger, "n", "c").await.compacted);
}

pub(crate) async fn compacting_again_changes_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let once = compact(ledger, &finish(ledger, "n", "a").await).await;
    assert_eq!(ledger.compact(&[compaction(&once)]).await.unwrap(), 0);
    assert_eq!(Stored { now: once.now, ..read(ledger, "n", "a").await }, once);
}

pub(crate) async fn what_is_not_compact_yet_is_listed_in_file_order(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "before", &[job("x")]).await;
    finish(ledger, "before", "x").await;
    admit(ledger, "n", &jobs("a", 9)).await;
    assert!(whole(ledger, "n", None).await.is_empty());
    for id in ["a00007", "a00001", "a00004", "a00002"] {
        finish(ledger, "n", id).await;
    }
    assert_eq!(whole(ledger, "n", None).await, ["a00001", "a00002", "a00004", "a00007"]);
    assert_eq!(whole(ledger, "n", Some("a00002")).await, ["a00004", "a00007"]);
    compact(ledger, &read(ledger, "n", "a00001").await).await;
    compact(ledger, &read(ledger, "n", "a00004").await).await;
    assert_eq!(whole(ledger, "n", None).await, ["a00002", "a00007"]);
    // The job to go on after may be compact.
    assert_eq!(whole(ledger, "n", Some("a00004")).await, ["a00007"]);
    let one = ledger.page(&batch("n"), JobFilter::Whole, None, 1).await.unwrap();
    assert_eq!(ids(&one), ["a00002"]);
    // A job that is not done any more is not among them.
    put(ledger, &put_of(&one[0], None, &moved(&one[0].record, State::Cancelled))).await;
    assert_eq!(whole(ledger, "n", None).await, ["a00007"]);
    assert!(whole(ledger, "unknown", None).await.is_empty());
}

pub(crate) async fn the_same_content_is_known_and_other_content_is_a_conflict(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("Cat"), job("b")]).await;
    compact(ledger, &finish(ledger, "n", "Cat").await).await;
    let known = Known { known: 1, ..Known::default() };
    let conflict = |id: &str| Known { conflicts: vec![JobId::parse(id).unwrap()], ..Known::default() };
    let other = NewJob { spec: Spec { prompt: "something else".into(), ..Spec::default() }, ..job("Cat") };
    let renamed = NewJob { id: JobId::parse("CAT").unwrap(), ..job("Cat") };
    for (new, expected) in [(job("Cat"), known), (other, conflict("Cat")), (renamed, conflict("CAT"))] {
        assert_eq!(ledger.compare(&batch("n"), std::slice::from_ref(&new)).await.unwrap(), expected);
        let staged = admit(ledger, "n", &[new]).await;
        assert_eq!((staged.new, staged.known, staged.conflicts), (0, expected.known, expected.conflicts));
    }
    assert_eq!(count(ledger, "n", StateName::Queued).await, 1);
}

pub(crate) async fn a_late_change_is_stored_and_the_job_can_be_compacted_again(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 3)).await;
    let before = finish(ledger, "n", "a00001").await;
    let prepared = put_of(&before, None, &before.record);
    compact(ledger, &before).await;
    // Prepared before, put after: nothing of it is lost but the spec.
    put(ledger, &prepared).await;
    let again = read(ledger, "n", "a00001").await;
    assert_eq!((again.record.history.len(), again.compacted, again.version.0), (2, true, before.version.0 + 1));
    assert_eq!(whole(ledger, "n", None).await, ["a00001"]);

    let compacted = compact(ledger, &again).await;
    let stray = Stray::new(task("late"), token(9), compacted.now);
    let with_stray = Record { strays: vec![stray], ..compacted.record.clone() };
    let mut late = put_of(&compacted, None, &with_stray);
    late.task = Some(task("late"));
    put(ledger, &late).await;
    assert_eq!(ledger.put(&late).await.unwrap().0, compacted.version.0 + 1, "repeating it is ok");
    let stored = read(ledger, "n", "a00001").await;
    assert_eq!((stored.record, stored.key), (with_stray, key("n", "a00001")));
    assert_eq!(count(ledger, "n", StateName::Done).await, 1);
    assert_eq!(admit(ledger, "n", &[job("a00001")]).await.known, 1);
    assert_eq!(ledger.owner(Lookup::Task(&task("late"))).await.unwrap(), Some(key("n", "a00001")));

    let stored = read(ledger, "n", "a00001").await;
    put(ledger, &put_of(&stored, None, &Record { strays: vec![], ..stored.record.clone() })).await;
    let compacted = compact(ledger, &read(ledger, "n", "a00001").await).await;
    assert!(whole(ledger, "n", None).await.is_empty());
    assert_eq!(compacted.record.task().unwrap().id, task("task-n-a00001"));
    assert_eq!(admit(ledger, "n", &[job("a00001")]).await.known, 1);
}

pub(crate) async fn a_put_at_an_old_version_does_not_change_a_compacted_job(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let fresh = read(ledger, "n", "a").await;
    compact(ledger, &finish(ledger, "n", "a").await).await;
    let late = ledger.put(&put_of(&fresh, None, &moved(&fresh.record, State::Cancelled))).await;
    assert!(matches!(late, Err(LedgerError::Changed)));
    assert!(read(ledger, "n", "a").await.compacted);
}

pub(crate) async fn the_task_of_a_compacted_job_belongs_to_no_other(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    compact(ledger, &finish(ledger, "n", "a").await).await;
    let other = generating_job(ledger, "m", "b").await;
    let mut taking = put_of(&other, None, &moved(&other.record, generating("task-n-a", other.now)));
    taking.task = Some(task("task-n-a"));
    assert!(matches!(ledger.put(&taking).await, Err(LedgerError::TaskTaken { by }) if by == key("n", "a")));
}

pub(crate) async fn many_jobs_are_compacted_in_any_order_and_all_are_known(bench: &Bench) {
    let ledger = &bench.ledger;
    let all = jobs("a", 333);
    admit(ledger, "n", &all).await;
    let mut stored = Vec::new();
    for job in &all {
        stored.push(finish(ledger, "n", job.id.as_str()).await);
    }
    // 333 has no divisor in common with 100: every job once, in no order.
    let mixed: Vec<_> = (0..333).map(|n| compaction(&stored[n * 100 % 333])).collect();
    assert_eq!(ledger.compact(&mixed[..7]).await.unwrap(), 7);
    assert_eq!(ledger.page(&batch("n"), JobFilter::Whole, None, 1000).await.unwrap().len(), 326);
    assert_eq!(ledger.compact(&mixed).await.unwrap(), 326);
    let page = ledger.page(&batch("n"), JobFilter::In(StateName::Done), None, 1000).await.unwrap();
    assert_eq!(ids(&page), ids(&stored));
    for (is, was) in page.iter().zip(&stored) {
        assert_eq!((is.record.task(), is.version), (was.record.task(), was.version));
    }
    assert_eq!(ledger.compare(&batch("n"), &all).await.unwrap().known, 333);
    // Others of the batch are as they were.
    admit(ledger, "n", &[job("z")]).await;
    let fresh = read(ledger, "n", "z").await;
    put(ledger, &put_of(&fresh, None, &moved(&fresh.record, downloading("t", fresh.now)))).await;
    assert_eq!(read(ledger, "n", "z").await.spec, job("z").spec);
}
