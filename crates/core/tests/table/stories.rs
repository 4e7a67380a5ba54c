//! Which bad stories can the table tell? Random lives of a job, with a service that is asked for the bill.
//!
//! The only randomness is in the order and the content of what happens; the ledger is reduced to its rule that a claim
//! of a submission takes only a queued job and brings a fresh token.

use std::time::Duration;

use proptest::prelude::*;
use veobatch_core::{
    After, Attempt, Called, Context, Credits, Event, Intent, Lane, Outcome, Progress, Record, Spec, State, StateName,
    Step, StrayState, TaskFailure, TaskId, TaskMatch, Timestamp, Token, Verdict, WorkPolicy, after, doubted, plan,
};

use crate::scenes::{NOW, attempt, events, policy, records, task_id, token};
use crate::strays::stray_events;

/// What every claim sets aside.
const PRICE: Credits = Credits::whole(60);

/// One step of a random life.
#[derive(Clone, Debug)]
enum Act {
    /// The submit lane claims it; the service accepts or not, and the answer arrives or not.
    Submit { accepts: bool, answered: bool, crash_before_sending: bool },
    /// The answer of an earlier attempt turns up (a journal).
    LateAnswer(usize),
    /// The service calls back for an attempt that it accepted.
    CallBack(usize),
    /// The task that a callback named is looked up.
    Compare,
    /// A poll tells the truth about the present task.
    Poll { fails: bool },
    /// Something is learned about a stray.
    Stray(usize),
    /// The ledger goes back in time, so many changes; journals are told again, from this one on, before anything is granted.
    Rewind { back: usize, first: usize },
    /// One of the journals is told.
    Tell,
    /// Any event of the table, about whatever task the job has now.
    Any(usize),
}

/// The service's side, what the workers' journals say, and what a person ordered.
#[derive(Default)]
struct World {
    accepted: Vec<(Token, TaskId)>,
    declared_failed: Vec<TaskId>,
    told: Vec<TaskId>,
    /// The attempts that a person, or a policy, ordered another payment beside.
    ordered: Vec<Token>,
    /// How each attempt ended, as its worker wrote it down.
    journal: Vec<(Token, Outcome)>,
    /// What the ledger, which went back in time, must still be told.
    untold: Vec<(Token, Outcome)>,
    past: Vec<Record>,
    has_gone_back: bool,
    tokens: u128,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(accepts, answered, crash_before_sending)| Act::Submit { accepts, answered, crash_before_sending }),
        2 => (0_usize..8).prop_map(Act::LateAnswer),
        2 => (0_usize..8).prop_map(Act::CallBack),
        2 => Just(Act::Compare),
        3 => any::<bool>().prop_map(|fails| Act::Poll { fails }),
        2 => (0..stray_events(&task_id("x")).len()).prop_map(Act::Stray),
        1 => (0_usize..12, 0_usize..8).prop_map(|(back, first)| Act::Rewind { back, first }),
        2 => Just(Act::Tell),
        6 => (0..events().len()).prop_map(Act::Any),
    ]
}

fn apply(record: &mut Record, event: &Event, now: u64) -> bool {
    let context = Context { now: Timestamp::from_millis(now), jitter: 0.5, policy: &policy() };
    match after(record, event, &context) {
        After::Moved(next) => {
            *record = *next;
            true
        }
        After::Same(_) => false,
    }
}

