//! Staging, publishing, abandoning.

use veobatch_core::{JobId, Spec, StateName};
use veobatch_ledger::{Admission, Blocked, JobFilter, Known, LedgerError, Lookup, NewJob, Staged, SubmissionClaim};

use crate::bench::{Bench, admit, batch, count, hindrance, ids, job, jobs, key, read, submission, try_submission};

fn new(new: u64) -> Staged {
    Staged { new, ..Staged::default() }
}

pub(crate) async fn staged_jobs_are_seen_by_nobody_until_they_are_published(bench: &Bench) {
    let (ledger, admission) = (&bench.ledger, Admission::random());
    assert_eq!(ledger.stage(&admission, &batch("night"), &jobs("a", 3)).await.unwrap(), new(3));

    assert_eq!(ledger.find(Lookup::Name(&key("night", "a00000"))).await.unwrap(), None);
    assert!(ledger.page(&batch("night"), JobFilter::All, None, 10).await.unwrap().is_empty());
    assert!(ledger.batches().await.unwrap().is_empty());
    assert!(matches!(try_submission(ledger).await, SubmissionClaim::Wait { why: Blocked::Work, .. }));

    ledger.publish(&admission, &[batch("night")], None).await.unwrap();
    assert_eq!(count(ledger, "night", StateName::Queued).await, 3);
    submission(ledger).await;
}

pub(crate) async fn all_batches_of_an_admission_are_published_at_once(bench: &Bench) {
    let (ledger, admission) = (&bench.ledger, Admission::random());
    let both = [batch("one"), batch("two")];
    ledger.stage(&admission, &both[0], &jobs("a", 2)).await.unwrap();
    // The second one was never staged: neither is shown.
    assert!(matches!(ledger.publish(&admission, &both, None).await, Err(LedgerError::Dropped)));
    assert!(ledger.batches().await.unwrap().is_empty());

    ledger.stage(&admission, &both[1], &jobs("a", 2)).await.unwrap();
    ledger.publish(&admission, &both, None).await.unwrap();
    assert_eq!(
        ledger.batches().await.unwrap().iter().map(veobatch_ledger::BatchSummary::total).collect::<Vec<_>>(),
        [2, 2]
    );
}

pub(crate) async fn jobs_are_stored_in_order(bench: &Bench) {
    admit(&bench.ledger, "night", &[job("c"), job("a"), job("b")]).await;
    let page = bench.ledger.page(&batch("night"), JobFilter::All, None, 10).await.unwrap();
    assert_eq!(ids(&page), ["c", "a", "b"]);
    assert_eq!(page.iter().map(|stored| stored.job.seq).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(page[1].spec, job("a").spec);
}

pub(crate) async fn known_jobs_are_left_as_they_are_and_counted(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &[job("a"), job("b")]).await;
    let claimed = submission(ledger).await;
    let staged = admit(ledger, "night", &[job("a"), job("x"), job("b")]).await;
    assert_eq!(staged, Staged { new: 1, known: 2, ..Staged::default() });
    assert_eq!(read(ledger, "night", "a").await.version, claimed.stored.version);
    assert_eq!(read(ledger, "night", "x").await.job.seq, 2);
}

pub(crate) async fn a_job_with_other_content_is_a_conflict(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &[job("a")]).await;
    let other = NewJob { spec: Spec { prompt: "something else".into(), ..Spec::default() }, ..job("a") };
    let staged = admit(ledger, "night", &[other]).await;
    assert_eq!(staged, Staged { conflicts: vec![JobId::parse("a").unwrap()], ..new(0) });
    assert_eq!(read(ledger, "night", "a").await.spec, job("a").spec);
}

pub(crate) async fn a_job_whose_name_is_written_differently_is_a_conflict(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &[job("Cat")]).await;
    let shouted = NewJob { id: JobId::parse("CAT").unwrap(), ..job("Cat") };
    let staged = admit(ledger, "NIGHT", &[shouted, job("Cat")]).await;
    assert_eq!(staged, Staged { known: 1, conflicts: vec![JobId::parse("CAT").unwrap()], ..new(0) });
    assert_eq!(ledger.batches().await.unwrap()[0].batch.as_str(), "night");
}

pub(crate) async fn staging_again_after_a_lost_answer_stores_nothing_twice(bench: &Bench) {
    let (ledger, admission) = (&bench.ledger, Admission::random());
    assert_eq!(ledger.stage(&admission, &batch("night"), &jobs("a", 5)).await.unwrap(), new(5));
    let again = ledger.stage(&admission, &batch("night"), &jobs("a", 5)).await.unwrap();
    assert_eq!(again, Staged { known: 5, ..new(0) });
    ledger.publish(&admission, &[batch("night")], None).await.unwrap();
    assert_eq!(count(ledger, "night", StateName::Queued).await, 5);
}

pub(crate) async fn the_same_name_twice_in_a_chunk_is_stored_once(bench: &Bench) {
    let other = NewJob { spec: job("b").spec, ..job("a") };
    let staged = admit(&bench.ledger, "night", &[job("a"), other, job("a")]).await;
    assert_eq!(staged, Staged { known: 1, conflicts: vec![JobId::parse("a").unwrap()], ..new(1) });
    assert_eq!(count(&bench.ledger, "night", StateName::Queued).await, 1);
}

