//! What becomes of finished jobs: compact, and never paid for again; forgotten only if a person says so.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use veobatch_simulator::{Fault, Rule};
use veobatch_tests::{Movie, Prompts, Scene, prompt, quick};

use crate::{on_redis, on_sqlite};

#[tokio::test]
async fn a_purged_batch_is_known_by_its_content_and_not_paid_for_again_in_a_file() -> Result<()> {
    purged_and_known(&on_sqlite(quick()).await?).await
}

#[tokio::test]
async fn a_purged_batch_is_known_by_its_content_and_not_paid_for_again_on_redis() -> Result<()> {
    purged_and_known(&on_redis(quick()).await?).await
}

async fn purged_and_known(scene: &Scene) -> Result<()> {
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let before = jobs(scene, "garden").await?;
    let purged = |count: u32| json!({"batch": "garden", "compacted": count, "forgotten": false});
    assert_eq!(purge(scene, &["--older-than", "1d"]).await?, purged(0));
    assert_eq!(purge(scene, &[]).await?, purged(5));
    assert_eq!(purge(scene, &[]).await?, purged(0), "the second time there is nothing left to do");

    for (was, is) in before.iter().zip(&jobs(scene, "garden").await?) {
        let mut expected = was.as_object().context("a job is an object")?.clone();
        expected.insert("prompt".to_owned(), Value::Null);
        expected.insert("compacted".to_owned(), json!(true));
        assert_eq!(is.as_object(), Some(&expected));
    }
    let shown = scene.run(&["show", "garden", "job-2"]).await?.with_code(0)?.stdout;
    let sidecar = shown.split_whitespace().find(|word| word.ends_with("job-2.json")).context("no sidecar is named")?;
    ensure!(std::fs::read_to_string(scene.path(sidecar))?.contains(&prompt(2)), "{sidecar} does not tell the prompt");
    assert_eq!(scene.counts("garden").await?.done, 5);

    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?.saying("everything is done already")?;
    scene.prompts("more.yaml", &Prompts::numbered("garden", 6))?;
    scene.run(&["run", "more.yaml"]).await?.with_code(0)?;
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (6, 1));

    scene.prompts("other.yaml", &Prompts::of("garden").job("job-3", "another prompt under a known name", ""))?;
    scene.run(&["run", "other.yaml"]).await?.with_code(2)?.saying("job-3")?;
    assert_eq!(scene.bill().await.submissions, 6);
    Ok(())
}

#[tokio::test]
async fn a_worker_drops_the_details_of_what_is_old_enough() -> Result<()> {
    let scene = on_redis(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 4))?;
    scene.run(&["run", "garden.yaml", "--compact-after", "never"]).await?.with_code(0)?;
    ensure!(
        jobs(&scene, "garden").await?.iter().all(|job| job.get("compacted") == Some(&json!(false))),
        "never is never"
    );
    scene.run(&["worker", "--until-idle", "--compact-after", "0s"]).await?.with_code(0)?;
    ensure!(
        jobs(&scene, "garden").await?.iter().all(|job| job.get("compacted") == Some(&json!(true))),
        "0s is at once"
    );
    Ok(())
}

#[tokio::test]
async fn a_batch_is_forgotten_only_if_that_is_meant_and_is_paid_for_again_then() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Close, [2]).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let forget = ["purge", "garden", "--forget", "--yes"];
    scene.run(&forget).await?.with_code(1)?.saying("in doubt")?;
    let doubtful = jobs(&scene, "garden").await?.into_iter().find(|job| job.get("state") == Some(&json!("in_doubt")));
    let doubtful = doubtful.context("nothing is in doubt")?;
    let name = doubtful.get("job").and_then(Value::as_str).context("a job has a name")?;
    scene.run(&["resolve", "garden", name, "--give-up"]).await?.with_code(0)?;

    scene.run(&["purge", "garden", "--forget"]).await?.with_code(2)?.saying("paid for again")?;
    assert_eq!(scene.counts("garden").await?.done, 2, "nobody said yes");
    scene.run(&forget).await?.with_code(0)?.saying("forgot garden")?;
    assert_eq!(scene.counts("garden").await?.total, 0);
    scene.run(&["purge", "garden"]).await?.with_code(2)?;

    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!((scene.counts("garden").await?.done, scene.bill().await.accepted.len()), (3, 6));
    // The videos of the first time are still there, beside those of the second.
    let files = std::fs::read_dir(scene.path("videos/garden"))?.flatten().map(|file| file.path());
    let movies: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "mp4")).collect();
    assert_eq!(movies.len(), 5, "{movies:?}");
    for movie in movies {
        Movie::open(&movie)?;
    }
    Ok(())
}

/// `purge garden` with these further words, and what it prints.
async fn purge(scene: &Scene, words: &[&str]) -> Result<Value> {
    let ended = scene.run(&[&["purge", "garden", "--json"], words].concat()).await?.with_code(0)?;
    serde_json::from_str(&ended.stdout).context("purge --json is not one document")
}

async fn jobs(scene: &Scene, batch: &str) -> Result<Vec<Value>> {
    let ended = scene.run(&["jobs", batch, "--json"]).await?.with_code(0)?;
    serde_json::from_str(&ended.stdout).context("jobs --json is not a list")
}
