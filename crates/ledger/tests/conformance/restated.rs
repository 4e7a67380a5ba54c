//! How to work at a job is not what it is: a file may say it anew, and the job stays the same.

use veobatch_core::{
    Event, Failure, FailureKind, Lane, Outcome, PollPolicy, Record, Spec, State, StateName, Token, WorkPolicy,
};
use veobatch_ledger::{
    Change, Changed, JobFilter, Known, Lookup, NewJob, NoRetry, Restatement, SharedLedger, Staged, change, restate,
};

use crate::bench::{
    Bench, LONG, admit, batch, claim, count, downloading, ending, generating, generating_job, in_doubt, job, jobs,
    moved, new_token, put, put_of, ranked, read, submission, submission_for, task,
};
use crate::compaction::{compaction, finish};

fn says(id: &str, priority: i16, max_attempts: u32) -> NewJob {
    let policy = WorkPolicy { priority, max_attempts };
    NewJob { spec: Spec { policy, ..job(id).spec }, ..job(id) }
}

async fn compare(ledger: &SharedLedger, jobs: &[NewJob]) -> Known {
    ledger.compare(&batch("n"), jobs).await.unwrap()
}

/// What `jobs` say otherwise is set; how many changed.
async fn set(ledger: &SharedLedger, jobs: &[NewJob]) -> usize {
    let mut changed = 0;
    for restatement in compare(ledger, jobs).await.restated {
        let result = restate(&**ledger, restatement, &mut NoRetry).await.unwrap();
        changed += usize::from(matches!(result, Changed::Moved { .. }));
    }
    changed
}

/// The only job of which `new` says something else.
async fn restatement(ledger: &SharedLedger, new: &NewJob) -> Restatement {
    compare(ledger, std::slice::from_ref(new)).await.restated.pop().unwrap()
}

async fn happens(ledger: &SharedLedger, id: &str, event: &Event) -> Changed {
    let change_of = Change { event, lease: None, settle: None, jitter: 0.5, policy: &PollPolicy::default() };
    change(&**ledger, read(ledger, "n", id).await, &change_of, &mut NoRetry).await.unwrap()
}

pub(crate) async fn a_known_job_that_is_to_be_worked_at_otherwise_is_no_conflict_and_not_new(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a"), ranked("b", 2)]).await;
    let again = [says("a", 0, 2), says("b", 0, 1), job("c")];
    let known = compare(ledger, &again).await;
    assert_eq!((known.known, known.conflicts), (2, vec![]));
    let of = |n: usize| (known.restated[n].stored.clone(), known.restated[n].says);
    for (n, (id, said)) in [("a", job("a")), ("b", ranked("b", 2))].into_iter().enumerate() {
        let stored = read(ledger, "n", id).await;
        assert_eq!(stored.spec, said.spec);
        let (listed, says) = of(n);
        assert_eq!((listed.record, listed.version, says), (stored.record, stored.version, again[n].spec.policy));
    }
    assert_eq!(admit(ledger, "n", &again).await, Staged { new: 1, known: 2, conflicts: vec![], restated: 2 });
    // Nothing was changed by looking, or by staging.
    assert_eq!(read(ledger, "n", "a").await.spec, job("a").spec);
    assert_eq!((read(ledger, "n", "b").await.record.priority, count(ledger, "n", StateName::Queued).await), (2, 3));
}

pub(crate) async fn what_is_said_anew_is_set_and_known_from_then_on(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a"), ranked("b", 2), job("c")]).await;
    let before = read(ledger, "n", "c").await;
    let again = [job("a"), ranked("b", -1), says("c", 5, 3)];
    assert_eq!(set(ledger, &again).await, 2);
    let after = read(&bench.second().await, "n", "c").await;
    assert_eq!((after.version.0, after.spec), (before.version.0 + 1, again[2].spec.clone()));
    assert_eq!((after.record.priority, after.record.max_attempts), (5, 3));
    assert_eq!(compare(ledger, &again).await, Known { known: 3, ..Known::default() });
    // The queue goes by it, and the content is still compared.
    for expected in ["c", "a", "b"] {
        assert_eq!(submission(ledger).await.stored.key.job.as_str(), expected);
    }
    let other = NewJob { spec: Spec { prompt: "else".into(), ..again[2].spec.clone() }, ..job("c") };
    assert_eq!(compare(ledger, &[other]).await.conflicts, [job("c").id]);
    // And back.
    assert_eq!(set(ledger, &[job("c")]).await, 1);
    let back = read(ledger, "n", "c").await;
    assert_eq!((back.spec, back.record.priority, back.record.max_attempts), (job("c").spec, 0, 1));
}

