//! Ledgers of older formats go on; and a program that is too old for its ledger stops with words.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use veobatch_tests::{Counts, Fixture, Prompts, Scene, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

/// The files whose jobs the kept ledgers have.
const FILES: [&str; 5] = ["states.yaml", "unnamed.yaml", "night.yaml", "daily.yaml", "old.yaml"];

/// The batches with all their jobs.
const TOTALS: [(&str, u64); 6] =
    [("states", 12), ("unnamed", 10), ("night", 2), ("daily", 2), ("daily-2026-11-28", 2), ("old", 5)];

/// A scene whose ledger and service are those that were kept.
async fn kept(scene: Scene, kind: &str) -> Result<Scene> {
    let store = scene.path("tasks.jsonl");
    Fixture::new("format-1", kind, Duration::from_secs(300), "").unpack(&scene.path(""))?;
    let scene = scene.remembering(quick(), &store).await?.with("VEOBATCH_STATE_DIR", "state");
    let fixture = Fixture::new("format-1", kind, Duration::from_secs(300), &scene.simulator.base_url());
    match &scene.redis {
        Some(redis) => {
            for command in fixture.commands() {
                let answer = redis.ask(&command)?;
                ensure!(!answer.starts_with('-'), "{command}: {answer}");
            }
        }
        None => Connection::open(scene.path("veobatch.db"))?.execute_batch(&fixture.sql())?,
    }
    Ok(scene)
}

/// The program knows every job, pays for nothing again, and goes on with what is under way.
async fn goes_on(scene: &Scene) -> Result<()> {
    let before = scene.bill().await;
    for file in FILES {
        scene.run(&["enqueue", file]).await?.with_code(0)?;
    }
    for (batch, jobs) in TOTALS {
        assert_eq!(scene.counts(batch).await?.total, jobs, "{batch}");
    }
    // Not until it is idle: that waits for closed windows, and one of the batches begins in 2099.
    let worker = scene.start(&["worker"])?;
    let stray_is_saved = || {
        let files = std::fs::read_dir(scene.path("videos/states")).into_iter().flatten().flatten();
        let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names.any(|name| name.starts_with("twice.stray-") && name.contains(".json"))
    };
    let is_through = |states: &Counts| states.done == 6 && states.in_doubt == 2 && stray_is_saved();
    let states = scene.until("states", "what is under way", is_through).await?;
    // Whose call was cut off is in doubt, as a worker of the same format would have found it.
    assert_eq!((states.queued, states.failed, states.cancelled), (2, 1, 1), "{states:?}");
    assert_eq!(scene.counts("unnamed").await?.queued, 4);
    for video in ["generating.mp4", "upscaling.mp4", "downloading.mp4"] {
        ensure!(scene.path(format!("videos/states/{video}")).exists(), "{video} is not there");
    }
    let bill = scene.bill().await;
    assert_eq!(
        (bill.accepted.len(), bill.charged),
        (before.accepted.len(), before.charged),
        "nothing is paid for again"
    );

    if let Some(redis) = &scene.redis {
        redis.end_recovery()?;
    }
    scene.run(&["resume", "states"]).await?.with_code(0)?;
    scene.until("states", "what was queued", |states| states.done == 8).await?;
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;
    assert_eq!(scene.bill().await.accepted.len(), before.accepted.len() + 2, "what was queued is paid for once");
    Ok(())
}

#[tokio::test]
async fn a_file_of_format_1_goes_on_and_nothing_of_it_is_paid_for_again() -> Result<()> {
    goes_on(&kept(on_sqlite(quick()).await?, "sqlite").await?).await
}

#[tokio::test]
async fn a_redis_ledger_of_format_1_goes_on_and_nothing_of_it_is_paid_for_again() -> Result<()> {
    goes_on(&kept(on_redis(quick()).await?, "redis").await?).await
}

#[tokio::test]
async fn a_worker_stops_with_words_when_a_newer_program_changes_the_format() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 600_000;
    let scene = on_redis(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    scene.until("garden", "two videos in the making", |counts| counts.generating == 2).await?;
    scene.redis.as_ref().context("a server")?.ask("HSET {veobatch}:meta format 3")?;
    worker.wait(PATIENCE).await?.with_code(3)?.saying("the ledger has format 3")?.saying("a newer version")?;
    scene.run(&["status"]).await?.with_code(3)?.saying("a newer version of veobatch")?;
    assert_eq!(scene.bill().await.accepted.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_file_of_a_newer_format_is_refused_with_words() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    Connection::open(scene.path("veobatch.db"))?.pragma_update(None, "user_version", 3)?;
    for words in [vec!["status"], vec!["run", "garden.yaml"], vec!["worker"]] {
        scene.run(&words).await?.with_code(3)?.saying("the ledger has format 3")?.saying("a newer version")?;
    }
    assert_eq!(scene.bill().await.submissions, 0);
    Ok(())
}
