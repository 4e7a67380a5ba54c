//! Slots, arrivals and the cap.

use std::time::Duration;

use veobatch_core::{State, StateName, Task, Timestamp, Token};
use veobatch_ledger::{
    AccountUpdate, Arrival, Blocked, Claimed, Gate, GateReport, LedgerError, NoteKind, Pace, Put, Settle, SharedLedger,
    SubmissionClaim,
};

use crate::bench::{
    Bench, LONG, admit, count, ending, generating, hindrance, job, jobs, new_token, put, put_of, read, settled,
    submission, submission_for, task, until,
};

/// A gate that stays closed for so long.
pub(crate) const WAIT: Duration = Duration::from_millis(600);

pub(crate) fn closed(wait: Duration) -> GateReport {
    GateReport::Closed { why: "429".into(), wait, no_credits: false, too_many: false }
}

pub(crate) fn troubled() -> GateReport {
    GateReport::Troubled { why: "503".into(), wait: veobatch_ledger::TROUBLE_WAIT }
}

fn token_of(claimed: &Claimed) -> Token {
    match &claimed.stored.record.state {
        State::Submitting { attempt } => attempt.token.clone(),
        other => panic!("{other:?}"),
    }
}

/// Ends a claim with the job back in the queue, and says so much about the service.
pub(crate) async fn report(ledger: &SharedLedger, claimed: &Claimed, gate: GateReport) {
    let settle = Some(settled(&token_of(claimed), gate));
    put(ledger, &Put { settle, ..ending(claimed, State::Queued { due: None }) }).await;
}

pub(crate) async fn gate(ledger: &SharedLedger) -> Gate {
    ledger.account(0).await.unwrap().gate
}

/// Closes the gate for [`WAIT`] and claims the one submission that may try it.
pub(crate) async fn trial(ledger: &SharedLedger, stall: Duration) -> Claimed {
    let first = submission(ledger).await;
    report(ledger, &first, closed(WAIT)).await;
    until("the gate is half-open", async || {
        match ledger.claim_submission(&new_token(), None, LONG, stall).await.unwrap() {
            SubmissionClaim::Granted(claimed) => Some(*claimed),
            SubmissionClaim::Wait { .. } => None,
        }
    })
    .await
}

async fn pace(ledger: &SharedLedger, submissions: u32, per: Duration) {
    ledger
        .update_account(&AccountUpdate {
            rate: Some((submissions, per)),
            max_in_flight: None,
            ..AccountUpdate::default()
        })
        .await
        .unwrap();
}

pub(crate) async fn settings_hold_for_all_and_what_was_before_is_told(bench: &Bench) {
    let ledger = &bench.ledger;
    let first = ledger
        .update_account(&AccountUpdate { rate: Some((7, LONG)), max_in_flight: Some(9), ..AccountUpdate::default() })
        .await
        .unwrap();
    assert_eq!(first.pace, Pace { submissions: 1000, per: Duration::from_secs(1), max_in_flight: 100_000 });
    let second = bench.second().await;
    let now = Pace { submissions: 7, per: LONG, max_in_flight: 9 };
    assert_eq!(second.account(0).await.unwrap().pace, now);
    assert_eq!(second.update_account(&AccountUpdate::default()).await.unwrap().pace, now);
    let cap = AccountUpdate { rate: None, max_in_flight: Some(3), ..AccountUpdate::default() };
    assert_eq!(ledger.update_account(&cap).await.unwrap().pace, now);
    assert_eq!(ledger.account(0).await.unwrap().pace, Pace { max_in_flight: 3, ..now });
}

