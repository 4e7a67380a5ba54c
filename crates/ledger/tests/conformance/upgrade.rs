//! Leave for upgrade calls: what they take of the account, and what they wait for.

use std::time::Duration;

use veobatch_core::{Lane, State, Task};
use veobatch_ledger::{
    AccountUpdate, Arrival, Blocked, Claimed, Gate, GateReport, LedgerError, Put, Settle, SharedLedger,
    SubmissionClaim, UpgradeClaim,
};

use crate::bench::{
    Bench, LONG, admit, claim, ending, generating, job, new_token, put, settled, submission, task, try_submission,
    until,
};

/// One submission in so long a time.
const WINDOW: Duration = Duration::from_millis(600);

/// Long enough for any ledger to be asked meanwhile.
const WHILE: Duration = Duration::from_millis(300);

async fn one_in_a_window(ledger: &SharedLedger) {
    ledger.update_account(&AccountUpdate { rate: Some((1, WINDOW)), ..AccountUpdate::default() }).await.unwrap();
}

fn token_of(claimed: &Claimed) -> veobatch_core::Token {
    let State::Submitting { attempt } = &claimed.stored.record.state else { panic!("{claimed:?}") };
    attempt.token.clone()
}

/// A job that was paid for without leaving a trace in the pace, in this state now, and held.
async fn held(ledger: &SharedLedger, id: &str, lane: Lane, state: impl Fn(Task) -> State) -> Claimed {
    admit(ledger, "n", &[job(id)]).await;
    let claimed = submission(ledger).await;
    let settle = Settle { arrival: Arrival::Never, ..settled(&token_of(&claimed), GateReport::Healthy) };
    let made = Task { id: task(&format!("task-{id}")), attempt: 1, at: claimed.stored.now };
    put(ledger, &Put { settle: Some(settle), ..ending(&claimed, state(made)) }).await;
    claim(ledger, lane, LONG).await
}

fn upscaling(task: Task) -> State {
    let at = task.at;
    State::Upscaling { task, base: vec!["https://h.example/base.mp4".into()], since: at, tries: 0, due: at }
}

async fn is_granted(ledger: &SharedLedger, job: &Claimed, token: &veobatch_core::Token) -> bool {
    matches!(ledger.claim_upgrade(&job.lease, token, Some(LONG)).await.unwrap(), UpgradeClaim::Granted(_))
}

/// Puts the job as it is, with what its upgrade call told the account.
async fn answered(ledger: &SharedLedger, job: &Claimed, settle: Settle) {
    put(ledger, &Put { settle: Some(settle), ..ending(job, job.stored.record.state.clone()) }).await;
}

pub(crate) async fn an_upgrade_takes_a_slot_and_no_place_in_flight(bench: &Bench) {
    let ledger = &bench.ledger;
    let upgraded = held(ledger, "a", Lane::Follow, upscaling).await;
    admit(ledger, "n", &[job("b")]).await;
    one_in_a_window(ledger).await;
    let (account, used) = (ledger.account(0).await.unwrap(), ledger.account(2).await.unwrap().slots.used);
    let token = new_token();
    until("a slot is free", async || is_granted(ledger, &upgraded, &token).await.then_some(())).await;
    // An answer that was lost costs nothing.
    assert!(is_granted(ledger, &upgraded, &token).await);
    let after = ledger.account(0).await.unwrap();
    assert_eq!((after.in_flight, after.gate), (account.in_flight, Gate::Open));
    assert!((ledger.account(2).await.unwrap().slots.used - used - 1.0).abs() < 1e-9);
    let wait = try_submission(ledger).await;
    let SubmissionClaim::Wait { why: Blocked::Slot, until: Some(until), now } = wait else { panic!("{wait:?}") };
    assert!(until > now + WINDOW, "its call may arrive for a minute: {until:?}");
}

