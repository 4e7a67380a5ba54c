//! What commands answer when something is away, large, or read by a program.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{Fault, Rule};
use veobatch_tests::{Ended, Prompts, Scene, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

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

/// Every line that was said is a JSON object of a log, and what was printed is one document, if anything was.
fn is_apart(words: &[&str], ended: &Ended) -> Result<()> {
    for line in ended.stderr.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| format!("{words:?} says {line}"))?;
        ensure!(line.pointer("/fields/message").is_some() && line.get("timestamp").is_some(), "{line}");
    }
    let is_json = words.contains(&"--json");
    if is_json && !ended.stdout.is_empty() {
        let _: Value = serde_json::from_str(&ended.stdout).with_context(|| format!("{words:?}: {}", ended.stdout))?;
    }
    Ok(())
}

/// The commands that the program lists in its help.
async fn commands(scene: &Scene) -> Result<BTreeSet<String>> {
    let help = scene.run(&["--help"]).await?.with_code(0)?.stdout;
    let (_, list) = help.split_once("\nMake videos:\n").context("no list of commands")?;
    let (list, _) = list.split_once("\nOptions:\n").context("no end of the list")?;
    let name = |line: &str| Some(line.strip_prefix("  ")?.split_once("  ")?.0.to_owned());
    Ok(list.lines().filter_map(name).filter(|name| !name.is_empty()).collect())
}

/// With JSON logs everything on standard error is a JSON object a line, also errors; with `--json` standard output is one
/// document. That of `completions` is a script, and that of a worker nothing.
#[tokio::test]
async fn words_and_json_never_share_a_stream_of_any_command() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Close, [1]).after_accepting());
    let scene = on_sqlite(config).await?.with("VEOBATCH_LOG_FORMAT", "json").with("VEOBATCH_LOG", "debug");
    let scene = scene.with("VEOBATCH_CONCURRENCY_SUBMIT", "1");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.write("bad.yaml", "jobs: [{prompt: a cat, resolutoin: 4k}]")?;
    let mut seen = BTreeSet::new();
    for (line, code) in [
        ("check garden.yaml --json", 0),
        ("check bad.yaml --json", 2),
        ("enqueue bad.yaml --json", 2),
        ("enqueue garden.yaml --json", 0),
        ("account --json", 0),
        ("account set --max-in-flight 50 --json", 0),
        ("update garden --weight 3 --priority 3 --json", 0),
        ("update garden job-1 --priority 3 --json", 0),
        ("update garden --json", 2),
        ("update garden job-1 --weight 3 --json", 2),
        ("pause garden --json", 0),
        ("resume garden --json", 0),
        ("run garden.yaml --json", 1),
        ("status --json", 0),
        ("status nothing --json", 2),
        ("jobs garden --json", 0),
        ("show garden job-1 --json", 0),
        ("show garden nothing --json", 2),
        ("resolve garden job-1 --give-up --json", 0),
        ("resolve garden job-2 --give-up --json", 1),
        ("retry garden job-1 --json", 1),
        ("retry garden --json", 1),
        ("run garden.yaml --json", 1),
        ("cancel garden --json", 0),
        ("worker --until-idle --json", 0),
        ("worker --until-idle --api-base http://127.0.0.1:9", 2),
        ("purge garden --json", 0),
        ("purge garden --forget --yes --json", 0),
        ("credits --json", 0),
        ("credits --api-base http://127.0.0.1:9 --json", 3),
        ("simulate --listen 192.0.2.1:1 --json", 3),
        ("ledger export garden.jsonl --json", 0),
        ("ledger export garden.jsonl --json", 2),
        ("ledger import garden.jsonl --ledger sqlite:new.db --json", 0),
        ("completions bash", 0),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let ended = scene.run(&words).await?.with_code(code)?;
        is_apart(&words, &ended)?;
        let prints = code == 0 && words[0] != "worker";
        ensure!(!prints || !ended.stdout.is_empty(), "{line} prints nothing");
        // The problems of a file are what `check` prints.
        let says = code < 2 || words[0] == "check" || ended.stderr.contains("error: failed to ");
        ensure!(says, "{line} does not say why: {}", ended.stderr);
        seen.insert(words[0].to_owned());
    }
    let serving = scene.start(&["simulate", "--listen", "127.0.0.1:0", "--json"])?;
    scene.until_said(&serving, "\"message\"").await?;
    serving.interrupt().await?;
    is_apart(&["simulate", "--json"], &serving.wait(PATIENCE).await?.with_code(0)?)?;
    assert_eq!(seen, commands(&scene).await?, "commands that were tried, and those that there are");
    Ok(())
}

