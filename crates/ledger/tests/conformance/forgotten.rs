//! An attempt that the ledger forgot when it went back in time is told again by its journal, while the job that it belongs to
//! is being submitted by somebody else.

use veobatch_core::{Event, Outcome, PollPolicy, Record, State, StateName, Token, doubted};
use veobatch_ledger::{Change, Changed, NoRetry, SharedLedger, SubmissionClaim, change};

use crate::bench::{Bench, LONG, admit, count, job, new_token, read, submission};

fn cut_off() -> Outcome {
    Outcome::Unknown("its worker was cut off".to_owned())
}

fn not_sent() -> Outcome {
    Outcome::NotSent("its worker stopped before".to_owned())
}

async fn tell(ledger: &SharedLedger, token: &Token, outcome: Outcome) {
    let event = Event::Submission { token: token.clone(), outcome };
    let stored = read(ledger, "n", "a").await;
    let told = Change { event: &event, lease: None, settle: None, jitter: 0.5, policy: &PollPolicy::default() };
    let changed = change(ledger.as_ref(), stored, &told, &mut NoRetry).await.unwrap();
    assert!(matches!(changed, Changed::Moved { .. }), "{changed:?}");
}

/// One job, granted; the token of its grant.
async fn granted(ledger: &SharedLedger) -> Token {
    admit(ledger, "n", &[job("a")]).await;
    let record = submission(ledger).await.stored.record;
    let State::Submitting { attempt } = record.state else { panic!("{record:?}") };
    attempt.token
}

async fn is_in_doubt_about(ledger: &SharedLedger, forgotten: &Token) -> Record {
    let record = read(ledger, "n", "a").await.record;
    assert_eq!((doubted(&record), count(ledger, "n", StateName::InDoubt).await), (Some(forgotten), 1));
    assert_eq!(count(ledger, "n", StateName::Queued).await, 0, "nothing is left to be paid for");
    record
}

pub(crate) async fn a_forgotten_attempt_is_kept_while_its_job_is_being_submitted(bench: &Bench) {
    let ledger = &bench.ledger;
    let (own, forgotten) = (granted(ledger).await, new_token());
    tell(ledger, &forgotten, cut_off()).await;
    let record = read(ledger, "n", "a").await.record;
    assert_eq!((record.state.name(), record.attempts, record.attempt()), (StateName::Submitting, 1, 2));
    // Whoever was granted the claim still is, and is told what stands beside it.
    let again = ledger.claim_submission(&own, None, LONG, LONG).await.unwrap();
    assert!(
        matches!(&again, SubmissionClaim::Granted(claimed) if claimed.stored.record.knows(&forgotten)),
        "{again:?}"
    );
    tell(ledger, &own, not_sent()).await;
    let record = is_in_doubt_about(ledger, &forgotten).await;
    assert_eq!((record.attempts, record.open.len()), (1, 0));
}

pub(crate) async fn a_forgotten_attempt_that_is_told_after_the_other_ended_is_kept_as_well(bench: &Bench) {
    let ledger = &bench.ledger;
    let (own, forgotten) = (granted(ledger).await, new_token());
    tell(ledger, &own, not_sent()).await;
    assert_eq!(count(ledger, "n", StateName::Queued).await, 1);
    tell(ledger, &forgotten, cut_off()).await;
    let record = is_in_doubt_about(ledger, &forgotten).await;
    assert!(record.knows(&own), "a late word of it is understood");
}
