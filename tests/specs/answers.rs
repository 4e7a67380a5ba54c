//! What commands answer when something is away, large, or read by a program.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_tests::{Prompts, Scene, quick};

use crate::{on_redis, on_sqlite};

#[tokio::test]
async fn jobs_are_checked_and_admitted_while_the_service_is_away_once_the_ledger_is_bound() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("first.yaml", &Prompts::numbered("first", 1))?;
    scene.prompts("second.yaml", &Prompts::numbered("second", 2))?;
    let mut config = scene.simulator.config();
    config.unreachable = true;
    scene.simulator.update(config.clone())?;
    // A mistyped base must not claim the ledger.
    scene.run(&["enqueue", "first.yaml"]).await?.with_code(3)?.saying("reach the service")?;
    config.unreachable = false;
    scene.simulator.update(config.clone())?;
    scene.run(&["enqueue", "first.yaml"]).await?.with_code(0)?.saying("balance: ")?;
    config.unreachable = true;
    scene.simulator.update(config.clone())?;
    scene.run(&["check", "second.yaml"]).await?.with_code(0)?;
    scene.run(&["enqueue", "second.yaml"]).await?.with_code(0)?.saying("balance unknown")?;
    assert_eq!(scene.counts("second").await?.queued, 2);
    config.unreachable = false;
    scene.simulator.update(config)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    assert_eq!(scene.counts("second").await?.done, 2);
    Ok(())
}

#[tokio::test]
async fn a_run_ends_with_what_it_spent_and_how_long_it_took() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?.saying("spent 120 credits (US$0.60) in ")?;
    let again = scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    ensure!(!again.stderr.contains("spent"), "{}", again.stderr);
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?.saying("spent 60 credits (US$0.30) in ")?;
    Ok(())
}

/// Everything on standard error is a JSON object a line, also errors; standard output is one document.
#[tokio::test]
async fn words_and_json_never_share_a_stream() -> Result<()> {
    let scene = on_sqlite(quick()).await?.with("VEOBATCH_LOG_FORMAT", "json").with("VEOBATCH_LOG", "info");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    for (words, code) in [
        (&["run", "garden.yaml", "--json"][..], 0),
        (&["status", "--json"], 0),
        (&["retry", "garden", "--json"], 0),
        (&["show", "nothing", "at-all", "--json"], 2),
    ] {
        let ended = scene.run(words).await?.with_code(code)?;
        for line in ended.stderr.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| format!("{words:?}: {line}"))?;
            ensure!(line.pointer("/fields/message").is_some() && line["timestamp"].is_string(), "{line}");
        }
        if code == 0 {
            let _: Value = serde_json::from_str(&ended.stdout).with_context(|| ended.stdout.clone())?;
        }
    }
    let ended = scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    ensure!(ended.stderr.contains("everything is done already"), "what is said is still said: {}", ended.stderr);
    Ok(())
}

/// Scripts that the server ran since it was asked last.
fn calls(scene: &Scene) -> Result<u64> {
    let redis = scene.redis.as_ref().context("a scene on Redis")?;
    let stats = redis.ask("INFO commandstats")?;
    redis.ask("CONFIG RESETSTAT")?;
    let number = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    Ok(number("evalsha") + number("eval"))
}

#[tokio::test]
async fn many_jobs_are_cancelled_and_taken_up_again_in_few_calls() -> Result<()> {
    const JOBS: u64 = 6_000;
    let scene = on_redis(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", usize::try_from(JOBS)?))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    for (words, state) in
        [(&["cancel", "garden"][..], "cancelled"), (&["retry", "garden", "--state", "cancelled"], "queued")]
    {
        calls(&scene)?;
        scene.run(words).await?.with_code(0)?;
        let calls = calls(&scene)?;
        let counts = scene.counts("garden").await?;
        let moved = if state == "queued" { counts.queued } else { counts.cancelled };
        assert_eq!(moved, JOBS, "{words:?}: {counts:?}");
        ensure!((1..JOBS / 10).contains(&calls), "{words:?} called {calls} scripts for {JOBS} jobs");
    }
    Ok(())
}