pub(crate) async fn what_became_of_an_upgrade_call_is_told_with_its_put(bench: &Bench) {
    let ledger = &bench.ledger;
    let gone = held(ledger, "a", Lane::Follow, upscaling).await;
    let arrived = held(ledger, "b", Lane::Follow, upscaling).await;
    admit(ledger, "n", &[job("c"), job("d")]).await;
    one_in_a_window(ledger).await;
    let token = new_token();
    until("a slot is free", async || is_granted(ledger, &gone, &token).await.then_some(())).await;
    answered(ledger, &gone, Settle { arrival: Arrival::Never, ..settled(&token, GateReport::Silent) }).await;
    let token = new_token();
    until("a slot is free", async || is_granted(ledger, &arrived, &token).await.then_some(())).await;
    let now = ledger.info().await.unwrap().now;
    answered(ledger, &arrived, settled(&token, GateReport::Healthy)).await;
    let granted = submission(ledger).await;
    assert!(granted.stored.now.since(now) >= WINDOW, "never two in a window");
}

pub(crate) async fn an_upgrade_that_waits_for_a_slot_goes_before_submissions(bench: &Bench) {
    let ledger = &bench.ledger;
    let upgraded = held(ledger, "a", Lane::Follow, upscaling).await;
    admit(ledger, "n", &[job("b"), job("c")]).await;
    one_in_a_window(ledger).await;
    let first = submission(ledger).await;
    put(
        ledger,
        &Put { settle: Some(settled(&token_of(&first), GateReport::Healthy)), ..ending(&first, State::Cancelled) },
    )
    .await;
    let token = new_token();
    let wait = ledger.claim_upgrade(&upgraded.lease, &token, Some(LONG)).await.unwrap();
    let UpgradeClaim::Wait { why: Blocked::Slot, until: due, now } = wait else { panic!("{wait:?}") };
    assert!(due > now && due <= now + WINDOW + LONG);
    until("its slot has been free for a while", async || match try_submission(ledger).await {
        SubmissionClaim::Wait { why: Blocked::Slot, now, .. } => (now >= due + WHILE).then_some(()),
        other => panic!("{other:?}"),
    })
    .await;
    assert!(is_granted(ledger, &upgraded, &token).await);
    answered(ledger, &upgraded, settled(&token, GateReport::Healthy)).await;
    let next = submission(ledger).await;
    put(
        ledger,
        &Put {
            settle: Some(settled(&token_of(&next), GateReport::Healthy)),
            ..ending(&next, State::Queued { due: None })
        },
    )
    .await;

    // One that does not come back keeps nobody waiting for long.
    let upgraded = claim(ledger, Lane::Follow, LONG).await;
    let wait = ledger.claim_upgrade(&upgraded.lease, &new_token(), Some(LONG)).await.unwrap();
    let UpgradeClaim::Wait { why: Blocked::Slot, until: due, .. } = wait else { panic!("{wait:?}") };
    let granted = submission(ledger).await.stored.now;
    assert!(granted >= due + WHILE && granted < due + LONG, "{granted:?} {due:?}");
}

pub(crate) async fn upgrades_that_wait_come_back_one_after_the_other(bench: &Bench) {
    let ledger = &bench.ledger;
    let mut upgraded = Vec::new();
    for id in ["a", "b", "c"] {
        upgraded.push(held(ledger, id, Lane::Follow, upscaling).await);
    }
    admit(ledger, "n", &[job("d"), job("e")]).await;
    ledger.update_account(&AccountUpdate { rate: Some((5, 5 * WINDOW)), ..AccountUpdate::default() }).await.unwrap();
    // The second one uses up the credit for lateness.
    submission(ledger).await;
    submission(ledger).await;
    let mut last = None;
    for job in &upgraded {
        let wait = ledger.claim_upgrade(&job.lease, &new_token(), Some(LONG)).await.unwrap();
        let UpgradeClaim::Wait { why: Blocked::Slot, until, .. } = wait else { panic!("{wait:?}") };
        if let Some(last) = last.replace(until) {
            assert!(until.since(last) >= WINDOW, "{until:?} {last:?}");
        }
    }
}