pub(crate) async fn what_a_person_set_stays_until_the_file_says_otherwise(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a"), job("b")]).await;
    happens(ledger, "a", &Event::Prioritize(10)).await;
    assert_eq!(set(ledger, &[job("a"), job("b")]).await, 0);
    assert_eq!(set(ledger, &[says("a", 0, 2)]).await, 1);
    let record = read(ledger, "n", "a").await.record;
    assert_eq!((record.priority, record.max_attempts), (10, 2), "of the priority the file said nothing new");
    // What it says anew holds; and said once, it is not said anew again.
    assert_eq!(set(ledger, &[says("a", 10, 2)]).await, 1);
    happens(ledger, "a", &Event::Prioritize(-3)).await;
    assert_eq!(set(ledger, &[says("a", 10, 2)]).await, 0);
    assert_eq!(read(ledger, "n", "a").await.record.priority, -3);
}

pub(crate) async fn it_is_set_in_every_state_but_done_and_cancelled_and_moves_no_job(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 7)).await;
    let failure = Failure { kind: FailureKind::Generation, message: "no".into() };
    for n in 0..6 {
        let claimed = submission(ledger).await;
        let (task, now) = (format!("t-{n}"), claimed.stored.now);
        let state = match n {
            0 => generating(&task, now),
            1 => downloading(&task, now),
            2 => in_doubt(&claimed.stored),
            3 => State::Failed { failure: failure.clone(), task: None },
            4 => State::Cancelled,
            _ => continue,
        };
        put(ledger, &ending(&claimed, state)).await;
    }
    admit(ledger, "n", &[job("z")]).await;
    finish(ledger, "n", "z").await;
    let all: Vec<NewJob> = (0..7).map(|n| says(&format!("a{n:05}"), 4, 3)).chain([says("z", 4, 3)]).collect();
    let known = compare(ledger, &all).await;
    assert_eq!((known.known, known.restated.len()), (8, 6));
    let before = ledger.page(&batch("n"), JobFilter::All, None, 9).await.unwrap();
    assert_eq!(set(ledger, &all).await, 6);
    let after = ledger.page(&batch("n"), JobFilter::All, None, 9).await.unwrap();
    for (is, was) in after.iter().zip(&before) {
        let over = matches!(was.record.state.name(), StateName::Done | StateName::Cancelled);
        let expected = if over { (0, 1) } else { (4, 3) };
        assert_eq!((is.record.priority, is.record.max_attempts), expected, "{}", was.key);
        assert_eq!((&is.record.state, is.leased_until), (&was.record.state, was.leased_until), "{}", was.key);
        assert_eq!(is.spec.content(), was.spec.content());
    }
    // Of those it meant nothing for, it is not taken for said: it holds once they are revived.
    happens(ledger, "a00004", &Event::Retry).await;
    assert_eq!(set(ledger, &all).await, 1);
    assert_eq!(read(ledger, "n", "a00004").await.record.max_attempts, 3);
    assert_eq!(count(ledger, "n", StateName::Submitting).await, 1);
}

pub(crate) async fn what_is_said_anew_during_a_paid_call_loses_neither(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let (token, policy) = (new_token(), PollPolicy::default());
    let claimed = submission_for(ledger, &token, None, LONG).await;
    assert_eq!(set(ledger, &[says("a", 0, 2)]).await, 1);
    ledger.confirm(&token).await.unwrap();
    let event = Event::Submission { token: token.clone(), outcome: Outcome::Accepted(task("t")) };
    let told = Change { event: &event, lease: Some(&claimed.lease), settle: None, jitter: 0.5, policy: &policy };
    assert!(matches!(change(&**ledger, claimed.stored, &told, &mut NoRetry).await.unwrap(), Changed::Moved { .. }));
    let stored = read(ledger, "n", "a").await;
    assert_eq!((stored.record.state.name(), stored.record.max_attempts), (StateName::Generating, 2));
    assert_eq!(stored.spec, says("a", 0, 2).spec);
}

