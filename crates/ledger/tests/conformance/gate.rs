//! The gate, the account's circuit breaker.

use std::time::Duration;

use veobatch_ledger::{AccountUpdate, Blocked, Gate, GateReport, SubmissionClaim};

use crate::account::{WAIT, closed, gate, report, trial, troubled};
use crate::bench::{Bench, LONG, admit, hindrance, job, jobs, new_token, submission, until};

pub(crate) async fn a_closed_gate_lets_nothing_through_and_then_exactly_one(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 5)).await;
    let first = submission(ledger).await;
    report(
        ledger,
        &first,
        GateReport::Closed { why: "no credits".into(), wait: WAIT, no_credits: true, too_many: false },
    )
    .await;
    let Gate::Closed { until: half_open, why, no_credits, closings } = gate(ledger).await else { panic!("open") };
    assert_eq!((why.as_str(), no_credits, closings), ("no credits", true, 1));
    assert_eq!(hindrance(&bench.second().await, None).await, (Blocked::Gate, Some(half_open)));

    let tried = until("the gate is half-open", async || {
        match ledger.claim_submission(&new_token(), None, LONG, LONG).await.unwrap() {
            SubmissionClaim::Granted(claimed) => Some(claimed),
            SubmissionClaim::Wait { why, .. } => {
                assert_eq!(why, Blocked::Gate);
                None
            }
        }
    })
    .await;
    assert!(tried.stored.now >= half_open);
    let (why, until) = hindrance(ledger, None).await;
    assert_eq!(why, Blocked::Gate, "one is under way");
    assert!(until.is_some_and(|until| until.since(tried.stored.now) <= LONG));
}

pub(crate) async fn a_healthy_trial_opens_the_gate(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 5)).await;
    let other = submission(ledger).await;
    let trial = trial(ledger, LONG).await;
    // A healthy answer to an older call says nothing about now.
    report(ledger, &other, GateReport::Healthy).await;
    assert_ne!(gate(ledger).await, Gate::Open);
    report(ledger, &trial, GateReport::Healthy).await;
    assert_eq!(gate(ledger).await, Gate::Open);
    submission(ledger).await;
    submission(ledger).await;
}

pub(crate) async fn a_trial_that_is_refused_closes_the_gate_for_twice_as_long(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 5)).await;
    let refused = trial(ledger, LONG).await;
    report(ledger, &refused, closed(WAIT)).await;
    let account = ledger.account(0).await.unwrap();
    let Gate::Closed { until, closings: 2, .. } = account.gate else { panic!("{:?}", account.gate) };
    let left = until.since(account.now);
    assert!(left > WAIT && left <= 2 * WAIT, "{left:?}");
    // A trial in trouble closes it again as well.
    let again = crate::bench::until("the gate is half-open", async || {
        match ledger.claim_submission(&new_token(), None, LONG, LONG).await.unwrap() {
            SubmissionClaim::Granted(claimed) => Some(*claimed),
            SubmissionClaim::Wait { .. } => None,
        }
    })
    .await;
    report(ledger, &again, troubled()).await;
    assert!(matches!(gate(ledger).await, Gate::Closed { closings: 3, .. }));
}

pub(crate) async fn closing_a_closed_gate_changes_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 5)).await;
    let (first, second) = (submission(ledger).await, submission(ledger).await);
    report(ledger, &first, closed(WAIT)).await;
    let before = gate(ledger).await;
    report(ledger, &second, GateReport::Closed { why: "other".into(), wait: LONG, no_credits: true, too_many: false })
        .await;
    assert_eq!(gate(ledger).await, before);
}

pub(crate) async fn a_trial_that_never_ends_does_not_close_the_gate_for_ever(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 5)).await;
    let stall = Duration::from_millis(80);
    let hanging = trial(ledger, stall).await;
    let next = until("another may try", async || {
        match ledger.claim_submission(&new_token(), None, LONG, stall).await.unwrap() {
            SubmissionClaim::Granted(claimed) => Some(claimed),
            SubmissionClaim::Wait { why, .. } => {
                assert_eq!(why, Blocked::Gate);
                None
            }
        }
    })
    .await;
    assert!(next.stored.now >= hanging.stored.now + stall);
}