impl World {
    /// A claim, the intent, the call, and perhaps its answer.
    fn submit(&mut self, record: &mut Record, accepts: bool, answered: bool, crash: bool, now: u64) {
        // Nothing is granted until every journal was told; who was cut off in between is found by the follow lane.
        while !self.untold.is_empty() {
            self.tell(record, now);
        }
        if record.state.name() == StateName::Submitting {
            apply(record, &Event::Orphaned, now);
        }
        if record.state.name() != StateName::Queued {
            return;
        }
        self.tokens += 1;
        let token = token(1000 + self.tokens);
        let credits = record.credits + PRICE;
        let intent = Intent { token: token.clone(), at: Timestamp::from_millis(now), credits };
        let body = record.body();
        *record = Record::load(Some(&body), Some(intent), &Spec::default()).unwrap();
        assert!(matches!(plan(record, Lane::Submit, Some(&token)), Step::Submit(_)));
        assert_eq!(plan(record, Lane::Follow, None), Step::Orphan, "nobody else may make the call");
        self.past.push(record.clone());
        if crash {
            self.journal.push((token, Outcome::NotSent("its worker stopped before anything was sent".into())));
            apply(record, &Event::Orphaned, now);
            return;
        }
        self.must_be_allowed();
        let outcome = if accepts {
            let task = task_id(&format!("made-{}", self.tokens));
            self.accepted.push((token.clone(), task.clone()));
            Outcome::Accepted(task)
        } else {
            crate::scenes::refusal(veobatch_core::RefusalKind::RateLimited)
        };
        let outcome = if answered { outcome } else { Outcome::Unknown("lost".into()) };
        self.journal.push((token.clone(), outcome.clone()));
        assert!(self.bring(record, token, outcome, now));
    }

    fn bring(&mut self, record: &mut Record, token: Token, outcome: Outcome, now: u64) -> bool {
        if let Outcome::Accepted(task) = &outcome {
            self.told.push(task.clone());
        }
        apply(record, &Event::Submission { token, outcome }, now)
    }

    /// The paid call may be made: every earlier task was declared failed by the service; or a person ordered another payment
    /// beside the attempt that made it, and the job has not been told since of the task that it made.
    fn must_be_allowed(&self) {
        let is_settled = |token, task| {
            self.declared_failed.contains(task) || self.ordered.contains(token) && !self.told.contains(task)
        };
        let open = self.accepted.iter().find(|(token, task)| !is_settled(token, task));
        assert!(open.is_none(), "a second payment while {open:?} may still be made");
    }

    /// The ledger forgets its last changes, and with them what it was told.
    fn go_back(&mut self, record: &mut Record, back: usize, first: usize) {
        self.past.truncate(self.past.len().saturating_sub(back).max(1));
        let Some(past) = self.past.last() else { return };
        *record = past.clone();
        self.has_gone_back = true;
        self.told.clear();
        self.untold = self.journal.clone();
        let first = first % self.untold.len().max(1);
        self.untold.rotate_left(first);
        // What the service declared must be learned anew, or is known from what was kept.
        self.told.extend(self.accepted.iter().map(|(_, task)| task.clone()).filter(|task| is_known(record, task)));
    }

    fn tell(&mut self, record: &mut Record, now: u64) {
        if let Some((token, outcome)) = self.untold.pop() {
            self.bring(record, token, outcome, now);
        }
    }

    fn poll(&mut self, record: &mut Record, fails: bool, now: u64) {
        let State::Generating { task, .. } = &record.state else { return };
        let task = task.id.clone();
        let progress = if fails {
            self.declared_failed.push(task.clone());
            Progress::Failed(TaskFailure { code: Some(501), message: "no".into(), policy: false })
        } else {
            Progress::Running
        };
        apply(record, &Event::Polled { task, progress }, now);
    }

    fn late_answer(&mut self, record: &mut Record, n: usize, now: u64) {
        if let Some((token, task)) = self.accepted.get(n).cloned() {
            self.bring(record, token, Outcome::Accepted(task), now);
        }
    }

    fn call_back(&mut self, record: &mut Record, n: usize, now: u64) {
        if let Some((token, task)) = self.accepted.get(n).cloned() {
            let before = record.state.name();
            if record.knows(&token) {
                self.told.push(task.clone());
                apply(record, &Event::CalledBack { token, task: Some(task) }, now);
            }
            assert!(before != StateName::InDoubt || record.state.name() == before, "taken before it was compared");
        }
    }

