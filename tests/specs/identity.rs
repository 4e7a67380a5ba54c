//! What makes a job another one: its content, and nothing that says how to work at it.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use veobatch_tests::{Prompts, Scene, quick};

use crate::{on_redis, on_sqlite};

fn yaml(defaults: &str) -> String {
    format!("batch: garden\n{defaults}\njobs:\n  - a cat\n  - a dog\n  - a fish [fail]\n")
}

/// What is printed with `--json`.
async fn told(scene: &Scene, words: &[&str], code: i32) -> Result<Value> {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    let ended = scene.run(&words).await?.with_code(code)?;
    serde_json::from_str(&ended.stdout).context("it is JSON")
}

/// One attempt was allowed for each job, and then `allowed` are.
async fn an_edit_of_max_attempts(scene: &Scene, allowed: u32) -> Result<()> {
    scene.write("garden.yaml", &yaml(""))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    assert_eq!(scene.bill().await.accepted.len(), 3);

    scene.write("garden.yaml", &yaml(&format!("defaults: {{ max_attempts: {allowed} }}")))?;
    let check = told(scene, &["check", "garden.yaml"], 0).await?;
    let policy = json!([{"field": "max_attempts", "from": 1, "to": allowed, "jobs": 1}]);
    assert_eq!((check.get("new"), check.pointer("/batches/0/policy")), (Some(&json!(0)), Some(&policy)));
    // The videos that are there need no second attempt, whatever is allowed.
    let run = scene.run(&["run", "garden.yaml", "--yes"]).await?.with_code(1)?;
    let run = run.saying("garden: nothing new; 3 known")?;
    run.saying(&format!("garden: 1 known job: max_attempts 1 → {allowed}"))?;
    assert_eq!(scene.bill().await.submissions, 3, "an edit was paid for");
    let again = told(scene, &["run", "garden.yaml", "--yes"], 1).await?;
    assert_eq!(again.get("policy"), Some(&json!([])), "it is said once");
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.total, counts.done, counts.failed, scene.bill().await.submissions), (3, 2, 1, 3));

    // A person orders another attempt, and the file may allow more than that.
    scene.run(&["retry", "garden"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml", "--yes"]).await?.with_code(1)?;
    let jobs = scene.jobs("garden").await?;
    let attempts: Vec<_> = jobs.iter().map(|job| (job.state.as_str(), job.attempt)).collect();
    assert_eq!(
        (attempts.as_slice(), scene.bill().await.submissions),
        ([("done", 1), ("done", 1), ("failed", allowed)].as_slice(), u64::from(allowed) + 2)
    );
    Ok(())
}

#[tokio::test]
async fn an_edit_of_max_attempts_pays_for_nothing_until_a_person_retries() -> Result<()> {
    an_edit_of_max_attempts(&on_sqlite(quick()).await?, 3).await
}

#[tokio::test]
async fn an_edit_of_max_attempts_pays_for_nothing_until_a_person_retries_on_redis() -> Result<()> {
    an_edit_of_max_attempts(&on_redis(quick()).await?, 2).await
}

#[tokio::test]
async fn a_rank_that_a_person_gave_stays_until_the_file_gives_another() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let rank = async || -> Result<Option<i64>> {
        let shown = told(&scene, &["show", "garden", "job-2"], 0).await?;
        Ok(shown.get("priority").and_then(Value::as_i64))
    };
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.run(&["update", "garden", "job-2", "--priority", "10"]).await?.with_code(0)?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(rank().await?, Some(10), "an unchanged file undid it");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3).defaults("{ max_attempts: 2 }"))?;
    let enqueued = told(&scene, &["enqueue", "garden.yaml"], 0).await?;
    assert_eq!(enqueued.pointer("/policy/0/jobs"), Some(&json!(3)));
    assert_eq!(rank().await?, Some(10), "the file said nothing of ranks");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 4).defaults("{ max_attempts: 2, priority: 5 }"))?;
    let ended = scene.run(&["enqueue", "garden.yaml", "--yes"]).await?.with_code(0)?;
    let ended = ended.saying("garden: 2 known jobs: priority 0 → 5")?.saying("garden: 1 known job: priority 10 → 5")?;
    ended.saying("1 job admitted")?;
    assert_eq!((rank().await?, scene.counts("garden").await?.queued), (Some(5), 4));
    Ok(())
}
