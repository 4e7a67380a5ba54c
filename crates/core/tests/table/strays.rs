//! Tasks beside the job's own: every fate times every event, and that nothing of it moves the job.

use std::fmt::Write as _;
use std::time::Duration;

use veobatch_core::{
    After, Context, Event, Files, Lane, Outcome, Presumption, Progress, Record, Refusal, RefusalKind, SaveError, State,
    StateName, Step, Stray, StrayState, Task, TaskFailure, TaskId, Timestamp, Token, Trouble, TroubleKind, Unpayable,
    after, payable, plan,
};

use crate::scenes::{NOW, events, policy, records, task, task_id, token};

fn stray_id() -> TaskId {
    task_id("stray-1")
}

fn stray(fate: StrayState) -> Stray {
    Stray { fate, ..Stray::new(stray_id(), token(7), NOW) }
}

fn made(stale: bool) -> StrayState {
    StrayState::Made { urls: vec!["https://files.example/s.mp4".to_owned()], stale, tries: 0, due: NOW }
}

fn fates() -> Vec<(&'static str, StrayState)> {
    vec![
        ("awaited", StrayState::Awaited { misses: 0, due: NOW }),
        ("awaited in vain", StrayState::Awaited { misses: 7, due: NOW }),
        ("made", made(false)),
        ("made, stale", made(true)),
        ("saved", StrayState::Saved(Files::Named(vec!["b/j.stray-s.mp4".to_owned()]))),
        ("gone", StrayState::Gone("failed".to_owned())),
    ]
}

/// Every event about the stray.
pub(crate) fn stray_events(task: &TaskId) -> Vec<(&'static str, Event)> {
    let polled = |progress| Event::Polled { task: task.clone(), progress };
    let not_saved = |why| Event::NotSaved { task: task.clone(), why };
    let trouble = Trouble { kind: TroubleKind::Transport, message: "reset".into(), retry_after: None };
    let failure = TaskFailure { code: Some(501), message: "no".into(), policy: false };
    let urls = || vec!["https://files.example/t.mp4".to_owned()];
    vec![
        ("running", polled(Progress::Running)),
        ("made", polled(Progress::Made { urls: urls(), resolution: None })),
        ("failed", polled(Progress::Failed(failure))),
        ("no output", polled(Progress::NoOutput)),
        ("missing", polled(Progress::Missing("null".into()))),
        ("trouble", polled(Progress::Trouble(trouble))),
        ("relinked", Event::Relinked { task: task.clone(), urls: urls() }),
        ("saved", Event::Saved { task: task.clone(), files: Files::Usual(1), remark: None }),
        ("link dead", not_saved(SaveError::Link("403".into()))),
        ("transfer cut", not_saved(SaveError::Transfer("reset".into()))),
        ("not a video", not_saved(SaveError::Content("html".into()))),
        ("disk full", not_saved(SaveError::Disk("full".into()))),
    ]
}

fn with(record: &Record, fate: StrayState) -> Record {
    Record { strays: vec![stray(fate)], ..record.clone() }
}

fn done() -> Record {
    records().into_iter().find(|(name, _)| *name == "done").unwrap().1
}

fn happen(record: &Record, event: &Event, now: Timestamp) -> Option<Record> {
    match after(record, event, &Context { now, jitter: 0.5, policy: &policy() }) {
        After::Moved(next) => Some(*next),
        After::Same(_) => None,
    }
}

fn word(fate: &StrayState) -> &'static str {
    match fate {
        StrayState::Awaited { .. } => "awaited",
        StrayState::Made { stale: true, .. } => "made, stale",
        StrayState::Made { .. } => "made",
        StrayState::Saved(_) => "saved",
        StrayState::Gone(_) => "gone",
    }
}

#[test]
fn the_table_of_strays_is_what_is_written_down() {
    let mut table = String::new();
    for (name, fate) in fates() {
        for (when, late) in [("", Duration::from_secs(3600)), (" after 15 days", Duration::from_secs(15 * 86_400))] {
            writeln!(table, "{name}{when}").unwrap();
            for (event, happens) in stray_events(&stray_id()) {
                if let Some(next) = happen(&with(&done(), fate.clone()), &happens, NOW + late) {
                    writeln!(table, "    {event:<14} {}", word(&next.strays[0].fate)).unwrap();
                }
            }
        }
    }
    assert_eq!(table, include_str!("strays.txt"), "the whole table is now:\n{table}");
}