    fn compare(&mut self, record: &mut Record, now: u64) {
        if let Some((token, task)) = compared(record) {
            assert!(self.accepted.contains(&(token.clone(), task.clone())), "nobody made {task}");
            apply(record, &Event::Compared { token, task, found: TaskMatch::Ours }, now);
        }
    }

    /// Any event, re-addressed to the job's present task and last token so that it has an effect.
    fn any(&mut self, record: &mut Record, n: usize, now: u64) {
        let Some((_, event)) = events().into_iter().nth(n) else { return };
        let Some(event) = self.addressed(record, event) else { return };
        let pays_again = matches!(event, Event::Resolve(Verdict::Resubmit) | Event::Presumed { .. });
        let about = doubted(record).cloned().or_else(|| record.last.as_ref().map(|last| last.token.clone()));
        if apply(record, &event, now) && pays_again {
            self.ordered.extend(about);
        }
    }

    fn addressed(&mut self, record: &Record, event: Event) -> Option<Event> {
        let id = record.task().map_or_else(|| task_id("nobody"), |task| task.id.clone());
        Some(match event {
            // What the service says of a submission is told by `submit` and `late_answer` only: it must be true.
            // Adopting a task that nobody made is a person's mistake, which `resolve` checks against the service.
            Event::Submission { .. } | Event::CalledBack { .. } | Event::Resolve(Verdict::Adopt(_)) => {
                return None;
            }
            Event::Compared { found: TaskMatch::Ours | TaskMatch::Another(_), .. } => return None,
            Event::Compared { found, .. } => {
                let (token, task) = compared(record)?;
                Event::Compared { token, task, found }
            }
            Event::Presumed { because, .. } => Event::Presumed { token: doubted(record)?.clone(), because },
            Event::BalanceRead { balances, .. } => Event::BalanceRead { token: doubted(record)?.clone(), balances },
            Event::Polled { progress, .. } => {
                if matches!(progress, Progress::Failed(_)) && record.state.name() == StateName::Generating {
                    self.declared_failed.push(id.clone());
                }
                Event::Polled { task: id, progress }
            }
            Event::Upgraded { to, upgrade, .. } => Event::Upgraded { task: id, to, upgrade },
            Event::Relinked { urls, .. } => Event::Relinked { task: id, urls },
            Event::Saved { files, remark, .. } => Event::Saved { task: id, files, remark },
            Event::NotSaved { why, .. } => Event::NotSaved { task: id, why },
            other @ (Event::Orphaned
            | Event::Stuck { .. }
            | Event::Cancel
            | Event::Retry
            | Event::Prioritize(_)
            | Event::Restated(_)
            | Event::Resolve(_)) => other,
        })
    }

    /// Every task that the record was told of is still known to it.
    fn must_be_remembered(&self, record: &Record) {
        for task in &self.told {
            let known = is_known(record, task) || self.declared_failed.contains(task);
            assert!(known, "task {task} was paid for and is forgotten in {:?}", record.state);
        }
    }

    /// What was spent is never less than what the service was asked to make, and not more than for what was asked.
    fn must_be_counted(&self, record: &Record) {
        if self.has_gone_back {
            return; // Prices are forgotten with the claims that they were set aside in.
        }
        let spent = record.credits;
        assert!(spent >= PRICE.times(self.accepted.len() as u64), "{spent} for {:?}", self.accepted);
        assert!(spent <= PRICE.times(u64::try_from(self.tokens).unwrap()), "{spent} in {} attempts", self.tokens);
    }
}

fn is_known(record: &Record, task: &TaskId) -> bool {
    let failed_before = if let State::InDoubt { failed: Some(failed), .. } = &record.state {
        failed.task.as_ref().map(|task| task.id.clone())
    } else {
        None
    };
    record.task().is_some_and(|present| present.id == *task)
        || record.failed_task.as_ref() == Some(task)
        || failed_before.as_ref() == Some(task)
        || record.strays.iter().any(|stray| stray.task == *task)
        || compared(record).is_some_and(|(_, named)| named == *task)
}