/// Whatever `status` leaves out or did not look at, it says so.
#[tokio::test]
async fn status_says_where_a_list_is_cut() -> Result<()> {
    let mut config = quick();
    (config.limits.rate, config.limits.in_flight) = (None, None);
    config.generation.failed = 1.0;
    let scene = on_sqlite(config).await?.with("VEOBATCH_RATE", "10000/1s").with("VEOBATCH_MAX_IN_FLIGHT", "100000");
    let scene = scene.with("VEOBATCH_CONCURRENCY_SUBMIT", "64").with("VEOBATCH_CONCURRENCY_FOLLOW", "64");
    let status = async |words: &[&str]| -> Result<(String, Value)> {
        let said = scene.run(words).await?.with_code(0)?.stdout;
        let json = scene.run(&[words, &["--json"]].concat()).await?.with_code(0)?.stdout;
        Ok((said, serde_json::from_str(&json)?))
    };
    let (failed, beside) = ("the first 1,000 of each batch were checked", "among the first 1,000 jobs of each batch");
    // As many as are looked at, and then one more.
    for (count, is_cut) in [(1_000, false), (1_001, true)] {
        scene.prompts("garden.yaml", &Prompts::numbered("garden", count))?;
        scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
        scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
        assert_eq!(scene.counts("garden").await?.failed, u64::try_from(count)?);
        let (said, json) = status(&["status"]).await?;
        assert_eq!((said.contains(failed), said.contains(beside)), (is_cut, false), "{count}: {said}");
        assert_eq!((&json["partial"], &json["partial_beside"]), (&is_cut.into(), &false.into()));
    }
    // Eleven batches that wait, one of them with more jobs than are looked at.
    let names: Vec<String> = (1..=11).map(|n| format!("wait-{n}.yaml")).collect();
    for (n, name) in names.iter().enumerate() {
        let jobs = if n == 0 { 1_001 } else { 1 };
        scene.prompts(name, &Prompts::numbered(name.trim_end_matches(".yaml"), jobs))?;
    }
    let words: Vec<&str> = ["enqueue"].into_iter().chain(names.iter().map(String::as_str)).collect();
    scene.run(&words).await?.with_code(0)?;
    let (said, json) = status(&["status"]).await?;
    ensure!(said.contains(beside) && said.contains("… and more: veobatch status BATCH"), "{said}");
    assert_eq!(json["partial_beside"], true);
    let (said, json) = status(&["status", "wait-11"]).await?;
    ensure!(
        said.contains("wait-11: 1 job to submit") && !said.contains("… and more") && !said.contains("1,000"),
        "{said}"
    );
    assert_eq!((&json["partial"], &json["partial_beside"]), (&false.into(), &false.into()));
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
    let retry: &[&str] = &["retry", "garden", "--state", "cancelled", "--yes"];
    for (words, state, bar) in [(&["cancel", "garden"][..], "cancelled", "cancelling"), (retry, "queued", "retrying")] {
        calls(&scene)?;
        let ended = scene.start_on_a_terminal(words)?.wait(PATIENCE).await?.with_code(0)?;
        ended.saying(&format!("{bar} "))?.saying("/6,000 ")?;
        let calls = calls(&scene)?;
        let counts = scene.counts("garden").await?;
        let moved = if state == "queued" { counts.queued } else { counts.cancelled };
        assert_eq!(moved, JOBS, "{words:?}: {counts:?}");
        ensure!((1..JOBS / 10).contains(&calls), "{words:?} called {calls} scripts for {JOBS} jobs");
    }
    Ok(())
}
