//! A refused key that is none, a firewall's page in place of answers, and what is paid for meanwhile.

use std::time::Duration;

use veobatch_core::StateName;
use veobatch_ledger::Gate;
use veobatch_simulator::{Fault, Faults, Rule};
use veobatch_worker::{Stop, Until, WorkerExit};

use crate::scene::{Scene, hurried};

async fn gate_words(scene: &Scene) -> Option<String> {
    match scene.ledger().account(0).await.unwrap().gate {
        Gate::Closed { why, .. } => Some(why),
        Gate::Open => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firewalls_page_on_a_poll_closes_the_gate_for_a_while_and_ends_nothing() {
    let mut config = hurried();
    config.faults.poll.push(Rule::nth(Fault::Html, [2]).code(403).times(1));
    let scene = Scene::new(config).await;
    scene.admit("garden", 6).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.simulator.bill().await.submissions), (6, 6));
    let why = gate_words(&scene).await.unwrap();
    assert!(why.contains("web page") && why.contains("403"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_that_refuses_the_key_ends_nothing_if_the_balance_is_told() {
    let mut config = hurried();
    config.faults.poll.push(Rule::nth(Fault::Code, [1]).code(401).times(1));
    let scene = Scene::new(config).await;
    scene.admit("garden", 2).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 2);
    assert!(gate_words(&scene).await.unwrap().contains("not for the balance"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_hides_the_answer_to_a_paid_call_leaves_doubt_and_the_next_call_waits() {
    let mut config = hurried();
    config.faults.submit.push(Rule::nth(Fault::Html, [1]).code(403).after_accepting());
    config.faults.other.push(Rule::always(Fault::Html).code(403));
    let scene = Scene::new(config).await;
    scene.admit("garden", 5).await;
    let stop = Stop::default();
    let look = async {
        scene.until(|batch| batch.count(StateName::InDoubt) == 1).await;
        // What was granted before the page came may still be under way; nothing else is submitted while it is there.
        scene.until(|batch| batch.count(StateName::Submitting) == 0).await;
        let paid = scene.simulator.bill().await.submissions;
        let waits = scene.until_noted("turns requests away").await;
        assert!(waits.contains("web page"), "{waits}");
        assert_eq!(scene.simulator.bill().await.submissions, paid);
        scene.simulator.set_faults(Faults::default()).unwrap();
        scene.until(|batch| batch.count(StateName::Done) == 4).await;
        stop.graceful.cancel();
    };
    assert_eq!(tokio::join!(scene.work_until_told(stop.clone()), look).0.unwrap(), WorkerExit::Stopped);
    let bill = scene.simulator.bill().await;
    assert_eq!((bill.submissions, scene.count(StateName::InDoubt).await), (5, 1));
    let at: Vec<_> = bill.accepted.iter().map(|accepted| accepted.at_ms).collect();
    let waited = at.iter().max().unwrap() - at.iter().min().unwrap();
    assert!(Duration::from_millis(waited) >= Duration::from_secs(15), "{at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_after_a_firewalls_page_is_asked_about_once_more() {
    let mut config = hurried();
    config.faults.poll.push(Rule::nth(Fault::Html, [2]).code(403).times(1));
    // The first question for the balance is that of the start.
    config.faults.other.push(Rule::nth(Fault::Code, [2]).code(401).times(1));
    let scene = Scene::new(config).await;
    scene.admit("garden", 2).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.simulator.bill().await.submissions), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_submitted_before_it_is_known_whether_the_key_is_refused() {
    let mut config = hurried();
    config.faults.poll.push(Rule::nth(Fault::Code, [1]).code(401).times(1));
    config.faults.other.push(Rule::always(Fault::Status).code(503));
    let scene = Scene::new(config).await;
    scene.admit("garden", 2).await;
    scene.cap(1).await;
    let stop = Stop::default();
    let look = async {
        scene.until(|batch| batch.count(StateName::Done) == 1).await;
        // The place in flight is free, and nobody has told any machine to wait.
        assert!(scene.until_noted("the service refused the API key").await.contains("401"));
        assert_eq!((scene.simulator.bill().await.submissions, gate_words(&scene).await), (1, None));
        stop.graceful.cancel();
    };
    assert_eq!(tokio::join!(scene.work_until_told(stop.clone()), look).0.unwrap(), WorkerExit::Stopped);
}
