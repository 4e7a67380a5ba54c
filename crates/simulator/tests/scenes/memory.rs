//! What survives a restart.

use std::path::Path;

use veobatch_simulator::{Config, Fault, Rule, Simulator};

use crate::client::{code, ended, get, instant, link, prompt, submit, try_submit};

async fn start(config: Config, store: &Path) -> Simulator {
    Simulator::start(config, ([127, 0, 0, 1], 0).into(), Some(store.to_owned())).await.unwrap()
}

#[tokio::test]
async fn a_night_that_is_interrupted_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = instant();
    config.credits = 200;
    config.faults.submit = vec![Rule::nth(Fault::Close, [2]).after_accepting(), Rule::nth(Fault::Code, [3])];
    let simulator = start(config.clone(), folder.path()).await;
    let first = submit(&simulator, &prompt("first")).await;
    try_submit(&simulator, &prompt("second")).await.unwrap_err();
    assert_eq!(code(&simulator, &prompt("third")).await, 500);
    let file = get(&simulator, &link(&simulator, &first).await).await.body;
    get(&simulator, &format!("/api/v1/veo/get-1080p-video?taskId={first}")).await;
    let before = simulator.bill().await;
    simulator.stop().await;

    let simulator = start(config, folder.path()).await;
    let after = simulator.bill().await;
    assert_eq!((after.charged, after.balance, after.submissions), (125, 75, 3));
    assert_eq!((after.answers_lost, after.turned_away[&500]), (1, 1));
    let lines = |bill: &veobatch_simulator::Bill| {
        let line = |line: &veobatch_simulator::Accepted| {
            (line.task_id.clone(), line.at_ms, line.fields.clone(), line.upgrades.clone())
        };
        bill.accepted.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(lines(&after), lines(&before));
    assert_eq!(get(&simulator, &link(&simulator, &first).await).await.body, file);
    assert_eq!(code(&simulator, &prompt("fourth")).await, 200);
    assert_eq!(code(&simulator, &prompt("fifth")).await, 402);
}

#[tokio::test]
async fn what_was_being_generated_went_on_while_the_service_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("night/simulator.jsonl");
    let mut config = instant();
    config.generation.median_ms = 100;
    let simulator = start(config.clone(), &store).await;
    let id = submit(&simulator, &prompt("a")).await;
    simulator.stop().await;
    let simulator = start(config, &store).await;
    assert_eq!(ended(&simulator, &id).await["data"]["successFlag"], 1);
}

#[tokio::test]
async fn a_restart_does_not_empty_the_window_of_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = instant();
    config.limits.rate = Some(veobatch_simulator::Rate { requests: 1, window_ms: 60_000 });
    let simulator = start(config.clone(), folder.path()).await;
    submit(&simulator, &prompt("a")).await;
    simulator.stop().await;
    let simulator = start(config, folder.path()).await;
    assert_eq!(code(&simulator, &prompt("b")).await, 429);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_meant_does_not_start() {
    let mut config = instant();
    config.generation.failed = -0.1;
    let error = Simulator::start(config, ([127, 0, 0, 1], 0).into(), None).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
