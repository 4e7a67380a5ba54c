//! What becomes of the slots, and how many of them there are after the service said "too many".

use std::time::Duration;

use veobatch_core::{Lane, State, Timestamp};
use veobatch_ledger::{
    AccountUpdate, Arrival, Blocked, Claimed, Gate, GateReport, Put, Settle, SharedLedger, SlotUse, SubmissionClaim,
    Unused,
};

use crate::bench::{
    Bench, LONG, SHORT, admit, claim, ending, generating, hindrance, in_doubt, job, jobs, new_token, put, settled,
    submission, try_submission, until,
};

/// Ten slots in half a second.
const SPACING: Duration = Duration::from_millis(50);

async fn paced(ledger: &SharedLedger) {
    let rate = Some((10, 10 * SPACING));
    ledger.update_account(&AccountUpdate { rate, max_in_flight: Some(100), ..AccountUpdate::default() }).await.unwrap();
}

fn settle(claimed: &Claimed, arrival: Arrival, gate: GateReport) -> Settle {
    let State::Submitting { attempt } = &claimed.stored.record.state else { panic!("{claimed:?}") };
    Settle { arrival, ..settled(&attempt.token, gate) }
}

/// The service took it, long ago.
async fn accept(ledger: &SharedLedger, claimed: &Claimed) {
    let settle = Some(settle(claimed, Arrival::Ago(LONG), GateReport::Healthy));
    let far = claimed.stored.now + LONG;
    let task = format!("task-{}", claimed.stored.key.job);
    put(ledger, &Put { settle, ..ending(claimed, generating(&task, far)) }).await;
}

async fn refuse(ledger: &SharedLedger, claimed: &Claimed, gate: GateReport) {
    let settle = Some(settle(claimed, Arrival::Ago(LONG), gate));
    put(ledger, &Put { settle, ..ending(claimed, State::Queued { due: None }) }).await;
}

fn closed(wait: Duration, too_many: bool) -> GateReport {
    GateReport::Closed { why: "429".into(), wait, no_credits: false, too_many }
}

/// The test may run over the end of an hour.
async fn slots(ledger: &SharedLedger) -> SlotUse {
    ledger.account(2).await.unwrap().slots
}

fn of(slots: &SlotUse, why: Unused) -> f64 {
    slots.unused.get(&why).copied().unwrap_or_default()
}

/// Asks again and again for so long, and is always told to wait for `why`.
async fn wait_in_vain(ledger: &SharedLedger, why: Blocked, how_long: Duration) {
    let from = ledger.info().await.unwrap().now;
    until("that time is over", async || match try_submission(ledger).await {
        SubmissionClaim::Wait { why: told, now, .. } => {
            assert!(told == why || told == Blocked::Slot, "{told:?}");
            (now >= from + how_long).then_some(())
        }
        granted @ SubmissionClaim::Granted(_) => panic!("{granted:?}"),
    })
    .await;
}

pub(crate) async fn every_slot_that_goes_by_has_its_reason(bench: &Bench) {
    let ledger = &bench.ledger;
    paced(ledger).await;
    admit(ledger, "n", &jobs("a", 2)).await;
    let first = submission(ledger).await;
    accept(ledger, &first).await;
    let second = submission(ledger).await;
    wait_in_vain(ledger, Blocked::Work, 6 * SPACING).await;
    admit(ledger, "m", &jobs("a", 2)).await;
    refuse(ledger, &second, closed(6 * SPACING, false)).await;
    wait_in_vain(ledger, Blocked::Gate, 4 * SPACING).await;
    until("the gate lets one through", async || match try_submission(ledger).await {
        SubmissionClaim::Granted(claimed) => Some(claimed),
        SubmissionClaim::Wait { .. } => None,
    })
    .await;
    let cap = AccountUpdate { max_in_flight: Some(1), ..AccountUpdate::default() };
    ledger.update_account(&cap).await.unwrap();
    let probe_is_under_way = hindrance(ledger, None).await.0;
    assert_eq!(probe_is_under_way, Blocked::Gate);
    let second = bench.second().await;
    let gone = async || ledger.info().await.unwrap().now.since(first.stored.now).as_secs_f64() / SPACING.as_secs_f64();
    let (before, seen, after) = (gone().await, slots(&second).await, gone().await);
    assert!((seen.used - 3.0).abs() < 1e-3, "{seen:?}");
    assert!(of(&seen, Unused::Work) > 2.5 && of(&seen, Unused::Gate) > 3.0, "{seen:?}");
    // The first slot, and one of credit for each of the two claims that came at once.
    assert!((before - 2.2..after + 1.2).contains(&seen.allowed()), "{before} to {after}: {seen:?}");
}

pub(crate) async fn slots_that_nobody_asked_for_are_counted(bench: &Bench) {
    let ledger = &bench.ledger;
    paced(ledger).await;
    admit(ledger, "n", &jobs("a", 2)).await;
    let first = submission(ledger).await;
    accept(ledger, &first).await;
    let till = first.stored.now + 8 * SPACING;
    until("some slots have gone by", async || (ledger.info().await.unwrap().now >= till).then_some(())).await;
    let second = submission(ledger).await;
    let gone = second.stored.now.since(first.stored.now).as_secs_f64() / SPACING.as_secs_f64();
    let seen = slots(ledger).await;
    let unasked = of(&seen, Unused::Unasked);
    // All that went by but the one of credit.
    assert!((unasked - (gone - 1.0)).abs() < 0.2, "{gone}: {seen:?}");
    let share = seen.share().unwrap();
    assert!((share - 2.0 / (2.0 + unasked)).abs() < 1e-6, "{seen:?}");
}