pub(crate) async fn what_workers_say_of_themselves_is_known_to_all(bench: &Bench) {
    let (ledger, second) = (&bench.ledger, bench.second().await);
    assert_eq!(ledger.account(0).await.unwrap().notes, []);
    let say = async |kind, words: Option<&str>| {
        second.note(kind, words).await.unwrap();
        let notes = ledger.account(0).await.unwrap().notes;
        notes.into_iter().map(|note| (note.kind, note.words)).collect::<Vec<_>>()
    };
    let said = |kind, words: &str| (kind, words.to_owned());
    let (braked, refused) = (NoteKind::Braked, NoteKind::KeyRefused);
    assert_eq!(say(refused, Some("401: \"no\"")).await, [said(refused, "401: \"no\"")]);
    let both = [said(braked, "a full disk"), said(refused, "401: \"no\"")];
    assert_eq!(say(braked, Some("a full disk")).await, both);
    let now = ledger.info().await.unwrap().now;
    let at = ledger.account(0).await.unwrap().notes.first().unwrap().at;
    assert!(at <= now && now.since(at) < LONG, "{at:?} {now:?}");
    assert_eq!(say(refused, None).await, [said(braked, "a full disk")]);
    assert_eq!(say(refused, None).await, [said(braked, "a full disk")]);
}

pub(crate) async fn slots_are_evenly_spaced(bench: &Bench) {
    let ledger = &bench.ledger;
    pace(ledger, 10, Duration::from_millis(500)).await;
    admit(ledger, "n", &jobs("a", 8)).await;
    let mut at = Vec::new();
    for _ in 0..8 {
        let (ledger, token) = (ledger, new_token());
        let claimed = submission_for(ledger, &token, None, LONG).await;
        // Its arrival is known at once, so that only the spacing is in the way.
        report_arrival(ledger, &claimed, Arrival::Never).await;
        at.push(claimed.stored.now);
    }
    for (n, pair) in at.windows(2).enumerate() {
        // One slot of credit for lateness: two may be close, three never are.
        let _ = n;
        assert!(pair[1] >= pair[0]);
    }
    for triple in at.windows(3) {
        assert!(triple[2].since(triple[0]) >= Duration::from_millis(50), "{at:?}");
    }
    let spent = at[7].since(at[0]);
    assert!(spent >= Duration::from_millis(6 * 50), "{spent:?}");
    let account = ledger.account(0).await.unwrap();
    assert!(account.next_slot <= account.now + Duration::from_millis(50));
}

async fn report_arrival(ledger: &SharedLedger, claimed: &Claimed, arrival: Arrival) {
    let settle = Settle { token: token_of(claimed), arrival, gate: GateReport::Healthy };
    put(ledger, &Put { settle: Some(settle), ..ending(claimed, State::Cancelled) }).await;
}

pub(crate) async fn never_more_than_n_arrivals_are_younger_than_w(bench: &Bench) {
    const N: usize = 5;
    const W: Duration = Duration::from_millis(250);
    let ledger = &bench.ledger;
    pace(ledger, 5, W).await;
    admit(ledger, "n", &jobs("a", 30)).await;
    let mut open: Vec<Claimed> = Vec::new();
    // For each submission a time that its bound of arrival is not below.
    let mut bounds: Vec<(Token, Timestamp)> = Vec::new();
    for n in 0..30_u64 {
        let stall = Duration::from_millis(20 + 30 * (n % 4));
        let claimed = until("a slot is due", async || {
            match ledger.claim_submission(&new_token(), None, LONG, stall).await.unwrap() {
                SubmissionClaim::Granted(claimed) => Some(*claimed),
                SubmissionClaim::Wait { why, .. } => {
                    assert_eq!(why, Blocked::Slot);
                    None
                }
            }
        })
        .await;
        let now = claimed.stored.now;
        let young = bounds.iter().filter(|(_, bound)| now.since(*bound) < W).count();
        assert!(young < N, "{young} arrivals are younger than {W:?} at {now:?}: {bounds:?}");
        bounds.push((token_of(&claimed), now + stall));
        open.push(claimed);
        if n % 3 == 2 {
            for claimed in open.drain(..) {
                let known = ledger.info().await.unwrap().now;
                let bound = bounds.iter_mut().find(|(token, _)| *token == token_of(&claimed)).unwrap();
                bound.1 = bound.1.min(known);
                report_arrival(ledger, &claimed, Arrival::Ago(Duration::ZERO)).await;
            }
        }
    }
}