#[test]
fn nothing_that_becomes_of_a_stray_moves_its_job_or_pays() {
    for (name, record) in records() {
        for (_, fate) in fates() {
            let before = with(&record, fate);
            if payable(&before) != payable(&record) {
                continue; // No event leaves a job queued beside a task that was paid for.
            }
            for (event, happens) in stray_events(&stray_id()) {
                let Some(next) = happen(&before, &happens, NOW) else { continue };
                let untouched = Record { strays: next.strays.clone(), history: next.history.clone(), ..before.clone() };
                assert_eq!(next, untouched, "{name}: {event}");
                assert_eq!(next.facets().state, before.facets().state);
                for lane in [Lane::Submit, Lane::Follow, Lane::Save] {
                    assert!(!matches!(plan(&next, lane, None), Step::Submit(_)), "{name}: {event}");
                }
            }
        }
    }
}

/// What is told of a job that it would be queued for, and paid for once more.
fn asks_for_another_attempt(record: &Record) -> Vec<Event> {
    let told = |token: &Token, outcome| Event::Submission { token: token.clone(), outcome };
    match &record.state {
        State::Submitting { attempt } | State::InDoubt { attempt, .. } => {
            let busy = Refusal { kind: RefusalKind::Busy, code: 455, message: "no".into(), retry_after: None };
            vec![
                told(&attempt.token, Outcome::NotSent("refused".into())),
                told(&attempt.token, Outcome::Refused(busy)),
                Event::Presumed { token: attempt.token.clone(), because: Presumption::Preferred },
            ]
        }
        State::Generating { task, .. } => {
            let failure = TaskFailure { code: Some(501), message: "no".into(), policy: false };
            vec![Event::Polled { task: task.id.clone(), progress: Progress::Failed(failure) }]
        }
        State::Queued { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::Failed { .. }
        | State::Cancelled => Vec::new(),
    }
}

#[test]
fn a_task_that_was_paid_for_takes_the_place_of_another_attempt() {
    let mut queued = 0;
    for (name, record) in records() {
        let record = Record { max_attempts: 9, cancelled: false, open: Vec::new(), ..record };
        for event in asks_for_another_attempt(&record) {
            let is_queued =
                |next: &Option<Record>| next.as_ref().is_some_and(|next| next.state.name() == StateName::Queued);
            queued += u32::from(is_queued(&happen(&record, &event, NOW)));
            for (fate, expected) in [
                (StrayState::default(), StateName::Generating),
                (made(false), StateName::Generating),
                (StrayState::Saved(Files::Usual(1)), StateName::Done),
                (StrayState::Gone("failed".to_owned()), StateName::Queued),
            ] {
                let was = happen(&record, &event, NOW);
                let next = happen(&with(&record, fate), &event, NOW);
                let is_presumed = matches!(event, Event::Presumed { .. }) && expected != StateName::Queued;
                if !is_queued(&was) {
                    assert_eq!(
                        next.map(|next| next.state.name()),
                        was.map(|was| was.state.name()),
                        "{name}: {event:?}"
                    );
                } else if is_presumed {
                    assert_eq!(next, None, "{name}: {event:?}");
                } else {
                    let next = next.unwrap();
                    assert_eq!(next.state.name(), expected, "{name}: {event:?}");
                    if expected != StateName::Queued {
                        assert!(
                            next.task().is_some_and(|task| task.id == stray_id()) && next.knows(&token(7)),
                            "{name}"
                        );
                    }
                }
            }
        }
    }
    assert!(queued > 3, "{queued}");
}

/// No job is queued beside a task that was paid for; none rests, or is queued, while an attempt may have been paid for.
#[test]
fn nothing_is_left_payable_beside_what_was_or_may_have_been_paid_for() {
    let mut moved = 0;
    for (name, record) in records() {
        for stray in std::iter::once(None).chain(fates().into_iter().map(Some)) {
            let record = match stray {
                Some((_, fate)) => with(&record, fate),
                None => record.clone(),
            };
            for (event, happens) in events().into_iter().chain(stray_events(&stray_id())) {
                let Some(next) = happen(&record, &happens, NOW) else { continue };
                moved += 1;
                let is_at_rest = matches!(next.state, State::Queued { .. } | State::Failed { .. } | State::Cancelled);
                assert!(!is_at_rest || next.open.is_empty(), "{name}: {event} leaves {:?}", next.open);
                let is_queued = matches!(next.state, State::Queued { .. });
                assert!(!is_queued || payable(&next).is_ok(), "{name}: {event} queues it: {:?}", payable(&next));
            }
        }
    }
    assert!(moved > 1000, "{moved}");
}

/// What an earlier version left queued beside a paid task, and what became known between a claim and its call.
#[test]
fn a_claim_beside_a_paid_task_or_an_open_attempt_makes_no_call() {
    let submitting = records().into_iter().find(|(name, _)| *name == "submitting").unwrap().1;
    assert!(matches!(plan(&submitting, Lane::Submit, Some(&token(1))), Step::Submit(_)));
    let open = records().into_iter().find(|(name, _)| *name == "submitting, another open").unwrap().1;
    for record in [with(&submitting, StrayState::default()), with(&submitting, made(false)), open] {
        assert_eq!(plan(&record, Lane::Submit, Some(&token(1))), Step::Withdraw);
        let not_sent = Event::Submission { token: token(1), outcome: Outcome::NotSent("withdrawn".into()) };
        let next = happen(&record, &not_sent, NOW).unwrap();
        assert_ne!(next.state.name(), StateName::Queued);
    }
    let gone = with(&submitting, StrayState::Gone("failed".into()));
    assert!(matches!(plan(&gone, Lane::Submit, Some(&token(1))), Step::Submit(_)));
}

#[test]
fn what_may_be_paid_for_is_told_for_every_state() {
    let told = |name: &str| payable(&records().into_iter().find(|(known, _)| *known == name).unwrap().1);
    for name in ["queued", "queued, 1 failed", "failed: refused", "failed: policy", "failed: generation", "cancelled"] {
        assert_eq!(told(name), Ok(()), "{name}");
    }
    for name in ["submitting", "in_doubt", "in_doubt, failed before", "failed: given up"] {
        assert_eq!(told(name), Err(Unpayable::InDoubt), "{name}");
    }
    for name in ["generating", "upscaling", "downloading", "failed: no output", "failed: lost"] {
        assert_eq!(told(name), Err(Unpayable::HasTask(task().id)), "{name}");
    }
    assert_eq!(told("done"), Err(Unpayable::Done));
    let failed = records().into_iter().find(|(name, _)| *name == "failed: generation").unwrap().1;
    assert_eq!(payable(&with(&failed, made(false))), Err(Unpayable::HasTask(stray_id())));
}

#[test]
fn a_stray_waits_for_its_job_and_is_then_due_in_the_lane_of_its_next_step() {
    for (name, record) in records() {
        let own = record.facets().due;
        let is_settled = matches!(
            record.state.name(),
            StateName::Done | StateName::Failed | StateName::InDoubt | StateName::Cancelled
        );
        for (_, fate) in fates() {
            let record = with(&record, fate);
            let due = record.facets().due;
            let expected = if is_settled && own.is_none() { record.strays[0].due() } else { own };
            assert_eq!(due, expected, "{name}");
            let Some((lane, _)) = due.filter(|_| due != own) else { continue };
            let step = plan(&record, lane, None);
            let about =
                matches!(&step, Step::Poll(task) | Step::Relink(task) | Step::Save(task, _) if task.id == stray_id());
            assert!(about, "{name}: {step:?}");
        }
    }
}

#[test]
fn of_several_strays_the_one_that_is_due_first_is_looked_after_and_a_parked_one_lets_the_others_pass() {
    let other = Stray { fate: made(false), ..Stray::new(task_id("stray-2"), token(8), NOW) };
    let late = stray(StrayState::Awaited { misses: 0, due: NOW + Duration::from_secs(1) });
    let record = Record { strays: vec![late, other], ..done() };
    assert!(matches!(plan(&record, Lane::Save, None), Step::Save(task, _) if task.id == task_id("stray-2")));
    assert_eq!(plan(&record, Lane::Follow, None), Step::Nothing);
    let parked = happen(&record, &Event::Stuck { why: "panic".into(), deliveries: 1 }, NOW).unwrap();
    assert!(matches!(plan(&parked, Lane::Follow, None), Step::Poll(task) if task.id == stray_id()));
    assert_eq!(parked.state, record.state);
}

#[test]
fn a_stray_that_became_the_jobs_own_task_is_looked_after_as_such() {
    let own = State::Done { task: Task { id: stray_id(), ..task() }, files: Files::Usual(1) };
    let record = with(&Record { state: own, ..done() }, StrayState::Awaited { misses: 0, due: NOW });
    assert_eq!(record.facets().due, None);
}

#[test]
fn a_stray_of_an_older_ledger_is_looked_after_at_once() {
    let body = String::from_utf8(with(&done(), StrayState::default()).body()).unwrap();
    assert!(body.contains(r#""x":[{"i":"stray-1","t":""#) && !body.contains(r#""f":"#), "{body}");
    let read = Record::load(Some(body.as_bytes()), None, &veobatch_core::Spec::default()).unwrap();
    assert_eq!(read.facets().due, Some((Lane::Follow, Timestamp::default())));
}