pub(crate) async fn a_slot_that_was_of_no_use_is_not_called_used(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 3)).await;
    let unsent = submission(ledger).await;
    let settle = Some(settle(&unsent, Arrival::Never, GateReport::Silent));
    put(ledger, &Put { settle, ..ending(&unsent, State::Cancelled) }).await;
    let granted = ledger.claim_submission(&new_token(), None, SHORT, LONG).await.unwrap();
    assert!(matches!(granted, SubmissionClaim::Granted(_)), "{granted:?}");
    let orphan = claim(ledger, Lane::Follow, LONG).await;
    put(ledger, &ending(&orphan, in_doubt(&orphan.stored))).await;
    let accepted = submission(ledger).await;
    accept(ledger, &accepted).await;
    let seen = slots(ledger).await;
    assert!((seen.used - 1.0).abs() < 1e-3, "{seen:?}");
    assert!((of(&seen, Unused::Unsent) - 1.0).abs() < 1e-3 && (of(&seen, Unused::Lost) - 1.0).abs() < 1e-3, "{seen:?}");
}

pub(crate) async fn slow_answers_cost_slots_and_are_named(bench: &Bench) {
    let ledger = &bench.ledger;
    let rate = Some((2, Duration::from_millis(200)));
    ledger.update_account(&AccountUpdate { rate, ..AccountUpdate::default() }).await.unwrap();
    admit(ledger, "n", &jobs("a", 3)).await;
    // Two calls that may arrive until 600 ms from now, and then a third.
    let stall = Duration::from_millis(600);
    let mut granted = Vec::new();
    while granted.len() < 3 {
        let claim = until("a slot is due", async || {
            match ledger.claim_submission(&new_token(), None, LONG, stall).await.unwrap() {
                SubmissionClaim::Granted(claimed) => Some(claimed.stored.now),
                SubmissionClaim::Wait { why, .. } => {
                    assert_eq!(why, Blocked::Slot);
                    None
                }
            }
        })
        .await;
        granted.push(claim);
    }
    let seen = slots(ledger).await;
    let waited = granted[2].since(granted[1]).as_secs_f64() / 0.1;
    assert!((of(&seen, Unused::Answers) - (waited - 2.0)).abs() < 1.0, "{waited}: {seen:?}");
}

/// How many of ten are allowed, in thousandths.
async fn allowance(ledger: &SharedLedger) -> u32 {
    ledger.account(0).await.unwrap().allowance
}

pub(crate) async fn too_many_lowers_the_allowance_for_all(bench: &Bench) {
    let ledger = &bench.ledger;
    paced(ledger).await;
    admit(ledger, "n", &jobs("a", 9)).await;
    assert_eq!(allowance(ledger).await, 10_000);
    let (one, other) = (submission(ledger).await, submission(ledger).await);
    refuse(ledger, &one, closed(SHORT, true)).await;
    assert_eq!(allowance(&bench.second().await).await, 7000);
    // What was under way when the gate closed tells nothing new.
    refuse(ledger, &other, closed(SHORT, true)).await;
    assert_eq!(allowance(ledger).await, 7000);
    let trial = until("the gate lets one through", async || match try_submission(ledger).await {
        SubmissionClaim::Granted(claimed) => Some(claimed),
        SubmissionClaim::Wait { .. } => None,
    })
    .await;
    refuse(ledger, &trial, closed(LONG, true)).await;
    let twice = allowance(ledger).await;
    assert!((4900..4950).contains(&twice), "{twice}");
    paced(ledger).await;
    assert_eq!(allowance(ledger).await, 10_000, "a person said what is allowed");
}

pub(crate) async fn another_refusal_leaves_the_allowance_alone(bench: &Bench) {
    let ledger = &bench.ledger;
    paced(ledger).await;
    admit(ledger, "n", &[job("a")]).await;
    refuse(ledger, &submission(ledger).await, closed(SHORT, false)).await;
    assert!(matches!(ledger.account(0).await.unwrap().gate, Gate::Closed { .. }));
    assert_eq!(allowance(ledger).await, 10_000);
}

pub(crate) async fn a_lowered_allowance_is_kept_by_the_slots(bench: &Bench) {
    let ledger = &bench.ledger;
    paced(ledger).await;
    admit(ledger, "n", &jobs("a", 40)).await;
    refuse(ledger, &submission(ledger).await, closed(SHORT, true)).await;
    let mut at: Vec<Timestamp> = Vec::new();
    while at.len() < 15 {
        let claimed = until("a slot is due", async || match try_submission(ledger).await {
            SubmissionClaim::Granted(claimed) => Some(claimed),
            SubmissionClaim::Wait { .. } => None,
        })
        .await;
        at.push(claimed.stored.now);
        let settle = Some(settle(&claimed, Arrival::Ago(Duration::ZERO), GateReport::Healthy));
        put(ledger, &Put { settle, ..ending(&claimed, State::Cancelled) }).await;
    }
    for seven in at.windows(8) {
        assert!(seven[7].since(seven[0]) >= 10 * SPACING, "{at:?}");
    }
}
