//! One record for each state that differs, and one event of each kind, all about the same job.

use std::time::Duration;

use veobatch_core::{
    Attempt, Balances, Called, Comparison, Credits, Event, Failed, Failure, FailureKind, Files, OpenAttempt, Outcome,
    PollPolicy, Presumption, Progress, Reading, Record, Refusal, RefusalKind, Resolution, Restated, SaveError, Spec,
    State, Task, TaskFailure, TaskId, TaskMatch, Timestamp, Token, Trouble, TroubleKind, Upgrade, Verdict, WorkPolicy,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn policy() -> PollPolicy {
    PollPolicy::default()
}

pub(crate) fn task_id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

pub(crate) fn token(bits: u128) -> Token {
    Token::of_attempt(bits << 8, true)
}

pub(crate) fn attempt() -> Attempt {
    Attempt { token: token(1), number: 1, at: NOW, price: Credits::default() }
}

pub(crate) fn task() -> Task {
    Task { id: task_id("task-1"), attempt: 1, at: NOW }
}

fn sent(state: State) -> Record {
    let policy = WorkPolicy { max_attempts: 2, ..WorkPolicy::default() };
    let spec = Spec { prompt: "a cat".into(), resolution: Resolution::P1080, policy, ..Spec::default() };
    Record { state, attempts: 1, last: Some(attempt()), ..Record::fresh(&spec) }
}

fn failed(kind: FailureKind, task: Option<Task>) -> Record {
    sent(State::Failed { failure: Failure { kind, message: "no".into() }, task })
}

fn doubted(called: Option<Called>) -> Record {
    sent(State::InDoubt { attempt: attempt(), why: "lost".into(), called, balances: None, failed: None })
}

/// The attempt of token 7, of which a journal told after the ledger had forgotten it.
fn open(called: bool) -> OpenAttempt {
    let attempt = Attempt { token: token(7), number: 2, at: NOW, price: Credits::default() };
    OpenAttempt { attempt, why: "its worker was cut off".into(), called }
}

/// Its task had failed when it came to be in doubt about another attempt.
fn failed_before() -> Record {
    let failure = Failure { kind: FailureKind::Generation, message: "no".into() };
    let earlier = Task { id: task_id("task-0"), attempt: 1, at: NOW };
    let failed = Some(Box::new(Failed { failure, task: Some(earlier) }));
    let state = State::InDoubt { attempt: attempt(), why: "lost".into(), called: None, balances: None, failed };
    Record { attempts: 2, ..sent(state) }
}

fn balances() -> Balances {
    let reading = |credits| Some(Reading { credits: Credits::whole(credits), at: NOW });
    Balances { before: reading(100), after: reading(40), others: 1 }
}

fn called(due: Option<Timestamp>) -> Called {
    let comparison = due.map(|due| Comparison { since: NOW, misses: 0, due });
    Called { task: Some(task().id), comparison }
}

/// Every state in which the table may decide differently.
pub(crate) fn records() -> Vec<(&'static str, Record)> {
    let fresh = Record { attempts: 0, last: None, ..sent(State::Queued { due: None }) };
    let submitting =
        Record { state: State::Submitting { attempt: attempt() }, attempts: 0, last: None, ..fresh.clone() };
    let generating = sent(State::Generating { task: task(), polls: 1, misses: 0, due: NOW, called: false });
    let mut all = vec![
        ("queued", fresh.clone()),
        ("queued, 1 failed", Record { failed_task: Some(task().id), ..sent(State::Queued { due: Some(NOW) }) }),
        ("queued, 1 doubted", sent(State::Queued { due: None })),
        ("submitting", submitting.clone()),
        ("submitting, cancelled", Record { cancelled: true, ..submitting.clone() }),
        ("submitting, another open", Record { open: vec![open(false)], attempts: 1, ..submitting.clone() }),
        (
            "submitting 2nd",
            Record {
                state: State::Submitting {
                    attempt: Attempt { token: token(9), number: 2, at: NOW, price: Credits::default() },
                },
                failed_task: Some(task().id),
                ..sent(State::Cancelled)
            },
        ),
        ("generating", generating.clone()),
        ("generating, last try", Record { max_attempts: 1, ..generating.clone() }),
        ("generating, cancelled", Record { cancelled: true, ..generating.clone() }),
    ];
    all.extend(with_open_attempts(&generating));
    all.extend(later_records(&fresh));
    all
}

/// What an attempt that may have been paid for stands beside.
fn with_open_attempts(generating: &Record) -> [(&'static str, Record); 3] {
    let with =
        |called, max_attempts| Record { open: vec![open(called)], attempts: 2, max_attempts, ..generating.clone() };
    [
        ("generating, another open", with(false, 3)),
        ("generating, open, last try", with(false, 2)),
        ("generating, open, called", with(true, 2)),
    ]
}

/// From the video on.
fn later_records(fresh: &Record) -> Vec<(&'static str, Record)> {
    let urls = || vec!["https://files.example/a.mp4".to_owned()];
    vec![
        ("upscaling", sent(State::Upscaling { task: task(), base: urls(), since: NOW, tries: 0, due: NOW })),
        (
            "downloading",
            sent(State::Downloading {
                task: task(),
                urls: urls(),
                size: None,
                upgraded: false,
                stale: false,
                tries: 0,
                due: NOW,
            }),
        ),
        ("done", sent(State::Done { task: task(), files: Files::Usual(1) })),
        ("in_doubt", doubted(None)),
        ("in_doubt, cancelled", Record { cancelled: true, ..doubted(None) }),
        (
            "in_doubt, balance read",
            sent(State::InDoubt {
                attempt: attempt(),
                why: "lost".into(),
                called: None,
                balances: Some(balances()),
                failed: None,
            }),
        ),
        ("in_doubt, failed before", failed_before()),
        ("in_doubt, another open", Record { open: vec![open(false)], attempts: 2, ..doubted(None) }),
        ("in_doubt, called back", doubted(Some(called(Some(NOW))))),
        ("in_doubt, called in vain", doubted(Some(called(None)))),
        ("failed: refused", failed(FailureKind::Refused, None)),
        ("failed: policy", failed(FailureKind::Policy, Some(task()))),
        ("failed: generation", failed(FailureKind::Generation, Some(task()))),
        ("failed: no output", failed(FailureKind::NoOutput, Some(task()))),
        ("failed: lost", failed(FailureKind::Lost, Some(task()))),
        ("failed: given up", failed(FailureKind::GivenUp, None)),
        ("cancelled", Record { state: State::Cancelled, cancelled: true, ..fresh.clone() }),
    ]
}

pub(crate) fn refusal(kind: RefusalKind) -> Outcome {
    Outcome::Refused(Refusal { kind, code: 400, message: "no".into(), retry_after: None })
}

fn trouble() -> Trouble {
    Trouble { kind: TroubleKind::Transport, message: "reset".into(), retry_after: Some(Duration::from_secs(7)) }
}

fn failure(policy: bool) -> Progress {
    Progress::Failed(TaskFailure { code: Some(501), message: "no".into(), policy })
}

/// Every event, about token 1 and task 1.
pub(crate) fn events() -> Vec<(&'static str, Event)> {
    let told = |outcome| Event::Submission { token: token(1), outcome };
    let of_another = |outcome| Event::Submission { token: token(7), outcome };
    let polled = |progress| Event::Polled { task: task().id, progress };
    let upgraded = |upgrade| Event::Upgraded { task: task().id, to: Resolution::P1080, upgrade };
    let compared = |found| Event::Compared { token: token(1), task: task().id, found };
    let presumed = |because| Event::Presumed { token: token(1), because };
    let urls = || vec!["https://files.example/b.mp4".to_owned()];
    let not_saved = |why| Event::NotSaved { task: task().id, why };
    let mut all = vec![
        ("accepted", told(Outcome::Accepted(task().id))),
        ("accepted, another task", told(Outcome::Accepted(task_id("task-2")))),
        ("refused, another token", of_another(refusal(RefusalKind::RateLimited))),
        ("not sent, another token", of_another(Outcome::NotSent("no".into()))),
        ("called back, other nameless", Event::CalledBack { token: token(7), task: None }),
        ("accepted, another token", of_another(Outcome::Accepted(task_id("task-3")))),
        ("called back", Event::CalledBack { token: token(1), task: Some(task().id) }),
        ("called back, another", Event::CalledBack { token: token(1), task: Some(task_id("task-2")) }),
        ("called back, other token", Event::CalledBack { token: token(7), task: Some(task_id("task-3")) }),
        ("called back, nameless", Event::CalledBack { token: token(1), task: None }),
        ("compared: ours", compared(TaskMatch::Ours)),
        ("compared: another", compared(TaskMatch::Another("another prompt".into()))),
        ("compared: missing", compared(TaskMatch::Missing("null".into()))),
        ("compared: trouble", compared(TaskMatch::Trouble(trouble()))),
        ("presumed: preferred", presumed(Presumption::Preferred)),
        ("presumed: silent", presumed(Presumption::Silent(Duration::from_secs(7200)))),
        ("balance read", Event::BalanceRead { token: token(1), balances: balances() }),
        ("refused: job", told(refusal(RefusalKind::Job))),
        ("refused: rate", told(refusal(RefusalKind::RateLimited))),
        ("refused: busy", told(refusal(RefusalKind::Busy))),
        ("refused: credits", told(refusal(RefusalKind::NoCredits))),
        ("refused: key", told(refusal(RefusalKind::KeyRefused))),
        ("not sent", told(Outcome::NotSent("no route".into()))),
        ("unknown", told(Outcome::Unknown("timeout".into()))),
        ("unknown, another token", of_another(Outcome::Unknown("cut".into()))),
        ("orphaned", Event::Orphaned),
        ("running", polled(Progress::Running)),
        ("made at 720p", polled(Progress::Made { urls: urls(), resolution: Some(Resolution::P720) })),
        ("made at 1080p", polled(Progress::Made { urls: urls(), resolution: Some(Resolution::P1080) })),
        ("made, size not told", polled(Progress::Made { urls: urls(), resolution: None })),
        ("no output", polled(Progress::NoOutput)),
        ("generation failed", polled(failure(false))),
        ("policy refusal", polled(failure(true))),
        ("task missing", polled(Progress::Missing("null".into()))),
        ("poll trouble", polled(Progress::Trouble(trouble()))),
        ("upgrade ready", upgraded(Upgrade::Ready("https://files.example/hd.mp4".into()))),
        ("upgrade waiting", upgraded(Upgrade::Waiting("processing".into()))),
        ("upgrade unavailable", upgraded(Upgrade::Unavailable("never".into()))),
        ("upgrade trouble", upgraded(Upgrade::Trouble(trouble()))),
        ("upgrade not asked", upgraded(Upgrade::NotAsked(NOW))),
        ("relinked", Event::Relinked { task: task().id, urls: urls() }),
        ("saved", Event::Saved { task: task().id, files: Files::Usual(1), remark: None }),
        ("link dead", not_saved(SaveError::Link("403".into()))),
        ("transfer cut", not_saved(SaveError::Transfer("reset".into()))),
        ("not a video", not_saved(SaveError::Content("html".into()))),
        ("disk full", not_saved(SaveError::Disk("full".into()))),
        ("stuck", Event::Stuck { why: "panic".into(), deliveries: 1 }),
    ];
    all.extend(orders());
    all
}

/// What a person or a file says.
fn orders() -> Vec<(&'static str, Event)> {
    vec![
        ("cancel", Event::Cancel),
        ("retry", Event::Retry),
        ("prioritize", Event::Prioritize(7)),
        ("restated", Event::Restated(Restated { priority: Some(7), max_attempts: Some(3) })),
        ("adopt", Event::Resolve(Verdict::Adopt(task_id("task-4")))),
        ("resubmit", Event::Resolve(Verdict::Resubmit)),
        ("give up", Event::Resolve(Verdict::GiveUp)),
    ]
}