pub(crate) async fn a_call_that_hangs_costs_one_place_until_it_is_over(bench: &Bench) {
    let ledger = &bench.ledger;
    pace(ledger, 2, Duration::from_millis(100)).await;
    admit(ledger, "n", &jobs("a", 6)).await;
    let hanging = submission_for(ledger, &new_token(), None, LONG).await;
    // The other place goes on serving.
    for _ in 0..2 {
        let claimed = submission(ledger).await;
        report_arrival(ledger, &claimed, Arrival::Ago(Duration::ZERO)).await;
    }
    let second = submission(ledger).await;
    // Both hang now: nothing until the bound of one of them is over.
    let wait = ledger.claim_submission(&new_token(), None, LONG, LONG).await.unwrap();
    let SubmissionClaim::Wait { why: Blocked::Slot, until: Some(due), now } = wait else { panic!("{wait:?}") };
    assert!(due.since(now) > LONG / 2, "{due:?} {now:?}");
    let account = ledger.account(0).await.unwrap();
    assert_eq!(account.next_slot, due);
    report_arrival(ledger, &hanging, Arrival::Ago(Duration::ZERO)).await;
    submission(ledger).await;
    drop(second);
}

pub(crate) async fn a_submission_that_never_left_costs_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    pace(ledger, 1, Duration::from_millis(20)).await;
    admit(ledger, "n", &jobs("a", 4)).await;
    for _ in 0..4 {
        let claimed = submission(ledger).await;
        report_arrival(ledger, &claimed, Arrival::Never).await;
    }
}

pub(crate) async fn a_bound_of_arrival_is_never_raised(bench: &Bench) {
    let ledger = &bench.ledger;
    pace(ledger, 1, Duration::from_millis(1)).await;
    admit(ledger, "n", &jobs("a", 3)).await;
    let token = new_token();
    let short = Duration::from_millis(1);
    let SubmissionClaim::Granted(claimed) = ledger.claim_submission(&token, None, LONG, short).await.unwrap() else {
        panic!("a slot is free")
    };
    let bound = claimed.stored.now + short;
    until("the bound is over", async || (ledger.info().await.unwrap().now > bound + short).then_some(())).await;
    report_arrival(ledger, &claimed, Arrival::Ago(Duration::ZERO)).await;
    let next = ledger.account(0).await.unwrap().next_slot;
    assert!(next <= bound + Duration::from_millis(1), "{next:?} {bound:?}");
    // What is still unknown leaves it as it is.
    let claimed = submission(ledger).await;
    report_arrival(ledger, &claimed, Arrival::Unknown).await;
    assert!(ledger.account(0).await.unwrap().next_slot >= claimed.stored.now + LONG);
}

pub(crate) async fn the_fastest_answers_to_all_machines_bound_the_arrival(bench: &Bench) {
    // More than are remembered: some are forgotten on the way.
    const MANY: usize = 620;
    let (ledger, second) = (&bench.ledger, bench.second().await);
    // The spacing's credit is there for a second one at once; what is waited for is the bound of arrival.
    pace(ledger, 1, Duration::from_secs(1)).await;
    admit(ledger, "n", &jobs("a", MANY)).await;
    let ms = Duration::from_millis;
    let answered = async |ledger: &SharedLedger, took: u64, ago: u64| {
        // Settled without a submission: what is heard is remembered all the same.
        let arrival = Arrival::Answered { took: ms(took), ago: ms(ago) };
        let settle = Settle { token: new_token(), arrival, gate: GateReport::Healthy };
        let stored = read(ledger, "n", "a00000").await;
        put(ledger, &Put { settle: Some(settle), ..put_of(&stored, None, &stored.record) }).await;
    };
    // Half of them to another machine, whose way is longer.
    for _ in 0..MANY / 2 {
        answered(ledger, 250, 0).await;
        answered(&second, 900, 0).await;
    }
    let claimed = submission(ledger).await;
    let settle = Settle {
        token: token_of(&claimed),
        arrival: Arrival::Answered { took: ms(1500), ago: ms(100) },
        gate: GateReport::Healthy,
    };
    let before = ledger.info().await.unwrap().now;
    put(ledger, &Put { settle: Some(settle), ..ending(&claimed, State::Cancelled) }).await;
    let after = ledger.info().await.unwrap().now;
    // 100 ms ago, and 250 − 50 ms before that: 700 ms from now on it is a second ago.
    let next = ledger.account(0).await.unwrap().next_slot;
    assert!(((before + ms(700))..=after + ms(701)).contains(&next), "{next:?} {before:?} {after:?}");

    // Who begins may be nearer than all of them.
    second.update_account(&AccountUpdate { forget_round_trips: true, ..AccountUpdate::default() }).await.unwrap();
    let claimed = submission(ledger).await;
    let arrival = Arrival::Answered { took: ms(1500), ago: ms(100) };
    let settle = Settle { token: token_of(&claimed), arrival, gate: GateReport::Healthy };
    let before = ledger.info().await.unwrap().now;
    put(ledger, &Put { settle: Some(settle), ..ending(&claimed, State::Cancelled) }).await;
    assert!(ledger.account(0).await.unwrap().next_slot >= before + ms(900));
}

