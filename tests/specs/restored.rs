//! A ledger that does not know its own past: restored from a backup, or emptied. Nothing is paid for twice.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use veobatch_simulator::Config;
use veobatch_tests::{Prompts, Scene, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

const LEDGER: &str = "veobatch.db";

fn slow() -> Config {
    let mut config = quick();
    config.generation.median_ms = 1_000;
    config
}

/// Starts `words`, and stops it gracefully once `submissions` were made in all.
async fn run_until(scene: &Scene, words: &[&str], submissions: u64) -> Result<()> {
    let run = scene.start(words)?;
    scene.until_billed("the middle", |bill| bill.submissions >= submissions).await?;
    run.interrupt().await?;
    run.wait(PATIENCE).await?.with_code(130)?;
    Ok(())
}

/// As a person restores a backup that was made while nothing worked.
fn restore(scene: &Scene) -> Result<()> {
    for file in [LEDGER, "veobatch.db-wal", "veobatch.db-shm"] {
        if scene.path(file).exists() {
            fs::remove_file(scene.path(file))?;
        }
    }
    fs::copy(scene.path("backup.db"), scene.path(LEDGER)).context("failed to restore the backup")?;
    Ok(())
}

fn back_up(scene: &Scene) -> Result<()> {
    ensure!(!scene.path("veobatch.db-wal").exists(), "the ledger is not closed");
    fs::copy(scene.path(LEDGER), scene.path("backup.db")).context("failed to back up the ledger")?;
    Ok(())
}

#[tokio::test]
async fn a_restored_ledger_submits_nothing_until_a_person_agreed_and_pays_for_nothing_twice() -> Result<()> {
    let scene = on_sqlite(slow()).await?.with("VEOBATCH_RATE", "10/1s");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 30))?;
    run_until(&scene, &["run", "garden.yaml"], 8).await?;
    back_up(&scene)?;
    run_until(&scene, &["run", "garden.yaml"], 20).await?;
    let (paid, known) = (scene.bill().await.submissions, scene.counts("garden").await?);
    ensure!(known.done > 0 && known.sent() > known.done && paid < 30, "saved, under way and queued: {known:?}");
    restore(&scene)?;

    let held = scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    held.saying("restored from a backup")?.saying("--accept-restored-ledger")?;
    assert_eq!(scene.bill().await.submissions, paid, "nobody agreed");
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.done, counts.in_doubt), (paid, 0), "what was paid for is followed and saved: {counts:?}");
    let held = scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    held.saying("nothing is submitted")?;
    assert_eq!(scene.bill().await.submissions, paid);

    scene.run(&["run", "garden.yaml", "--accept-restored-ledger"]).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.done, 30);
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (30, 1));
    // It was agreed to once; and the same backup is an older copy again.
    scene.prompts("more.yaml", &Prompts::numbered("more", 1))?;
    scene.run(&["run", "more.yaml"]).await?.with_code(0)?;
    restore(&scene)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?.saying("restored from a backup")?;
    assert_eq!(scene.bill().await.submissions, 31);
    Ok(())
}

#[tokio::test]
async fn a_restored_ledger_is_told_of_calls_that_a_killed_worker_made() -> Result<()> {
    let scene = on_sqlite(slow()).await?.with("VEOBATCH_RATE", "10/1s");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 20))?;
    run_until(&scene, &["run", "garden.yaml"], 4).await?;
    back_up(&scene)?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the middle", |bill| bill.submissions >= 12).await?;
    run.kill().await?;
    restore(&scene)?;
    let ended = scene.run(&["run", "garden.yaml", "--accept-restored-ledger"]).await?;
    let counts = scene.counts("garden").await?;
    assert_eq!(counts.done + counts.in_doubt, 20, "{counts:?}");
    assert_eq!(ended.code, Some(i32::from(counts.in_doubt > 0)), "{}", ended.stderr);
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (20, 1));
    Ok(())
}

#[tokio::test]
async fn a_job_that_a_restored_ledger_does_not_know_is_named_and_not_paid_for_again_once_it_is_enqueued() -> Result<()>
{
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.prompts("night.yaml", &Prompts::numbered("night", 4))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    back_up(&scene)?;
    scene.run(&["run", "night.yaml"]).await?.with_code(0)?;
    restore(&scene)?;
    let held = scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    held.saying("does not know 4 jobs that were paid for (night: 4)")?;
    scene.run(&["run", "night.yaml", "--accept-restored-ledger"]).await?.with_code(0)?;
    assert_eq!(scene.counts("night").await?.done, 4);
    assert_eq!(scene.bill().await.submissions, 7);
    Ok(())
}

