//! What it says: JSON, exit codes, and never the key.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{Fault, Rule};
use veobatch_tests::{KEY, Prompts, prompt, quick};

use crate::{on_redis, on_sqlite};

#[tokio::test]
async fn the_json_of_status_and_jobs_is_as_agreed() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Close, [2]).after_accepting());
    let scene = on_sqlite(config).await?.with("VEOBATCH_CONCURRENCY_SUBMIT", "1");
    let prompts = Prompts::numbered("garden", 2).job("bad", "a bad one [refuse]", "");
    scene.prompts("garden.yaml", &prompts)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;

    let status: Value = serde_json::from_str(&scene.run(&["status", "--json"]).await?.with_code(0)?.stdout)?;
    let batches = status.get("batches").and_then(Value::as_array).context("no list of batches")?;
    let batch = batches.first().and_then(Value::as_object).context("no batch")?;
    let number = |name: &str| batch.get(name).and_then(Value::as_u64);
    for (name, count) in [
        ("total", 3),
        ("queued", 0),
        ("submitting", 0),
        ("generating", 0),
        ("upscaling", 0),
        ("downloading", 0),
        ("done", 1),
        ("failed", 1),
        ("in_doubt", 1),
        ("cancelled", 0),
    ] {
        assert_eq!(number(name), Some(count), "{name} in {batch:?}");
    }
    assert_eq!(batch.get("batch").and_then(Value::as_str), Some("garden"));
    assert_eq!(batch.get("paused").and_then(Value::as_bool), Some(false));

    let jobs = scene.jobs("garden").await?;
    let [done, doubt, bad] = jobs.as_slice() else { anyhow::bail!("not three jobs in the file's order: {jobs:?}") };
    assert_eq!((done.batch.as_str(), done.job.as_str(), done.state.as_str()), ("garden", "job-1", "done"));
    assert_eq!((&done.prompt, done.attempt, &done.error), (&prompt(1), 1, &None));
    assert_eq!(done.files, ["garden/job-1.mp4"]);
    ensure!(done.task_id.is_some() && scene.path("videos").join("garden/job-1.mp4").is_file());
    assert_eq!((doubt.state.as_str(), doubt.files.is_empty()), ("in_doubt", true));
    assert_eq!((bad.state.as_str(), bad.error.is_some()), ("failed", true));
    Ok(())
}

#[tokio::test]
async fn with_json_standard_output_is_one_document_and_words_go_to_standard_error() -> Result<()> {
    let scene = on_redis(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    for words in [
        ["check", "garden.yaml", "--json"].as_slice(),
        &["enqueue", "garden.yaml", "--json"],
        &["status", "--json"],
        &["status", "garden", "--json"],
        &["jobs", "garden", "--json"],
        &["jobs", "garden", "--state", "queued", "--limit", "1", "--json"],
        &["show", "garden", "job-1", "--json"],
        &["credits", "--json"],
        &["run", "garden.yaml", "--json"],
    ] {
        let ended = scene.run(words).await?.with_code(0)?;
        serde_json::from_str::<Value>(&ended.stdout)
            .with_context(|| format!("{words:?} printed {:?}", ended.stdout))?;
    }
    Ok(())
}

#[tokio::test]
async fn pages_of_jobs_follow_each_other_without_gaps() -> Result<()> {
    let scene = on_redis(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let mut seen: Vec<String> = Vec::new();
    loop {
        let mut words = vec!["jobs", "garden", "--json", "--limit", "2"];
        if let Some(last) = seen.last() {
            words.extend(["--after", last]);
        }
        let page: Value = serde_json::from_str(&scene.run(&words).await?.with_code(0)?.stdout)?;
        let page: Vec<String> = page
            .as_array()
            .context("no list")?
            .iter()
            .filter_map(|job| job.get("job").and_then(Value::as_str).map(str::to_owned))
            .collect();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, ["job-1", "job-2", "job-3", "job-4", "job-5"]);
    Ok(())
}

#[tokio::test]
async fn what_does_not_exist_is_exit_code_2() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    for words in [
        ["jobs", "nowhere"].as_slice(),
        &["pause", "nowhere"],
        &["show", "garden", "nobody"],
        &["cancel", "garden", "nobody"],
        &["run", "missing.yaml"],
        &["--no-such-flag"],
    ] {
        scene.run(words).await?.with_code(2)?;
    }
    Ok(())
}

/// As the general help says.
#[tokio::test]
async fn an_idle_worker_ends_with_0_and_a_run_with_1_when_a_job_failed() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1).job("bad", "a bad one [refuse]", ""))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let help = scene.run(&["--help"]).await?.with_code(0)?.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(help.contains("1 run: some jobs ended otherwise"), "{help}");
    ensure!(help.contains("worker --until-idle: nothing can move without a person, whatever became of"), "{help}");
    Ok(())
}

#[tokio::test]
async fn a_ledger_that_belongs_to_another_service_is_refused_with_2() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let scene = scene.with("VEOBATCH_API_BASE", "http://127.0.0.1:9");
    scene.run(&["run", "garden.yaml"]).await?.with_code(2)?;
    Ok(())
}

#[tokio::test]
async fn the_key_is_written_nowhere() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Reset, [2]).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["run", "garden.yaml", "-vv", "--log-file", "log", "--log-format", "json"]).await?.with_code(1)?;
    scene.run(&["credits", "-vv"]).await?.with_code(0)?;
    let mut searched = 0;
    search(&scene.path("."), &mut searched)?;
    ensure!(searched > 8, "only {searched} files were there to be searched");
    Ok(())
}

/// Fails if the key is in any file of `folder`.
fn search(folder: &Path, searched: &mut usize) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, searched)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let is_there = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        ensure!(!is_there, "the key is in {}", path.display());
        *searched += 1;
    }
    Ok(())
}

#[tokio::test]
async fn the_balance_is_the_services() -> Result<()> {
    let mut config = quick();
    config.credits = 4321;
    let scene = on_sqlite(config).await?;
    let ended = scene.run(&["credits"]).await?.with_code(0)?;
    ensure!((ended.stdout + &ended.stderr).replace([',', ' '], "").contains("4321"));
    Ok(())
}