async fn capped(ledger: &SharedLedger, cap: u32) {
    ledger
        .update_account(&AccountUpdate { rate: None, max_in_flight: Some(cap), ..AccountUpdate::default() })
        .await
        .unwrap();
}

pub(crate) async fn the_cap_counts_what_is_in_flight(bench: &Bench) {
    let ledger = &bench.ledger;
    capped(ledger, 2).await;
    admit(ledger, "n", &jobs("a", 4)).await;
    let first = submission(ledger).await;
    let second = submission(ledger).await;
    assert_eq!(hindrance(ledger, None).await, (Blocked::Cap, None), "submitting counts without limit");
    put(ledger, &ending(&first, generating("t", first.stored.now))).await;
    let (why, until) = hindrance(ledger, None).await;
    assert_eq!((why, until), (Blocked::Cap, Some(first.stored.now + veobatch_core::SOFT_DEADLINE)));
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 2);
    put(ledger, &ending(&second, State::Cancelled)).await;
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 1);
    submission(ledger).await;
    capped(ledger, 3).await;
    submission(ledger).await;
}

pub(crate) async fn a_place_in_flight_ends_by_itself(bench: &Bench) {
    let ledger = &bench.ledger;
    capped(ledger, 1).await;
    admit(ledger, "n", &jobs("a", 2)).await;
    let claimed = submission(ledger).await;
    let now = ledger.info().await.unwrap().now;
    // Accepted so long ago that it counts for only a moment more.
    let soft = u64::try_from(veobatch_core::SOFT_DEADLINE.as_millis()).unwrap();
    let at = Timestamp::from_millis(now.as_millis() + 150 - soft);
    let state = State::Generating {
        task: Task { id: task("t"), attempt: 1, at },
        polls: 0,
        misses: 0,
        due: now + LONG,
        called: false,
    };
    put(ledger, &ending(&claimed, state)).await;
    let (why, ends) = hindrance(ledger, None).await;
    assert_eq!(why, Blocked::Cap);
    let next = until("the place is free", async || {
        match ledger.claim_submission(&new_token(), None, LONG, LONG).await.unwrap() {
            SubmissionClaim::Granted(claimed) => Some(claimed),
            SubmissionClaim::Wait { .. } => None,
        }
    })
    .await;
    assert!(next.stored.now >= ends.unwrap());
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 1);
    assert_eq!(count(ledger, "n", StateName::Generating).await, 1);
}

pub(crate) async fn a_repeated_put_settles_once(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let claimed = submission(ledger).await;
    let settle = Some(settled(&token_of(&claimed), troubled()));
    let put = Put { settle, ..ending(&claimed, State::Queued { due: None }) };
    for _ in 0..5 {
        ledger.put(&put).await.unwrap();
    }
    assert_eq!(gate(ledger).await, Gate::Open);
    // A put that is refused settles nothing either.
    for _ in 0..5 {
        let stale = Put { nonce: veobatch_ledger::Nonce::random(), ..put.clone() };
        assert!(matches!(ledger.put(&stale).await, Err(LedgerError::LostLease)));
    }
    assert_eq!(gate(ledger).await, Gate::Open);
}