pub(crate) async fn an_upgrade_waits_for_the_gate_and_may_be_the_one_that_tries_it(bench: &Bench) {
    let ledger = &bench.ledger;
    let upgraded = held(ledger, "a", Lane::Follow, upscaling).await;
    admit(ledger, "n", &[job("b")]).await;
    let refused = submission(ledger).await;
    let gate = GateReport::Closed { why: "455".into(), wait: WINDOW, no_credits: false, too_many: false };
    let settle = Some(settled(&token_of(&refused), gate));
    put(ledger, &Put { settle, ..ending(&refused, State::Queued { due: None }) }).await;
    let token = new_token();
    let wait = ledger.claim_upgrade(&upgraded.lease, &token, Some(LONG)).await.unwrap();
    assert!(matches!(wait, UpgradeClaim::Wait { why: Blocked::Gate, until, now } if until > now), "{wait:?}");
    until("the gate is half-open", async || is_granted(ledger, &upgraded, &token).await.then_some(())).await;
    let other = try_submission(ledger).await;
    assert!(matches!(other, SubmissionClaim::Wait { why: Blocked::Gate, .. }), "{other:?}");
    answered(ledger, &upgraded, settled(&token, GateReport::Healthy)).await;
    assert_eq!(ledger.account(0).await.unwrap().gate, Gate::Open);
}

pub(crate) async fn an_upgrade_that_does_not_count_in_the_pace_waits_for_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    let upgraded = held(ledger, "a", Lane::Follow, upscaling).await;
    admit(ledger, "n", &[job("b")]).await;
    one_in_a_window(ledger).await;
    submission(ledger).await;
    let used = ledger.account(2).await.unwrap().slots.used;
    for _ in 0..3 {
        let claim = ledger.claim_upgrade(&upgraded.lease, &new_token(), None).await.unwrap();
        assert!(matches!(claim, UpgradeClaim::Granted(_)), "{claim:?}");
    }
    assert!((ledger.account(2).await.unwrap().slots.used - used).abs() < 1e-9);
}

pub(crate) async fn only_a_held_job_with_a_video_gets_leave_for_an_upgrade(bench: &Bench) {
    let ledger = &bench.ledger;
    let far = ledger.info().await.unwrap().now;
    let made = held(ledger, "a", Lane::Follow, |task| generating(task.id.as_str(), far)).await;
    let saved = held(ledger, "b", Lane::Save, |task| crate::bench::downloading(task.id.as_str(), far)).await;
    let upgraded = held(ledger, "c", Lane::Follow, upscaling).await;
    for stall in [Some(LONG), None] {
        let leave = async |job: &Claimed| {
            until("slots are out of the way", async || {
                let claim = ledger.claim_upgrade(&job.lease, &new_token(), stall).await;
                (!matches!(claim, Ok(UpgradeClaim::Wait { why: Blocked::Slot, .. }))).then_some(claim)
            })
            .await
        };
        assert!(matches!(leave(&made).await, Err(LedgerError::LostLease)));
        assert!(matches!(leave(&saved).await, Ok(UpgradeClaim::Granted(_))));
        assert!(matches!(leave(&upgraded).await, Ok(UpgradeClaim::Granted(_))));
    }
    ledger.renew(std::slice::from_ref(&upgraded.lease), None).await.unwrap();
    let again = claim(ledger, Lane::Follow, LONG).await;
    assert_eq!(again.stored.key, upgraded.stored.key);
    let late = ledger.claim_upgrade(&upgraded.lease, &new_token(), Some(LONG)).await;
    assert!(matches!(late, Err(LedgerError::LostLease)), "{late:?}");
    let token = new_token();
    until("a slot is free", async || is_granted(ledger, &again, &token).await.then_some(())).await;
}