pub(crate) async fn publishing_again_changes_nothing(bench: &Bench) {
    let (ledger, admission) = (&bench.ledger, Admission::random());
    ledger.stage(&admission, &batch("night"), &jobs("a", 2)).await.unwrap();
    ledger.publish(&admission, &[batch("night")], None).await.unwrap();
    submission(ledger).await;
    ledger.publish(&admission, &[batch("night")], None).await.unwrap();
    assert_eq!(count(ledger, "night", StateName::Queued).await, 1);
    assert_eq!(ledger.batches().await.unwrap()[0].total(), 2);
}

pub(crate) async fn publishing_what_was_never_staged_is_refused(bench: &Bench) {
    let (ledger, admission) = (&bench.ledger, Admission::random());
    assert!(matches!(ledger.publish(&admission, &[batch("night")], None).await, Err(LedgerError::Dropped)));
}

pub(crate) async fn only_one_admission_stages_into_a_batch_at_a_time(bench: &Bench) {
    let (ledger, first, second) = (&bench.ledger, Admission::random(), Admission::random());
    ledger.stage(&first, &batch("night"), &jobs("a", 2)).await.unwrap();
    let busy = ledger.stage(&second, &batch("night"), &jobs("b", 2)).await;
    assert!(matches!(busy, Err(LedgerError::Busy { batch: b }) if b == batch("night")));
    ledger.stage(&second, &batch("other"), &jobs("b", 2)).await.unwrap();
    ledger.publish(&first, &[batch("night")], None).await.unwrap();
    ledger.stage(&second, &batch("night"), &jobs("b", 2)).await.unwrap();
    ledger.publish(&second, &[batch("night"), batch("other")], None).await.unwrap();
    assert_eq!(count(ledger, "night", StateName::Queued).await, 4);
}

pub(crate) async fn what_was_not_published_is_dropped_and_its_ids_are_free(bench: &Bench) {
    let (ledger, first) = (&bench.ledger, Admission::random());
    ledger.stage(&first, &batch("night"), &jobs("a", 3)).await.unwrap();
    ledger.abandon(&first, &[batch("night")]).await.unwrap();
    assert!(matches!(ledger.publish(&first, &[batch("night")], None).await, Err(LedgerError::Dropped)));
    assert!(ledger.batches().await.unwrap().is_empty());
    assert_eq!(admit(ledger, "night", &jobs("a", 2)).await, new(2));
    assert_eq!(read(ledger, "night", "a00000").await.job.seq, 0);
}

pub(crate) async fn abandoning_leaves_what_is_published(bench: &Bench) {
    let (ledger, late) = (&bench.ledger, Admission::random());
    admit(ledger, "night", &[job("a")]).await;
    ledger.stage(&late, &batch("night"), &[job("a"), job("b")]).await.unwrap();
    ledger.abandon(&late, &[batch("night")]).await.unwrap();
    ledger.abandon(&late, &[batch("night"), batch("unknown")]).await.unwrap();
    assert_eq!(ids(&ledger.page(&batch("night"), JobFilter::All, None, 9).await.unwrap()), ["a"]);
    assert_eq!(admit(ledger, "night", &[job("b")]).await, new(1));
}

pub(crate) async fn abandoning_does_not_touch_another_admission(bench: &Bench) {
    let (ledger, first) = (&bench.ledger, Admission::random());
    ledger.stage(&first, &batch("night"), &jobs("a", 2)).await.unwrap();
    ledger.abandon(&Admission::random(), &[batch("night")]).await.unwrap();
    ledger.publish(&first, &[batch("night")], None).await.unwrap();
    assert_eq!(count(ledger, "night", StateName::Queued).await, 2);
}

pub(crate) async fn a_second_admission_goes_behind_the_first(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "night", &[job("z"), job("y")]).await;
    admit(ledger, "night", &[job("b"), job("a")]).await;
    assert_eq!(ids(&ledger.page(&batch("night"), JobFilter::All, None, 9).await.unwrap()), ["z", "y", "b", "a"]);
    for expected in ["z", "y", "b", "a"] {
        assert_eq!(submission(ledger).await.stored.key.job.as_str(), expected);
    }
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
}

pub(crate) async fn comparing_stores_nothing_and_sees_only_what_is_published(bench: &Bench) {
    let (ledger, late) = (&bench.ledger, Admission::random());
    let other = NewJob { spec: job("x").spec, ..job("b") };
    let all = [job("a"), other, job("c"), job("d")];
    assert_eq!(ledger.compare(&batch("night"), &all).await.unwrap(), Known::default());
    admit(ledger, "night", &[job("a"), job("b")]).await;
    ledger.stage(&late, &batch("night"), &[job("c")]).await.unwrap();
    let compared = ledger.compare(&batch("night"), &all).await.unwrap();
    assert_eq!((compared.known, compared.conflicts), (1, vec![JobId::parse("b").unwrap()]));
    assert_eq!(count(ledger, "night", StateName::Queued).await, 2);
}