pub(crate) async fn credits_that_are_back_let_one_through_at_once(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 5)).await;
    let solvent = || AccountUpdate { credits_back: true, ..AccountUpdate::default() };
    ledger.update_account(&solvent()).await.unwrap();
    assert_eq!(gate(ledger).await, Gate::Open);
    let first = submission(ledger).await;
    let poor = GateReport::Closed { why: "no credits".into(), wait: LONG, no_credits: true, too_many: false };
    report(ledger, &first, poor).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Gate);
    ledger.update_account(&solvent()).await.unwrap();
    assert!(matches!(gate(ledger).await, Gate::Closed { closings: 1, no_credits: true, .. }), "only a trial opens it");
    let trial = submission(ledger).await;
    ledger.update_account(&solvent()).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Gate, "exactly one");
    report(ledger, &trial, closed(LONG)).await;
    ledger.update_account(&solvent()).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Gate, "it is closed for another reason by now");
}

pub(crate) async fn a_worker_that_is_turned_away_closes_a_gate_that_would_let_one_through(bench: &Bench) {
    let ledger = &bench.ledger;
    let close = async |why: &str, wait| {
        let close_gate = Some((why.to_owned(), wait));
        ledger.update_account(&AccountUpdate { close_gate, ..AccountUpdate::default() }).await.unwrap();
        ledger.account(0).await.unwrap()
    };
    let short = Duration::from_millis(100);
    assert!(matches!(close("short", short).await.gate, Gate::Closed { closings: 1, .. }));
    until("the gate is half-open", async || {
        let account = ledger.account(0).await.unwrap();
        matches!(account.gate, Gate::Closed { until, .. } if until <= account.now).then_some(())
    })
    .await;
    let account = close("a firewall's page", LONG).await;
    let first = account.gate.clone();
    let Gate::Closed { until, why, no_credits: false, closings: 2 } = account.gate else {
        panic!("{:?}", account.gate)
    };
    assert_eq!(why, "a firewall's page");
    assert!(until.since(account.now) <= 2 * LONG && until.since(account.now) > LONG, "{until:?} {:?}", account.now);
    admit(ledger, "n", &jobs("a", 1)).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Gate);
    assert_eq!(close("another", 2 * LONG).await.gate, first, "it is closed already");
}

pub(crate) async fn a_trial_that_says_nothing_lets_another_through(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 5)).await;
    let silent = trial(ledger, LONG).await;
    report(ledger, &silent, GateReport::Silent).await;
    submission(ledger).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Gate);
}

pub(crate) async fn three_troubles_in_a_row_close_the_gate(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    for n in 0..3 {
        assert_eq!(gate(ledger).await, Gate::Open, "after {n} troubles");
        let claimed = submission(ledger).await;
        report(ledger, &claimed, troubled()).await;
    }
    let account = ledger.account(0).await.unwrap();
    let Gate::Closed { until, closings: 1, no_credits: false, why } = account.gate else {
        panic!("{:?}", account.gate)
    };
    assert_eq!(why, "503");
    let left = until.since(account.now);
    assert!(left <= veobatch_ledger::TROUBLE_WAIT && left > veobatch_ledger::TROUBLE_WAIT / 2, "{left:?}");
}

pub(crate) async fn troubles_close_the_gate_for_as_long_as_the_service_asks(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    for _ in 0..3 {
        let claimed = submission(ledger).await;
        let wait = 4 * veobatch_ledger::TROUBLE_WAIT;
        report(ledger, &claimed, GateReport::Troubled { why: "503".into(), wait }).await;
    }
    let account = ledger.account(0).await.unwrap();
    let Gate::Closed { until, closings: 1, .. } = account.gate else { panic!("{:?}", account.gate) };
    let left = until.since(account.now);
    assert!(left > 3 * veobatch_ledger::TROUBLE_WAIT && left <= 4 * veobatch_ledger::TROUBLE_WAIT, "{left:?}");
}

pub(crate) async fn a_healthy_answer_forgets_troubles(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    for gate in [troubled(), troubled(), GateReport::Healthy, troubled(), GateReport::Silent, troubled()] {
        let claimed = submission(ledger).await;
        report(ledger, &claimed, gate).await;
    }
    assert_eq!(gate(ledger).await, Gate::Open);
}
