//! From a SQLite file to Redis and back, with jobs under way: nothing is paid for twice, and no video is lost.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use veobatch_simulator::Config;
use veobatch_tests::{Prompts, Scene, quick};

use crate::{PATIENCE, on_redis};

const FILE: &str = "sqlite:veobatch.db";

fn slow() -> Config {
    let mut config = quick();
    config.generation.median_ms = 1_000;
    config
}

/// A scene that begins with a file, and has a server too.
async fn with_both(config: Config) -> Result<(Scene, String)> {
    let scene = on_redis(config).await?.with("VEOBATCH_RATE", "10/1s").with("VEOBATCH_LEDGER", FILE);
    let server = scene.redis.as_ref().context("a scene on Redis")?.url();
    Ok((scene, server))
}

/// Whatever was accepted was saved or is in doubt, and nothing was accepted twice.
async fn comes_to_its_end(scene: &Scene, ledger: &str, jobs: u64) -> Result<()> {
    scene.run(&["worker", "--until-idle", "--ledger", ledger]).await?.with_code(0)?;
    let status = scene.run(&["status", "--json", "--ledger", ledger]).await?.with_code(0)?;
    let status: serde_json::Value = serde_json::from_str(&status.stdout)?;
    let count = |state: &str| status.pointer(&format!("/batches/0/{state}")).and_then(serde_json::Value::as_u64);
    let (done, in_doubt) = (count("done").unwrap_or_default(), count("in_doubt").unwrap_or_default());
    assert_eq!(done + in_doubt, jobs, "{status}");
    let bill = scene.bill().await;
    assert_eq!(scene.most_per_prompt().await, 1);
    ensure!(bill.submissions <= jobs && bill.submissions >= done, "{bill:?}");
    let videos = fs::read_dir(scene.path("videos/garden"))?.flatten();
    let saved = videos.filter(|video| video.path().extension().is_some_and(|is| is == "mp4")).count();
    assert_eq!(saved as u64, done);
    Ok(())
}

#[tokio::test]
async fn jobs_under_way_move_from_a_file_to_a_server_and_nothing_is_paid_for_twice() -> Result<()> {
    let (scene, server) = with_both(slow()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 30))?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the middle", |bill| bill.submissions >= 12).await?;
    run.interrupt().await?;
    run.wait(PATIENCE).await?.with_code(130)?;
    let before = scene.counts("garden").await?;
    ensure!(before.queued > 0 && before.sent() > before.done, "some are under way: {before:?}");

    scene.run(&["ledger", "export", "all.jsonl"]).await?.with_code(0)?.saying("exported 30 jobs of 1 batch")?;
    scene.run(&["ledger", "export", "all.jsonl"]).await?.with_code(2)?.saying("it exists already")?;
    let paid = scene.bill().await.submissions;
    let imported = scene.run(&["ledger", "import", "all.jsonl", "--ledger", &server]).await?.with_code(0)?;
    imported.saying("refuses all changes")?.saying("imported 30 jobs of 1 batch")?;
    assert_eq!(scene.bill().await.submissions, paid);

    for refused in [&["run", "garden.yaml"][..], &["worker", "--until-idle"], &["enqueue", "garden.yaml"]] {
        scene.run(refused).await?.with_code(2)?.saying("its jobs were moved to redis://")?;
    }
    scene.run(&["pause", "garden"]).await?.with_code(2)?.saying("its jobs were moved to redis://")?;
    scene.run(&["status"]).await?.with_code(0)?.saying("were moved to redis://")?;
    scene.run(&["jobs", "garden"]).await?.with_code(0)?.saying("were moved to redis://")?;
    assert_eq!(scene.bill().await.submissions, paid, "it submits nothing");

    scene.run(&["enqueue", "garden.yaml", "--ledger", &server]).await?.with_code(0)?;
    comes_to_its_end(&scene, &server, 30).await?;
    assert_eq!(scene.bill().await.submissions, 30, "and nothing is in doubt");
    scene.run(&["ledger", "import", "all.jsonl", "--ledger", &server]).await?.with_code(0)?.saying("nothing to do")?;
    Ok(())
}

