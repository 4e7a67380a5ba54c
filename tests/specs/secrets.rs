//! However much is logged, no log tells a secret. The harness searches what the processes of every other scene said, too.

use std::net::TcpListener;

use anyhow::{Result, ensure};
use veobatch_simulator::{Fault, Rule};
use veobatch_tests::{Prompts, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

/// A worker that is killed, one that replays its journal, a lost answer that is called back for, a link that is refused and
/// replaced by a signed one: all of it logged as fully as the program can.
async fn a_full_log(format: &str, scene: veobatch_tests::Scene) -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let scene = scene
        .with("VEOBATCH_CALLBACK_LISTEN", &format!("127.0.0.1:{port}"))
        .with("VEOBATCH_CALLBACK_URL", &format!("http://127.0.0.1:{port}/veobatch"));
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 6).defaults("{ resolution: 1080p }"))?;
    scene.run(&["enqueue", "garden.yaml", "-vv"]).await?.with_code(0)?;
    let work = ["worker", "--until-idle", "-vv", "--log-format", format, "--log-file", "all.log"];
    let mut command = scene.command(&[&work[..], &["--concurrency-submit", "1"]].concat());
    command.env("VEOBATCH_TEST_DIE_AT", "Written:3");
    let victim = scene.start_command(command, "victim")?.wait(PATIENCE).await?;
    ensure!(victim.code.is_none(), "it was to die: {}", victim.stderr);
    scene.run(&work).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.done, 6);
    let log = std::fs::read_to_string(scene.path("all.log"))?;
    for part in ["replayed from a journal", "a callback settled the doubt", "answered", "DEBUG"] {
        ensure!(log.contains(part), "the log does not tell of {part:?}");
    }
    let told = scene.secrets_told();
    ensure!(told.is_empty(), "{}", told.join("\n"));
    Ok(())
}

fn eventful() -> veobatch_simulator::Config {
    let mut config = quick();
    config.callbacks.retry_ms = 200;
    config.callbacks.retries = 100;
    config.faults.submit = vec![Rule::nth(Fault::Close, [5]).after_accepting()];
    config.faults.poll = vec![Rule::nth(Fault::Html, [2]), Rule::nth(Fault::NotJson, [4])];
    config.faults.download = vec![Rule::nth(Fault::Status, [1]).code(403), Rule::nth(Fault::Truncate, [3])];
    config
}

#[tokio::test]
async fn a_full_log_in_words_tells_no_secret() -> Result<()> {
    a_full_log("text", on_sqlite(eventful()).await?).await
}

#[tokio::test]
async fn a_full_log_in_json_tells_no_secret() -> Result<()> {
    a_full_log("json", on_redis(eventful()).await?).await
}
