//! Every state, and everything that may be in the way of a queued job.

use std::collections::BTreeMap;
use std::time::Duration;

use veobatch_core::{
    Attempt, BatchId, BatchSettings, Failure, FailureKind, Files, JobId, JobKey, Spec, StateName, Task, TaskId,
    TimeRange, Token,
};
use veobatch_ledger::{Daily, DailyBudget, JobRef, Note, NoteKind, Pace, Version};

use super::*;

/// 2026-11-22, 17:30:05 UTC.
const NOW: Timestamp = Timestamp::from_millis(1_795_368_605_000);
const PRICE: Credits = Credits::whole(60);

fn later(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

fn batch() -> BatchSummary {
    BatchSummary {
        batch: BatchId::parse("garden").unwrap(),
        counts: BTreeMap::new(),
        paused: false,
        paused_because: None,
        cancelling: false,
        created: NOW,
        rested: None,
        terms: BatchSettings::default(),
        credits: Credits::whole(100),
    }
}

fn account() -> Account {
    Account {
        pace: Pace::default(),
        poll_rate: 20,
        slots: veobatch_ledger::SlotUse::default(),
        allowance: 20_000,
        in_flight: 0,
        next_slot: NOW,
        gate: Gate::Open,
        recovering_until: None,
        moved_to: None,
        daily: None,
        notes: Vec::new(),
        prices: BTreeMap::from([("veo3_fast/720p".to_owned(), PRICE)]),
        now: NOW,
        calendar: NOW,
    }
}

fn stored(state: State) -> Stored {
    let spec = Spec { model: "veo3_fast".into(), ..Spec::default() };
    let record = Record { state, ..Record::fresh(&spec) };
    Stored {
        key: JobKey { batch: batch().batch, job: JobId::parse("cat").unwrap() },
        job: JobRef { batch: 0, seq: 0 },
        spec,
        compacted: false,
        record,
        version: Version(1),
        now: NOW,
        leased_until: None,
    }
}

fn waits(batch: &BatchSummary, account: &Account) -> (&'static str, String) {
    let waiting = Blocked::of(&stored(State::Queued { due: None }), batch, account).unwrap();
    (waiting.word, waiting.words)
}

fn scheduled(schedule: &str) -> BatchSummary {
    BatchSummary { terms: BatchSettings { schedule: schedule.into(), ..BatchSettings::default() }, ..batch() }
}

fn limited(budget: i64) -> BatchSummary {
    BatchSummary {
        terms: BatchSettings { budget: Some(Credits::whole(budget)), ..BatchSettings::default() },
        ..batch()
    }
}

fn a_day(spent: i64, until: Timestamp) -> Account {
    let budget = DailyBudget { credits: Credits::whole(500), zone: "Europe/Berlin".into() };
    let day = TimeRange { from: Timestamp::default(), until };
    Account { daily: Some(Daily { budget, day, spent: Credits::whole(spent) }), ..account() }
}

/// A worker said so long ago, in seconds, that it is braked.
fn noted(ago: u64) -> Account {
    let at = Timestamp::from_millis(NOW.as_millis() - 1000 * ago);
    let note = Note { kind: NoteKind::Braked, words: "its disk is nearly full".into(), at };
    Account { notes: vec![note], ..account() }
}

fn closed(no_credits: bool) -> Account {
    Account { gate: Gate::Closed { until: later(40), why: "busy (455)".into(), no_credits, closings: 1 }, ..account() }
}

#[test]
fn a_queued_job_says_the_first_thing_that_is_in_its_way() {
    let paused =
        |because: Option<&str>| BatchSummary { paused: true, paused_because: because.map(str::to_owned), ..batch() };
    let full = Account { in_flight: 100, ..account() };
    let scenes: Vec<(BatchSummary, Account, &str, &[&str])> = vec![
        (batch(), account(), "turn", &["nothing is in its way"]),
        (batch(), noted(30), "disk", &["submits nothing", "nearly full"]),
        (batch(), noted(90), "turn", &[]),
        (BatchSummary { cancelling: true, ..paused(None) }, closed(false), "cancelling", &["being cancelled"]),
        (paused(None), closed(false), "paused", &["is paused; veobatch resume garden"]),
        (paused(Some("10 jobs in a row")), account(), "paused", &["paused: 10 jobs in a row; veobatch resume garden"]),
        (scheduled("window 22:00-06:00 Europe/Berlin"), closed(false), "window", &["22 Nov, 22:00 Europe/Berlin"]),
        (scheduled("start 2026-11-24 08:00 UTC"), account(), "start", &["24 Nov, 08:00 UTC"]),
        (scheduled("window 17:00-18:00 UTC"), account(), "turn", &[]),
        (limited(159), account(), "budget", &["100 of 159 credits", "costs 60"]),
        (limited(160), account(), "turn", &[]),
        (limited(500), Account { prices: BTreeMap::new(), ..account() }, "price", &["veo3_fast/720p", "--prices"]),
        (batch(), Account { prices: BTreeMap::new(), ..account() }, "turn", &[]),
        (batch(), Account { prices: BTreeMap::new(), ..a_day(0, later(9)) }, "price", &["veo3_fast/720p"]),
        (batch(), a_day(441, later(19_795)), "daily_budget", &["23 Nov, 00:00 Europe/Berlin", "441 of 500"]),
        (batch(), a_day(440, later(9)), "turn", &[]),
        (batch(), a_day(0, NOW), "daily_budget", &["the new day"]),
        (batch(), Account { recovering_until: Some(later(80)), ..closed(false) }, "recovery", &["1 min 20 s"]),
        (batch(), Account { in_flight: 100, ..closed(false) }, "gate", &["gate is closed: busy (455)", "in 40 s"]),
        (batch(), closed(true), "gate", &["no credits left: busy (455)"]),
        (batch(), Account { next_slot: later(3), ..full }, "cap", &["100 videos are in flight"]),
        (batch(), Account { next_slot: later(3), ..account() }, "slot", &["due in 3 s"]),
    ];
    for (batch, account, word, parts) in scenes {
        let (is, words) = waits(&batch, &account);
        assert_eq!(is, word, "{words}");
        for part in parts {
            assert!(words.contains(part), "{part:?} is not in {words:?}");
        }
        assert!(!words.contains('\n'), "{words}");
    }
}

/// A key has a limit of its own, beside the account's balance.
#[test]
fn a_gate_that_is_closed_for_money_is_told_in_words_for_both_reasons() {
    for why in ["The current credits are insufficient (402)", "apiKey daily limit reached (433)"] {
        let gate = Gate::Closed { until: later(40), why: why.into(), no_credits: true, closings: 1 };
        let account = Account { gate, ..account() };
        let told = account::gate(&account).unwrap();
        assert!(told.starts_with(&format!("gate:    no credits left: {why}; next try in 40 s")), "{told}");
        assert_eq!(
            waits(&batch(), &account).1,
            format!("the key has no credits left: {why}; the next try is due in 40 s")
        );
    }
}

#[test]
fn a_template_is_copied_and_not_submitted() {
    let recurring = Schedule::parse("").unwrap();
    let cron = veobatch_core::Cron::parse("0 22 * * * UTC").unwrap().since(NOW);
    let schedule = Schedule { cron: Some(cron), ..recurring }.to_string();
    let (word, words) = waits(&scheduled(&schedule), &account());
    assert_eq!(word, "recurring");
    assert!(words.contains("22 Nov, 22:00 UTC"), "{words}");
}

#[test]
fn a_job_that_was_not_sent_waits_for_its_time_and_says_why() {
    let mut job = stored(State::Queued { due: Some(later(12)) });
    job.record.trouble = Some("not sent: no route".into());
    let waiting = Blocked::of(&job, &batch(), &account()).unwrap();
    assert_eq!(waiting.word, "time");
    assert_eq!(waiting.words, "the next try is due in 12 s; the last time: not sent: no route");
}

#[test]
fn every_state_has_its_reason_and_what_is_over_has_none() {
    let task = || Task { id: TaskId::parse("t").unwrap(), attempt: 1, at: NOW };
    let attempt = || Attempt { token: Token::from_bits(7), number: 1, at: NOW, price: PRICE };
    let urls = Vec::new;
    let named = Called { task: Some(task().id), comparison: Some(Comparison { since: NOW, misses: 0, due: later(8) }) };
    let doubt =
        |called| State::InDoubt { attempt: attempt(), why: "lost".into(), called, balances: None, failed: None };
    let failure = Failure { kind: FailureKind::Lost, message: "gone".into() };
    // What a worker that holds it makes of the reason.
    let (held, apart) = (Some("lease"), Some("person"));
    let states: Vec<(State, Option<&str>, Option<&str>)> = vec![
        (State::Queued { due: None }, Some("turn"), Some("turn")),
        (State::Submitting { attempt: attempt() }, Some("orphaned"), held),
        (State::Generating { task: task(), polls: 0, misses: 0, due: later(8), called: false }, Some("poll"), held),
        (State::Upscaling { task: task(), base: urls(), since: NOW, tries: 0, due: later(8) }, Some("poll"), held),
        (
            State::Downloading {
                task: task(),
                urls: urls(),
                size: None,
                upgraded: false,
                stale: false,
                tries: 2,
                due: later(8),
            },
            Some("download"),
            held,
        ),
        (doubt(None), apart, apart),
        (doubt(Some(named)), Some("comparison"), held),
        (State::Done { task: task(), files: Files::Usual(1) }, None, None),
        (State::Failed { failure, task: None }, None, None),
        (State::Cancelled, None, None),
    ];
    let mut covered: Vec<StateName> = states.iter().map(|(state, ..)| state.name()).collect();
    covered.dedup();
    covered.sort_unstable();
    assert_eq!(covered, {
        let mut all = StateName::ALL.to_vec();
        all.sort_unstable();
        all
    });
    for (state, free, leased) in states {
        let mut job = stored(state);
        let word = |job: &Stored| Blocked::of(job, &batch(), &account()).map(|waiting| waiting.word);
        assert_eq!(word(&job), free, "{:?}", job.record.state);
        job.leased_until = Some(later(20));
        assert_eq!(word(&job), leased, "{:?}", job.record.state);
        job.leased_until = Some(NOW);
        assert_eq!(word(&job), free, "a lease that is over: {:?}", job.record.state);
    }
}

#[test]
fn what_keeps_a_video_from_being_saved_is_in_the_line() {
    let mut job = stored(State::Downloading {
        task: Task { id: TaskId::parse("t").unwrap(), attempt: 1, at: NOW },
        urls: Vec::new(),
        size: None,
        upgraded: false,
        stale: false,
        tries: 1,
        due: later(60),
    });
    job.record.trouble = Some("videos/garden: no space left".into());
    let waiting = Blocked::of(&job, &batch(), &account()).unwrap();
    assert_eq!(waiting.words, "the download is due in 1 min; the last time: videos/garden: no space left");
}