/// Something becomes of the last stray; its job does not notice. Returns its task if the service said that nothing will come
/// of it.
fn about_a_stray(record: &mut Record, n: usize, now: u64) -> Option<TaskId> {
    let task = record.strays.last()?.task.clone();
    let (_, event) = stray_events(&task).into_iter().nth(n)?;
    let (state, attempts) = (record.state.clone(), record.attempts);
    apply(record, &event, now);
    assert_eq!((&record.state, record.attempts), (&state, attempts));
    record.stray(&task).filter(|stray| matches!(stray.fate, StrayState::Gone(_))).map(|_| task)
}

/// The task that a callback named for the attempt in doubt, and that is still to be compared.
fn compared(record: &Record) -> Option<(Token, TaskId)> {
    let State::InDoubt { attempt, called: Some(Called { task, comparison: Some(_) }), .. } = &record.state else {
        return None;
    };
    Some((attempt.token.clone(), task.clone()?))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_life_pays_twice_or_forgets_a_paid_task(acts in prop::collection::vec(act(), 1..40), max in 1_u32..4) {
        let policy = WorkPolicy { max_attempts: max, ..WorkPolicy::default() };
        let spec = Spec { prompt: "a cat".into(), policy, ..Spec::default() };
        let mut record = Record::fresh(&spec);
        let mut world = World::default();
        for (n, act) in acts.into_iter().enumerate() {
            let now = 1_800_000_000_000 + 60_000 * n as u64;
            let was = record.state.name();
            let act_was = act.clone();
            let saving = matches!(act, Act::Any(n) if matches!(events().get(n), Some((_, Event::Saved { .. }))));
            match act {
                Act::Submit { accepts, answered, crash_before_sending } => {
                    world.submit(&mut record, accepts, answered, crash_before_sending, now);
                }
                Act::LateAnswer(n) => world.late_answer(&mut record, n, now),
                Act::CallBack(n) => world.call_back(&mut record, n, now),
                Act::Compare => world.compare(&mut record, now),
                Act::Poll { fails } => world.poll(&mut record, fails, now),
                Act::Stray(n) => world.declared_failed.extend(about_a_stray(&mut record, n, now)),
                Act::Rewind { back, first } => world.go_back(&mut record, back, first),
                Act::Tell => world.tell(&mut record, now),
                Act::Any(n) => world.any(&mut record, n, now),
            }
            world.past.push(record.clone());
            let has_gone_back = matches!(act_was, Act::Rewind { .. });
            if !has_gone_back && record.state.name() == StateName::Done && was != StateName::Done {
                prop_assert!(saving && was == StateName::Downloading, "done without a saved file");
            }
            world.must_be_remembered(&record);
            world.must_be_counted(&record);
        }
    }

    #[test]
    fn an_event_told_twice_has_the_effect_of_one(first in 0..events().len(), state in 0..records().len()) {
        let (_, mut record) = records().swap_remove(state);
        let (name, event) = events().swap_remove(first);
        // Counting events are deliveries of their own; the others must be idempotent.
        let evidence = matches!(
            event,
            Event::Submission { .. } | Event::CalledBack { .. } | Event::Saved { .. } | Event::Presumed { .. }
        );
        if evidence && apply(&mut record, &event, 1_800_000_000_000) {
            let once = record.clone();
            apply(&mut record, &event, 1_800_000_000_001);
            prop_assert_eq!(once, record, "{}", name);
        }
    }
}