#[tokio::test]
async fn what_a_killed_worker_paid_for_is_known_to_the_new_ledger() -> Result<()> {
    let (scene, server) = with_both(slow()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 30))?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the middle", |bill| bill.submissions >= 12).await?;
    run.kill().await?;
    let paid = scene.bill().await.submissions;
    scene.run(&["ledger", "export", "all.jsonl"]).await?.with_code(0)?;
    scene.run(&["ledger", "import", "all.jsonl", "--ledger", &server]).await?.with_code(0)?.saying("of paid calls")?;
    // The old directory is not needed any more.
    fs::remove_dir_all(scene.path("veobatch.state"))?;
    comes_to_its_end(&scene, &server, 30).await?;
    let counts = scene.bill().await.submissions;
    ensure!(counts >= paid, "{counts}");
    Ok(())
}

#[tokio::test]
async fn a_server_moves_to_a_file_once_its_workers_are_stopped() -> Result<()> {
    let (scene, server) = with_both(slow()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 20))?;
    let at = ["--ledger", server.as_str()];
    scene.run(&[&["enqueue", "garden.yaml"], &at[..]].concat()).await?.with_code(0)?;
    let worker = scene.start(&[&["worker"], &at[..]].concat())?;
    scene.until_billed("the middle", |bill| bill.submissions >= 6).await?;
    worker.interrupt().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;
    scene.run(&[&["ledger", "export", "early.jsonl"], &at[..]].concat()).await?.with_code(0)?;
    let worker = scene.start(&[&["worker"], &at[..]].concat())?;
    scene.until_billed("some more", |bill| bill.submissions >= 10).await?;
    let early = scene.run(&["ledger", "import", "early.jsonl", "--ledger", "sqlite:new.db"]).await?.with_code(1)?;
    ensure!(early.stderr.contains("changed since") || early.stderr.contains("workers hold jobs"), "{}", early.stderr);
    worker.interrupt().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;
    let early = scene.run(&["ledger", "import", "early.jsonl", "--ledger", "sqlite:new.db"]).await?.with_code(1)?;
    early.saying("changed since it was exported")?;

    scene.run(&[&["ledger", "export", "all.jsonl"], &at[..]].concat()).await?.with_code(0)?;
    scene.run(&["ledger", "import", "all.jsonl", "--ledger", "sqlite:new.db"]).await?.with_code(0)?;
    scene.run(&[&["worker", "--until-idle"], &at[..]].concat()).await?.with_code(2)?.saying("moved to sqlite:/")?;
    comes_to_its_end(&scene, "sqlite:new.db", 20).await?;
    assert_eq!(scene.bill().await.submissions, 20);
    Ok(())
}

#[tokio::test]
async fn a_backup_of_a_file_whose_jobs_were_moved_submits_nothing() -> Result<()> {
    let (scene, server) = with_both(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 6))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    fs::copy(scene.path("veobatch.db"), scene.path("backup.db"))?;
    scene.run(&["ledger", "export", "all.jsonl"]).await?.with_code(0)?;
    scene.run(&["ledger", "import", "all.jsonl", "--ledger", &server]).await?.with_code(0)?;
    comes_to_its_end(&scene, &server, 6).await?;
    for file in ["veobatch.db-wal", "veobatch.db-shm"] {
        drop(fs::remove_file(scene.path(file)));
    }
    fs::rename(scene.path("backup.db"), scene.path("veobatch.db"))?;
    let held = scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    held.saying("moved by `ledger import`")?;
    assert_eq!(scene.bill().await.submissions, 6);
    Ok(())
}

#[tokio::test]
async fn an_export_of_a_ledger_that_is_lost_submits_nothing_until_a_person_agreed() -> Result<()> {
    let (scene, server) = with_both(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 8))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.run(&["ledger", "export", "all.jsonl"]).await?.with_code(0)?;
    let lost = ["ledger", "import", "all.jsonl", "--ledger", &server, "--source-is-lost"];
    scene.run(&lost).await?.with_code(2)?.saying("it still exists")?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the middle", |bill| bill.submissions >= 3).await?;
    run.kill().await?;
    let paid = scene.bill().await.submissions;
    for file in ["veobatch.db", "veobatch.db-wal", "veobatch.db-shm"] {
        drop(fs::remove_file(scene.path(file)));
    }
    scene.run(&lost[..5]).await?.with_code(2)?.saying("--source-is-lost")?;
    scene.run(&lost).await?.with_code(0)?.saying("until you agree")?;
    let held = scene.run(&["worker", "--until-idle", "--ledger", &server]).await?.with_code(0)?;
    held.saying("one that is lost")?;
    assert_eq!(scene.bill().await.submissions, paid, "nobody agreed");
    let agreed = ["worker", "--until-idle", "--accept-restored-ledger", "--ledger", &server];
    scene.run(&agreed).await?.with_code(0)?;
    comes_to_its_end(&scene, &server, 8).await
}
