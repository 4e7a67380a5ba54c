//! A ledger that went back in time forgets attempts, and journals tell it of them again: each way that once led from there
//! to a second payment.
//!
//! In all of them attempt A is the one that the ledger remembers, and B is the forgotten one, which may have been paid for.

use std::time::Duration;

use veobatch_core::{
    After, Context, Event, FailureKind, Outcome, Presumption, Progress, Record, State, StateName, TaskFailure, Token,
    Verdict, after, doubted,
};

use crate::scenes::{NOW, policy, records, refusal, task, task_id, token};

fn scene(name: &str) -> Record {
    records().into_iter().find(|(known, _)| *known == name).unwrap().1
}

fn happen(record: &Record, event: &Event) -> Result<Record, &'static str> {
    match after(record, event, &Context { now: NOW, jitter: 0.5, policy: &policy() }) {
        After::Moved(next) => Ok(*next),
        After::Same(why) => Err(why),
    }
}

fn told(token: Token, outcome: Outcome) -> Event {
    Event::Submission { token, outcome }
}

fn a() -> Token {
    token(1)
}

fn b() -> Token {
    token(7)
}

fn cut_off(token: Token) -> Event {
    told(token, Outcome::Unknown("its worker was cut off during the paid call".into()))
}

fn not_sent(token: Token) -> Event {
    told(token, Outcome::NotSent("its worker stopped before anything was sent".into()))
}

fn failed() -> Event {
    let failure = TaskFailure { code: Some(501), message: "no".into(), policy: false };
    Event::Polled { task: task().id, progress: Progress::Failed(failure) }
}

/// The record is in doubt about B, and whatever is told of B from now on is understood.
fn is_in_doubt_about_b(record: &Record) {
    assert_eq!(doubted(record), Some(&b()), "{:?}", record.state);
    assert!(record.open.is_empty() && record.knows(&a()) && record.knows(&b()));
    assert!(happen(record, &cut_off(b())).is_err(), "nothing new");
    let found = happen(record, &told(b(), Outcome::Accepted(task_id("late")))).unwrap();
    assert_eq!(found.task().map(|task| task.id.clone()), Some(task_id("late")));
    let called = happen(record, &Event::CalledBack { token: b(), task: Some(task_id("late")) }).unwrap();
    assert_eq!(called.facets().due.map(|(lane, _)| lane), Some(veobatch_core::Lane::Follow), "it is compared");
}

#[test]
fn a_job_that_is_being_submitted_is_in_doubt_about_the_forgotten_attempt_once_its_own_was_not_sent() {
    for busy in [not_sent(a()), told(a(), refusal(veobatch_core::RefusalKind::Busy))] {
        let knowing = happen(&scene("submitting"), &cut_off(b())).unwrap();
        assert_eq!((knowing.state.name(), knowing.open.len()), (StateName::Submitting, 1));
        is_in_doubt_about_b(&happen(&knowing, &busy).unwrap());
        // The other way round it was queued in between, where nothing is granted while the ledger recovers.
        let queued = happen(&scene("submitting"), &busy).unwrap();
        is_in_doubt_about_b(&happen(&queued, &cut_off(b())).unwrap());
    }
}

#[test]
fn a_doubt_that_is_settled_is_followed_by_the_doubt_about_the_forgotten_attempt() {
    let both = happen(&scene("in_doubt"), &cut_off(b())).unwrap();
    assert_eq!((doubted(&both), both.attempts_open().count()), (Some(&a()), 2));
    let silent = Presumption::Silent(Duration::from_secs(7200));
    for settled in [
        not_sent(a()),
        Event::Resolve(Verdict::Resubmit),
        Event::Resolve(Verdict::GiveUp),
        Event::Presumed { token: a(), because: Presumption::Preferred },
        Event::Presumed { token: a(), because: silent },
    ] {
        is_in_doubt_about_b(&happen(&both, &settled).unwrap());
    }
}

#[test]
fn a_task_that_fails_leaves_the_doubt_about_the_forgotten_attempt_and_no_second_payment_behind_it() {
    // The forgotten attempt counts as the second one until it is known that nothing was sent.
    for (allowed, expected) in [(1, StateName::Failed), (2, StateName::Failed), (3, StateName::Queued)] {
        let generating = Record { max_attempts: allowed, ..scene("generating") };
        let both = happen(&generating, &cut_off(b())).unwrap();
        assert_eq!((&both.state, both.attempts), (&generating.state, 2), "it is followed as before");
        let doubtful = happen(&both, &failed()).unwrap();
        is_in_doubt_about_b(&doubtful);
        let settled = happen(&doubtful, &not_sent(b())).unwrap();
        assert_eq!((settled.state.name(), settled.attempts), (expected, 1), "{allowed} attempts allowed");
        assert!(settled.knows(&b()) && happen(&settled, &cut_off(b())).is_err(), "it ended");
    }
}