#[tokio::test]
async fn the_journals_of_an_emptied_redis_are_told_of_and_adopted_when_a_person_says_so() -> Result<()> {
    let scene = on_redis(slow()).await?.with("VEOBATCH_RATE", "20/1s").with("VEOBATCH_STATE_DIR", "state");
    scene.prompts("night.yaml", &Prompts::numbered("night", 12))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    scene.until("night", "some to be saved", |counts| counts.done >= 2 && counts.submitting == 0).await?;
    worker.kill().await?;
    let paid = scene.bill().await.submissions;
    scene.redis.as_ref().context("a scene on Redis")?.ask("FLUSHALL")?;

    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    scene.run(&["pause", "night"]).await?.with_code(0)?;
    let worker = scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    worker.saying("of another ledger")?.saying("--adopt-journals")?;
    assert_eq!(scene.counts("night").await?.sent(), 0, "it is told nothing by itself");

    let adopting = scene.run(&["worker", "--until-idle", "--adopt-journals"]).await?.with_code(0)?;
    let counts = scene.counts("night").await?;
    assert_eq!(counts.done + counts.in_doubt, paid, "{counts:?}\n{}", adopting.stderr);
    scene.run(&["resume", "night"]).await?.with_code(0)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let counts = scene.counts("night").await?;
    assert_eq!(counts.done + counts.in_doubt, 12, "{counts:?}");
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (12, 1));
    Ok(())
}

#[tokio::test]
async fn two_ledgers_that_share_a_state_directory_do_not_hear_each_others_journals() -> Result<()> {
    // Both are `x.state`.
    let scene = on_sqlite(slow()).await?.with("VEOBATCH_RATE", "10/1s").with("VEOBATCH_LEDGER", "sqlite:x.db");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 12))?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the middle", |bill| bill.submissions >= 6).await?;
    run.kill().await?;
    let paid = scene.bill().await.submissions;

    let other = ["--ledger", "sqlite:x.sqlite"];
    scene.run(&[&other[..], &["enqueue", "garden.yaml"]].concat()).await?.with_code(0)?;
    scene.run(&[&other[..], &["pause", "garden"]].concat()).await?.with_code(0)?;
    let worker = scene.run(&[&other[..], &["worker", "--until-idle"]].concat()).await?.with_code(0)?;
    worker.saying("of another ledger")?;
    assert_eq!(scene.bill().await.submissions, paid);

    scene.run(&["run", "garden.yaml"]).await?;
    let counts = scene.counts("garden").await?;
    assert_eq!(counts.done + counts.in_doubt, 12, "its journal was kept: {counts:?}");
    assert_eq!(scene.most_per_prompt().await, 1);
    Ok(())
}

#[tokio::test]
async fn on_a_terminal_it_is_asked_whether_a_restored_ledger_may_submit() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    back_up(&scene)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    restore(&scene)?;
    scene.prompts("more.yaml", &Prompts::numbered("more", 2))?;
    scene.run(&["enqueue", "more.yaml"]).await?.with_code(0)?;
    for (answer, code, submissions) in [("n", 1, 3), ("y", 0, 5)] {
        let mut terminal = scene.start_on_a_terminal(&["worker", "--until-idle"])?;
        terminal.until_seen("submit what is still queued? [y/N]").await?;
        ensure!(terminal.seen().contains("restored from a backup"), "{}", terminal.seen());
        terminal.answer(answer).await?;
        terminal.wait(PATIENCE).await?.with_code(code)?;
        assert_eq!(scene.bill().await.submissions, submissions, "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn where_no_journal_is_left_the_sidecars_tell_a_restored_ledger_what_is_done() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    back_up(&scene)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    restore(&scene)?;
    let mut forgotten = 0;
    for file in fs::read_dir(scene.path("veobatch.state"))? {
        let file = file?;
        if file.file_name().to_string_lossy().ends_with(".jsonl") {
            fs::remove_file(file.path())?;
            forgotten += 1;
        }
    }
    ensure!(forgotten > 0, "no journal was left");
    scene.run(&["run", "garden.yaml", "--accept-restored-ledger"]).await?.with_code(0)?;
    assert_eq!((scene.counts("garden").await?.done, scene.bill().await.submissions), (3, 3));
    Ok(())
}