pub(crate) async fn a_change_that_was_faster_is_not_undone_by_what_is_said_anew(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let old = restatement(ledger, &says("a", 6, 2)).await;
    let held = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &ending(&held, downloading("task-n-a", held.stored.now))).await;
    assert!(matches!(restate(&**ledger, old.clone(), &mut NoRetry).await.unwrap(), Changed::Moved { .. }));
    let stored = read(ledger, "n", "a").await;
    assert_eq!((stored.record.state.name(), stored.record.max_attempts), (StateName::Downloading, 2));
    // Another process was as fast, and then a person said something: that stays.
    let by_hand = Record { priority: 1, ..stored.record.clone() };
    put(ledger, &put_of(&stored, None, &by_hand)).await;
    assert!(matches!(restate(&**ledger, old.clone(), &mut NoRetry).await.unwrap(), Changed::Same(_)));
    assert_eq!(read(ledger, "n", "a").await.record, by_hand);
    // And a job that ended meanwhile is left alone.
    let stored = read(ledger, "n", "a").await;
    put(ledger, &put_of(&stored, None, &moved(&stored.record, State::Cancelled))).await;
    let late = Restatement { says: WorkPolicy { priority: 9, max_attempts: 9 }, ..old };
    assert!(matches!(restate(&**ledger, late, &mut NoRetry).await.unwrap(), Changed::Same(_)));
}

pub(crate) async fn a_lease_goes_on_while_something_is_said_anew(bench: &Bench) {
    let ledger = &bench.ledger;
    generating_job(ledger, "n", "a").await;
    let held = claim(ledger, Lane::Follow, LONG).await;
    assert_eq!(set(ledger, &[says("a", 0, 2)]).await, 1);
    assert!(ledger.claim(Lane::Follow, 1, LONG).await.unwrap().0.is_empty(), "nobody else is given it");
    assert_eq!(ledger.renew(&[held.lease], Some(LONG)).await.unwrap(), [true]);
}

pub(crate) async fn a_compact_job_is_known_however_it_is_to_be_worked_at(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[says("a", 3, 2), job("b")]).await;
    for id in ["a", "b"] {
        assert_eq!(ledger.compact(&[compaction(&finish(ledger, "n", id).await)]).await.unwrap(), 1);
    }
    for (priority, max_attempts) in [(0, 1), (3, 2), (7, 9)] {
        let again = [says("a", priority, max_attempts), says("b", priority, max_attempts)];
        assert_eq!(compare(ledger, &again).await, Known { known: 2, ..Known::default() });
        assert_eq!(admit(ledger, "n", &again).await, Staged { known: 2, ..Staged::default() });
    }
    // A restatement that was read before they became compact.
    let stored = read(ledger, "n", "a").await;
    let late = Restatement { stored, says: WorkPolicy { priority: 9, max_attempts: 9 } };
    assert!(matches!(restate(&**ledger, late, &mut NoRetry).await.unwrap(), Changed::Same(_)));
}

pub(crate) async fn an_open_attempt_is_found_by_its_token_after_something_is_said_anew(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let token: Token = new_token();
    let claimed = submission_for(ledger, &token, None, LONG).await;
    set(ledger, &[says("a", 5, 2)]).await;
    assert_eq!(ledger.owner(Lookup::Token(&token)).await.unwrap(), Some(claimed.stored.key.clone()));
    let State::Submitting { attempt } = read(ledger, "n", "a").await.record.state else { panic!() };
    assert_eq!(attempt.token, token);
    // Refused for the account's sake, it is queued by what holds now.
    let stored = read(ledger, "n", "a").await;
    put(ledger, &put_of(&stored, Some(&claimed.lease), &moved(&stored.record, State::Queued { due: None }))).await;
    admit(ledger, "n", &[ranked("b", 3)]).await;
    assert_eq!(submission(ledger).await.stored.key.job.as_str(), "a");
}
