//! What is at rest for long is not shown, unless somebody asks for it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_tests::{Prompts, Scene, quick};

use crate::on_redis;

async fn names(scene: &Scene, words: &[&str]) -> Result<(Vec<String>, Value)> {
    let ended = scene.run(&[words, &["--json"]].concat()).await?.with_code(0)?;
    let status: Value = serde_json::from_str(&ended.stdout)?;
    let batches = status.get("batches").and_then(serde_json::Value::as_array).context("no batches")?;
    let names = batches.iter().map(|batch| batch["batch"].as_str().unwrap_or_default().to_owned()).collect();
    Ok((names, status))
}

#[tokio::test]
async fn status_shows_what_is_not_at_rest_or_only_lately_and_all_of_it_in_pages() -> Result<()> {
    let scene = on_redis(quick()).await?;
    for name in ["one", "two", "three", "four"] {
        scene.prompts(&format!("{name}.yaml"), &Prompts::numbered(name, 1))?;
        scene.run(&["enqueue", &format!("{name}.yaml")]).await?.with_code(0)?;
    }
    for name in ["one", "two", "three"] {
        scene.run(&["cancel", name]).await?.with_code(0)?;
    }
    let (all, status) = names(&scene, &["status"]).await?;
    assert_eq!(
        (all, &status["older"]),
        (["one", "two", "three", "four"].map(str::to_owned).to_vec(), &Value::from(false))
    );
    ensure!(status["batches"][0]["at_rest_since"].is_string() && status["batches"][3]["at_rest_since"].is_null());

    let redis = scene.redis.as_ref().context("a scene on Redis")?;
    redis.age_rest(Duration::from_secs(7 * 24 * 3600 + 60), 2)?;
    let (recent, status) = names(&scene, &["status"]).await?;
    assert_eq!((recent, &status["older"]), (["three", "four"].map(str::to_owned).to_vec(), &Value::from(true)));
    let ended = scene.run(&["status"]).await?.with_code(0)?.saying("left out: veobatch status --all")?;
    let is_listed = |name: &str| ended.stdout.lines().any(|line| line.starts_with(name));
    ensure!(!is_listed("one") && is_listed("four"), "{}", ended.stdout);
    // One that is named is shown, however old.
    assert_eq!(names(&scene, &["status", "one"]).await?.0, ["one"]);
    // One that is taken up again is no longer at rest.
    scene.run(&["retry", "two", "--state", "cancelled"]).await?.with_code(0)?;
    assert_eq!(names(&scene, &["status"]).await?.0, ["two", "three", "four"]);

    assert_eq!(names(&scene, &["status", "--all"]).await?.0, ["one", "two", "three", "four"]);
    let (page, status) = names(&scene, &["status", "--all", "--limit", "2"]).await?;
    assert_eq!((page, &status["next"]), (["one", "two"].map(str::to_owned).to_vec(), &Value::from("two")));
    let (page, status) = names(&scene, &["status", "--all", "--limit", "2", "--after", "two"]).await?;
    assert_eq!((page, &status["next"]), (["three", "four"].map(str::to_owned).to_vec(), &Value::Null));
    scene.run(&["status", "--all", "--limit", "1"]).await?.with_code(0)?.saying("veobatch status --all --after one")?;
    scene.run(&["status", "--limit", "1"]).await?.with_code(2)?;
    Ok(())
}