#[test]
fn a_failed_job_is_in_doubt_about_the_forgotten_attempt_and_fails_of_the_same_again() {
    for name in ["failed: refused", "failed: policy", "failed: generation", "failed: lost", "failed: given up"] {
        let before = scene(name);
        let doubtful = happen(&before, &cut_off(b())).unwrap();
        is_in_doubt_about_b(&doubtful);
        assert!(happen(&doubtful, &Event::Retry).is_err(), "{name}: retried");
        let by_policy = Event::Presumed { token: b(), because: Presumption::Preferred };
        assert!(happen(&doubtful, &by_policy).is_err(), "{name}: no policy pays for what had failed");
        let settled = happen(&doubtful, &not_sent(b())).unwrap();
        assert_eq!((&settled.state, settled.attempts), (&before.state, before.attempts), "{name}");
        let given_up = happen(&doubtful, &Event::Resolve(Verdict::GiveUp)).unwrap();
        let State::Failed { failure, .. } = &given_up.state else { panic!("{:?}", given_up.state) };
        assert_eq!(failure.kind, FailureKind::GivenUp, "{name}");
    }
}

#[test]
fn what_is_told_again_of_an_attempt_that_ended_raises_no_doubt() {
    let submitting = scene("submitting");
    let queued = happen(&submitting, &told(a(), refusal(veobatch_core::RefusalKind::RateLimited))).unwrap();
    assert_eq!(happen(&queued, &cut_off(a())), Err("knows what became of that attempt"));
    // An attempt after the first: the first one is known by its token.
    let again = Record { max_attempts: 9, ..scene("generating") };
    let queued = happen(&again, &failed()).unwrap();
    let second = Record {
        state: State::Submitting {
            attempt: veobatch_core::Attempt { token: token(2), number: 2, ..queued.last.clone().unwrap() },
        },
        ..queued
    };
    let generating = happen(&second, &told(token(2), Outcome::Accepted(task_id("second")))).unwrap();
    assert!(generating.knows(&a()) && happen(&generating, &cut_off(a())).is_err());

    let done = happen(
        &scene("downloading"),
        &Event::Saved { task: task().id, files: veobatch_core::Files::Usual(1), remark: None },
    );
    let done = done.unwrap();
    assert!(done.last.is_none() && happen(&done, &cut_off(a())).is_err(), "its own attempt");
    // A call that was paid for beside it is remembered for its callback, and moves nothing.
    let beside = happen(&done, &cut_off(b())).unwrap();
    assert_eq!((&beside.state, beside.open.len(), beside.compact()), (&done.state, 1, None));
    let stray = happen(&beside, &Event::CalledBack { token: b(), task: Some(task_id("late")) }).unwrap();
    assert_eq!((stray.strays.len(), stray.open.len()), (1, 0));
    // A compact record has forgotten its attempts: what is told of them cannot be told from the unknown.
    let compact = Record::load(done.compact().as_deref(), None, &veobatch_core::Spec::default()).unwrap();
    assert!(happen(&compact, &cut_off(a())).is_err() && happen(&compact, &cut_off(b())).is_err());
}

#[test]
fn an_attempt_that_was_called_back_is_not_ended_by_a_word_that_it_was_not_sent() {
    let both = happen(&scene("generating"), &cut_off(b())).unwrap();
    let called = happen(&both, &Event::CalledBack { token: b(), task: None }).unwrap();
    assert!(happen(&called, &not_sent(b())).is_err());
    let doubtful = happen(&called, &failed()).unwrap();
    assert!(matches!(&doubtful.state, State::InDoubt { called: Some(_), .. }), "{:?}", doubtful.state);
    assert!(happen(&doubtful, &not_sent(b())).is_err());
}

/// What comes late for a task that failed is not taken for the job's video again, nor kept beside it.
#[test]
fn a_task_that_failed_is_known_as_such_while_its_job_waits_to_be_paid_for_again() {
    let again = happen(&Record { max_attempts: 2, ..scene("generating") }, &failed()).unwrap();
    let retried = happen(&scene("failed: generation"), &Event::Retry).unwrap();
    let doubtful = happen(&scene("failed: generation"), &cut_off(b())).unwrap();
    let resubmitted = happen(&doubtful, &Event::Resolve(Verdict::Resubmit)).unwrap();
    for queued in [again, retried, resubmitted] {
        assert_eq!(queued.state.name(), StateName::Queued);
        let late = happen(&queued, &told(a(), Outcome::Accepted(task().id)));
        assert_eq!(late, Err("knows that task already"));
    }
}