/// An outage or a night without a process must not drop a larger version that was paid for when it was first asked for,
/// nor count as evidence that a task is gone.
#[test]
fn nothing_paid_is_given_up_because_of_trouble() {
    let scene = |name: &str| records().into_iter().find(|(known, _)| *known == name).unwrap().1;
    let event = |name: &str| events().into_iter().find(|(known, _)| *known == name).unwrap().1;
    let minutes = |minutes: u64| (NOW + Duration::from_secs(60 * minutes)).as_millis();

    let mut upscaling = scene("upscaling");
    for minute in 0..60 {
        assert!(apply(&mut upscaling, &event("upgrade trouble"), minutes(minute)));
    }
    assert!(apply(&mut upscaling, &event("upgrade waiting"), minutes(8 * 60)));
    assert_eq!(upscaling.state.name(), StateName::Upscaling);
    let answers = (0..100).take_while(|n| {
        apply(&mut upscaling, &event("upgrade waiting"), minutes(8 * 60 + n));
        upscaling.state.name() == StateName::Upscaling
    });
    assert!((10..100).contains(&answers.count()));
    let mut upscaling = scene("upscaling");
    assert!(apply(&mut upscaling, &event("upgrade trouble"), minutes(13 * 60)));
    assert_eq!(upscaling.state.name(), StateName::Downloading);

    let mut generating = scene("generating");
    for minute in 0..60 {
        assert!(apply(&mut generating, &event("poll trouble"), minutes(minute)));
    }
    assert!(apply(&mut generating, &event("task missing"), minutes(61)));
    assert_eq!(generating.state.name(), StateName::Generating);
}

/// A journal is told again after the ledger may have gone back in time, and a stopped worker tells what it knows late.
#[test]
fn a_settled_doubt_is_not_raised_again_but_its_task_is_kept() {
    let scene = |name: &str| records().into_iter().find(|(known, _)| *known == name).unwrap().1;
    let told = |bits, outcome| Event::Submission { token: token(bits), outcome };
    let unknown = |bits| told(bits, Outcome::Unknown("its worker was cut off".into()));
    let accepted = |bits| told(bits, Outcome::Accepted(task_id("late")));
    let now = NOW.as_millis();

    // Resubmitted by a person; then the next attempt's task failed, and a third attempt is due.
    let next = Attempt { token: token(2), number: 2, ..attempt() };
    let mut queued = scene("in_doubt");
    assert!(apply(&mut queued, &Event::Resolve(Verdict::Resubmit), now));
    queued = Record { last: Some(next), attempts: 2, failed_task: Some(task_id("failed")), ..queued };

    assert!(!apply(&mut queued, &unknown(1), now), "settled already: {:?}", queued.state);
    let mut forgotten = queued.clone();
    assert!(apply(&mut forgotten, &unknown(7), now), "nothing knows of that attempt");
    assert_eq!(forgotten.state.name(), StateName::InDoubt);

    // Cancelled, after the ledger had forgotten that it was being paid for: the video is looked for all the same.
    let mut cancelled = scene("cancelled");
    assert!(apply(&mut cancelled, &unknown(7), now));
    assert_eq!((cancelled.state.name(), cancelled.cancelled), (StateName::InDoubt, true));
    assert!(apply(&mut cancelled, &accepted(7), now));
    assert_eq!(cancelled.task().map(|task| task.id.clone()), Some(task_id("late")));

    let mut adopted = queued.clone();
    assert!(apply(&mut adopted, &accepted(1), now));
    assert_eq!(adopted.task().map(|task| task.id.clone()), Some(task_id("late")), "nothing is paid for again");

    let mut busy = scene("generating");
    busy.earlier = queued.earlier;
    busy.last = Some(Attempt { token: token(2), ..attempt() });
    assert!(!apply(&mut busy, &unknown(1), now));
    assert!(apply(&mut busy, &accepted(1), now));
    assert_eq!(busy.strays.iter().map(|stray| stray.task.clone()).collect::<Vec<_>>(), [task_id("late")]);

    // Kept, and of no use: the job is queued again, and the journal that has no answer is told once more.
    let mut in_vain = busy.clone();
    for stray in &mut in_vain.strays {
        stray.fate = StrayState::Gone("failed".to_owned());
    }
    in_vain.earlier.clear();
    in_vain.state = State::Queued { due: None };
    assert!(!apply(&mut in_vain, &unknown(1), now), "its answer is known: {:?}", in_vain.state);
}
