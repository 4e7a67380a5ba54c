//! Runs of recurring batches: shown in the one step in which their template remembers them, or not at all.

use veobatch_core::{State, StateName};
use veobatch_ledger::{Admission, BatchFlag, BatchUpdate, LedgerError, SharedLedger, TemplateAdvance};

use crate::bench::{Bench, admit, batch, count, jobs, moved, put, put_of, submission};

/// The template "daily" with a schedule, and its next advance.
async fn template(ledger: &SharedLedger) -> TemplateAdvance {
    admit(ledger, "daily", &jobs("a", 2)).await;
    reschedule(ledger, "first").await;
    TemplateAdvance { template: batch("Daily"), from: "first".to_owned(), to: "second".to_owned() }
}

async fn reschedule(ledger: &SharedLedger, schedule: &str) {
    let change = BatchUpdate { schedule: Some(schedule.to_owned()), ..BatchUpdate::default() };
    ledger.update_batch(&batch("daily"), &change).await.unwrap();
}

async fn schedule(ledger: &SharedLedger) -> String {
    let batches = ledger.batches().await.unwrap();
    batches.into_iter().find(|known| known.batch == batch("daily")).unwrap().terms.schedule
}

async fn staged(ledger: &SharedLedger) -> Admission {
    let admission = Admission::random();
    ledger.stage(&admission, &batch("daily-1"), &jobs("a", 2)).await.unwrap();
    admission
}

pub(crate) async fn a_run_is_shown_and_remembered_in_one_step(bench: &Bench) {
    let ledger = &bench.ledger;
    let advance = template(ledger).await;
    let admission = staged(ledger).await;
    ledger.publish(&admission, std::slice::from_ref(&batch("daily-1")), Some(&advance)).await.unwrap();
    assert_eq!((count(ledger, "daily-1", StateName::Queued).await, schedule(ledger).await), (2, "second".to_owned()));
    // Its answer was lost, and somebody changed the schedule meanwhile.
    reschedule(ledger, "third").await;
    ledger.publish(&admission, std::slice::from_ref(&batch("daily-1")), Some(&advance)).await.unwrap();
    assert_eq!((count(ledger, "daily-1", StateName::Queued).await, schedule(ledger).await), (2, "third".to_owned()));
}

pub(crate) async fn a_run_that_others_dealt_with_is_not_shown(bench: &Bench) {
    let ledger = &bench.ledger;
    let advance = template(ledger).await;
    let admission = staged(ledger).await;
    reschedule(ledger, "second").await;
    let refused = ledger.publish(&admission, std::slice::from_ref(&batch("daily-1")), Some(&advance)).await;
    assert!(matches!(refused, Err(LedgerError::Dropped)), "{refused:?}");
    ledger.abandon(&admission, &[batch("daily-1")]).await.unwrap();
    assert_eq!(ledger.batches().await.unwrap().len(), 1, "only the template");
    assert_eq!(schedule(ledger).await, "second");
}

pub(crate) async fn a_template_that_is_gone_has_no_runs(bench: &Bench) {
    let ledger = &bench.ledger;
    let advance = template(ledger).await;
    let admission = staged(ledger).await;
    for _ in 0..2 {
        let claimed = submission(ledger).await;
        let given_up = moved(&claimed.stored.record, State::Cancelled);
        put(ledger, &put_of(&claimed.stored, None, &given_up)).await;
    }
    assert_eq!(count(ledger, "daily", StateName::Cancelled).await, 2);
    ledger.forget(Some(&batch("daily"))).await.unwrap();
    let refused = ledger.publish(&admission, std::slice::from_ref(&batch("daily-1")), Some(&advance)).await;
    assert!(matches!(refused, Err(LedgerError::Dropped)), "{refused:?}");
    assert!(ledger.batches().await.unwrap().is_empty());
}

pub(crate) async fn a_run_whose_admission_was_dropped_is_not_remembered(bench: &Bench) {
    let ledger = &bench.ledger;
    let advance = template(ledger).await;
    let admission = staged(ledger).await;
    ledger.abandon(&admission, &[batch("daily-1")]).await.unwrap();
    let refused = ledger.publish(&admission, std::slice::from_ref(&batch("daily-1")), Some(&advance)).await;
    assert!(matches!(refused, Err(LedgerError::Dropped)), "{refused:?}");
    assert_eq!(schedule(ledger).await, "first");
}

pub(crate) async fn a_template_that_was_stopped_meanwhile_has_no_runs(bench: &Bench) {
    let ledger = &bench.ledger;
    let advance = template(ledger).await;
    let admission = staged(ledger).await;
    for (stop, go_on) in [
        (BatchFlag::Paused(true), BatchFlag::Paused(false)),
        (BatchFlag::Cancelling(true), BatchFlag::Cancelling(false)),
    ] {
        ledger.update_batch(&batch("daily"), &stop.into()).await.unwrap();
        let refused = ledger.publish(&admission, std::slice::from_ref(&batch("daily-1")), Some(&advance)).await;
        assert!(matches!(refused, Err(LedgerError::Dropped)), "{refused:?}");
        assert_eq!(schedule(ledger).await, "first");
        ledger.update_batch(&batch("daily"), &go_on.into()).await.unwrap();
    }
    ledger.publish(&admission, std::slice::from_ref(&batch("daily-1")), Some(&advance)).await.unwrap();
    assert_eq!(schedule(ledger).await, "second");
}
