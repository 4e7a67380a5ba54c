//! An output directory that hangs, as a network disk does whose server is gone: a call on it comes back never, or late.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::time::{Duration, Instant};
use veobatch_tests::{Prompts, Scene, quick};

use crate::{PATIENCE, on_sqlite};

/// From a second Ctrl-C to the end, with some air for a busy machine.
const SECONDS: Duration = Duration::from_secs(20);

/// The output directory hangs as long as there is a file `hangs`.
async fn scene(jobs: usize) -> Result<Scene> {
    let mut config = quick();
    config.generation.median_ms = 1_000;
    let scene = on_sqlite(config).await?;
    let hangs = scene.path("hangs").display().to_string();
    let scene = scene.with("VEOBATCH_TEST_HANG_WHILE", &hangs).with("VEOBATCH_RATE", "4/1s");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", jobs))?;
    Ok(scene)
}

async fn until_status(scene: &Scene, words: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = scene.run(&["status"]).await?.with_code(0)?;
        if status.stdout.contains(words) || status.stderr.contains(words) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "status never said {words:?}: {}{}", status.stdout, status.stderr);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_hung_output_directory_stops_submissions_and_nothing_else_until_it_answers_again() -> Result<()> {
    let scene = scene(80).await?.with("VEOBATCH_DAILY_BUDGET", "100000");
    let worker = scene.start(&["worker"])?;
    scene.until_said(&worker, "working").await?;
    scene.write("hangs", "")?;
    // The day of the budget is begun, jobs are submitted and followed, all while the directory hangs.
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.until("garden", "videos to wait to be saved", |counts| counts.downloading > 0).await?;
    until_status(&scene, "the output directory does not answer").await?;
    let paid = scene.bill().await.submissions;
    ensure!(paid < 80, "everything was paid for before the brake was put on");
    scene
        .until("garden", "all that is paid for to be made", |counts| counts.generating + counts.submitting == 0)
        .await?;
    assert_eq!(scene.counts("garden").await?.done, 0);
    std::fs::remove_file(scene.path("hangs"))?;
    scene.until("garden", "everything to be done", |counts| counts.done == 80).await?;
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;
    assert_eq!(scene.most_per_prompt().await, 1);
    Ok(())
}

#[tokio::test]
async fn a_second_ctrl_c_ends_a_run_whose_output_directory_hangs_within_seconds() -> Result<()> {
    let scene = scene(4).await?;
    // At the start, and in the middle of saving.
    for is_late in [false, true] {
        if !is_late {
            scene.write("hangs", "")?;
        }
        let run = scene.start(&["run", "garden.yaml"])?;
        if is_late {
            scene.until("garden", "a job to be made", |counts| counts.generating > 0).await?;
            scene.write("hangs", "")?;
            scene.until("garden", "a video to wait to be saved", |counts| counts.downloading > 0).await?;
        } else {
            scene.until("garden", "the jobs to be admitted", |counts| counts.queued == 4).await?;
        }
        run.interrupt().await?;
        scene.until_said(&run, "stopping: no new submissions").await?;
        let asked = Instant::now();
        tokio::time::sleep(Duration::from_millis(1_100)).await; // sooner it would be the same order
        run.interrupt().await?;
        run.wait(SECONDS).await?.with_code(130)?.saying("the same command continues from here")?;
        ensure!(asked.elapsed() < SECONDS, "{:?}", asked.elapsed());
        std::fs::remove_file(scene.path("hangs"))?;
    }
    scene.run(&["run", "garden.yaml"]).await?;
    let counts = scene.counts("garden").await?;
    ensure!(counts.done + counts.in_doubt == 4 && scene.most_per_prompt().await == 1, "{counts:?}");
    Ok(())
}

async fn has_stored_its_pace(scene: &Scene) -> Result<bool> {
    let account = scene.run(&["account", "--json"]).await?.stdout;
    Ok(serde_json::from_str::<serde_json::Value>(&account)
        .is_ok_and(|account| account.get("submissions") == Some(&200.into())))
}

/// A terminal that was stopped with Ctrl-S, or a pager that nobody scrolls: whoever has words for it waits for ever.
#[tokio::test]
async fn a_second_ctrl_c_ends_a_run_whose_words_nobody_takes_within_seconds() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    let (_reader, mut full) = std::io::pipe()?;
    full.write_all(&vec![b'.'; 64 << 10])?;
    let mut command = scene.command(&["run", "garden.yaml"]);
    let mut run = command.stdout(Stdio::null()).stderr(full).kill_on_drop(true).spawn()?;
    // What it says first is what it has just stored.
    let deadline = Instant::now() + PATIENCE;
    while !has_stored_its_pace(&scene).await? {
        ensure!(Instant::now() < deadline, "it never came to store its settings");
    }
    let id = run.id().context("it has ended")?.to_string();
    for is_second in [false, true] {
        if is_second {
            tokio::time::sleep(Duration::from_millis(1_100)).await; // sooner it would be the same order
        }
        ensure!(Command::new("kill").args(["-INT", &id]).status().await?.success(), "it has ended");
    }
    assert_eq!(tokio::time::timeout(SECONDS, run.wait()).await??.code(), Some(130));
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_larger_than_allowed_waits_says_so_and_is_saved_once_it_is_allowed() -> Result<()> {
    let mut config = quick();
    config.files.video_bytes = 300_000;
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    let run = scene.start(&["run", "garden.yaml", "--max-download-size", "200KB"])?;
    until_status(&scene, "--max-download-size is 196 KiB").await?;
    run.interrupt().await?;
    run.wait(PATIENCE).await?.with_code(130)?;
    assert_eq!(scene.counts("garden").await?.downloading, 1);
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 1);
    Ok(())
}
