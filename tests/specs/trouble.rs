//! What goes wrong out there, and what a person sees of it.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use veobatch_simulator::{Config, Endpoint, Fault, Faults, Rule};
use veobatch_tests::{KEY, Movie, Prompts, Scene, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

#[tokio::test]
async fn an_empty_account_stops_submissions_fails_no_job_and_opens_again_by_itself() -> Result<()> {
    let mut config = quick();
    config.credits = 60 * 4;
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 10))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    let counts = scene.until("garden", "the paid jobs to end", |counts| counts.done == 4).await?;
    assert_eq!((counts.failed, counts.in_doubt), (0, 0), "{counts:?}");
    let refused = scene.bill().await.turned_away.get(&402).copied().unwrap_or_default();
    ensure!((1..=16).contains(&refused), "{refused} submissions to an empty account");
    let status = scene.run(&["status"]).await?;
    ensure!((status.stdout + &status.stderr).contains("credit"), "status does not say what is waited for");

    let mut richer = scene.simulator.config();
    richer.credits = 1_000_000;
    scene.simulator.update(richer)?;
    worker.wait(3 * PATIENCE).await?.with_code(0)?;
    let jobs = scene.jobs("garden").await?;
    assert!(jobs.iter().all(|job| job.state == "done" && job.attempt == 1), "{jobs:?}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_ends_the_program_with_3_and_costs_nothing() -> Result<()> {
    let scene = on_sqlite(quick()).await?.with("KIE_API_KEY", "another-key-0123456789");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(3)?.saying("key")?;
    assert_eq!(scene.bill().await.accepted.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_refused_during_the_night_stops_the_worker_with_3_and_loses_nothing() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 1_500;
    let scene = on_redis(config).await?.with("VEOBATCH_MAX_IN_FLIGHT", "3");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 12))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    scene.until("garden", "some to be in flight", |counts| counts.generating >= 2 && counts.done >= 1).await?;
    let good = scene.simulator.config();
    scene.simulator.update(Config { keys: vec!["another-key-0123456789".to_owned()], ..good.clone() })?;
    worker.wait(PATIENCE).await?.with_code(3)?.saying("refuses the API key")?;
    let status = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(status.contains("because the service refused its key"), "{status}");
    let left = scene.counts("garden").await?;
    assert_eq!((left.failed, left.in_doubt, left.total), (0, 0, 12), "{left:?}");

    scene.simulator.update(good)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let jobs = scene.jobs("garden").await?;
    assert!(jobs.iter().all(|job| job.state == "done" && job.attempt == 1), "{jobs:?}");
    assert_eq!((scene.bill().await.accepted.len(), scene.most_per_prompt().await), (12, 1));
    Ok(())
}

#[tokio::test]
async fn a_mistyped_key_or_base_does_not_claim_a_new_ledger() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    let base = scene.simulator.base_url();
    let scene = scene.with("KIE_API_KEY", "another-key-0123456789");
    scene.run(&["run", "garden.yaml"]).await?.with_code(3)?.saying("key")?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(3)?.saying("key")?;
    let scene = scene.with("KIE_API_KEY", KEY).with("VEOBATCH_API_BASE", "http://127.0.0.1:9");
    scene.run(&["run", "garden.yaml"]).await?.with_code(3)?.saying("service")?;
    let scene = scene.with("VEOBATCH_API_BASE", &base);
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    Ok(())
}

#[tokio::test]
async fn without_a_key_nothing_is_tried_and_the_exit_code_is_2() -> Result<()> {
    let scene = on_sqlite(quick()).await?.without("KIE_API_KEY");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    for words in [["run", "garden.yaml"].as_slice(), &["worker"], &["credits"]] {
        scene.run(words).await?.with_code(2)?.saying("KIE_API_KEY")?;
    }
    assert!(scene.bill().await.requests.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_ledger_that_cannot_be_reached_is_exit_code_3() -> Result<()> {
    // A port on which nobody listens any more.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let scene = on_sqlite(quick()).await?.with("VEOBATCH_LEDGER", &format!("redis://127.0.0.1:{port}/0"));
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    for words in [["status"].as_slice(), &["enqueue", "garden.yaml"], &["run", "garden.yaml"]] {
        scene.run(words).await?.with_code(3)?;
    }
    assert_eq!(scene.bill().await.submissions, 0);
    Ok(())
}

#[tokio::test]
async fn an_output_folder_that_cannot_be_written_is_found_before_anything_is_paid_for() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    // Not by permissions: they do not stop a superuser, as in most containers.
    scene.write("file", "not a folder")?;
    scene.run(&["run", "garden.yaml", "--output", "file/videos"]).await?.with_code(2)?.saying("file/videos")?;
    assert_eq!(scene.bill().await.submissions, 0);
    Ok(())
}

#[tokio::test]
async fn a_full_disk_makes_the_job_wait_and_the_video_is_saved_once_there_is_room() -> Result<()> {
    let mut config = quick();
    config.files.video_bytes = 3_000_000;
    let scene = on_redis(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    // No file may grow beyond a megabyte: a write fails, as on a full disk, wherever the specification runs.
    let small = scene.command_after("trap '' XFSZ; ulimit -f 1000", &["worker"]);
    let worker = scene.start_command(small, "worker")?;
    let bill = scene.until_billed("a download", |bill| bill.accepted.iter().any(|task| task.downloads > 0)).await?;
    assert_eq!(bill.submissions, 1);
    let counts = scene.until("garden", "the job to wait", |counts| counts.downloading == 1).await?;
    assert_eq!((counts.failed, counts.done), (0, 0));
    worker.terminate().await?;
    worker.wait(PATIENCE).await?;
    ensure!(!scene.path("videos/garden/job-1.mp4").exists(), "half a video was saved");

    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    Movie::open(&scene.path("videos/garden/job-1.mp4"))?;
    assert_eq!(scene.bill().await.submissions, 1);
    Ok(())
}

#[tokio::test]
async fn an_output_folder_that_vanishes_is_not_made_anew_and_its_videos_wait_for_it() -> Result<()> {
    let mut config = quick();
    (config.generation.median_ms, config.generation.sigma) = (8_000, 0.0);
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until("garden", "all to be paid for", |counts| counts.generating == 2).await?;
    // As if its disk were not mounted any more: another folder is in its place.
    std::fs::rename(scene.path("videos"), scene.path("unmounted"))?;
    std::fs::create_dir(scene.path("videos"))?;
    scene.until("garden", "the jobs to wait", |counts| counts.downloading == 2).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (show, status) = (scene.run(&["show", "garden", "job-1"]).await?, scene.run(&["status"]).await?);
        if show.stdout.contains("output directory") && status.stdout.contains("output directory") {
            break;
        }
        ensure!(tokio::time::Instant::now() < deadline, "nobody says why:\n{}\n{}", show.stdout, status.stdout);
    }
    assert_eq!(std::fs::read_dir(scene.path("videos"))?.count(), 0);
    // Nor is anything paid for that could not be saved.
    scene.prompts("more.yaml", &Prompts::numbered("more", 1))?;
    scene.run(&["enqueue", "more.yaml"]).await?.with_code(0)?;
    until_waiting(&scene, "more", "disk").await?;
    assert_eq!(scene.bill().await.submissions, 2);

    std::fs::remove_dir(scene.path("videos"))?;
    std::fs::rename(scene.path("unmounted"), scene.path("videos"))?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    Movie::open(&scene.path("videos/garden/job-1.mp4"))?;
    Movie::open(&scene.path("videos/more/job-1.mp4"))?;
    assert_eq!(scene.bill().await.submissions, 3);
    Ok(())
}

/// Returns once `show` says in this word why the first job of `batch` is not moving.
async fn until_waiting(scene: &Scene, batch: &str, word: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let said = scene.run(&["show", batch, "job-1", "--json"]).await?.with_code(0)?.stdout;
        let job: serde_json::Value = serde_json::from_str(&said)?;
        let waiting = job.get("waiting").and_then(serde_json::Value::as_str);
        if waiting == Some(word) {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < deadline, "it waits for {waiting:?}, not for {word}");
    }
}

#[tokio::test]
async fn nothing_is_submitted_while_the_disk_is_nearly_full() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--min-free", "9999TiB"])?;
    until_waiting(&scene, "garden", "disk").await?;
    ensure!(worker.said().contains("nearly full"), "{}", worker.said());
    let status = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(
        status.contains("worker:  one submits nothing at present: the output directory's disk is nearly full"),
        "{status}"
    );
    assert_eq!(scene.bill().await.submissions, 0);
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;
    scene.run(&["worker", "--until-idle", "--min-free", "0"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 1);
    Ok(())
}

#[tokio::test]
async fn a_download_that_was_killed_goes_on_where_it_ended_and_the_whole_is_a_video() -> Result<()> {
    let mut config = quick();
    config.files.video_bytes = 12_000_000;
    config.faults.download = vec![Rule::nth(Fault::Trickle, [1]).delay_ms(30_000)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    let folder = scene.path("videos/garden");
    let has_checkpoint =
        || std::fs::read_dir(&folder).into_iter().flatten().flatten().any(|file| is_checkpoint(&file.path()));
    scene.until("garden", "half a download", |_| has_checkpoint()).await?;
    worker.kill().await?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    Movie::open(&scene.path("videos/garden/job-1.mp4"))?;
    let bill = scene.bill().await;
    let served = bill.answers.get(&Endpoint::File).context("no file was served")?;
    assert_eq!((bill.submissions, served.get(&206)), (1, Some(&1)), "{served:?}");
    assert_eq!(std::fs::read_dir(&folder)?.count(), 2, "something is left beside the video and its sidecar");
    Ok(())
}

fn is_checkpoint(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "checkpoint")
}

#[tokio::test]
async fn a_second_worker_on_the_same_file_is_refused_with_3() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let mut first = scene.start(&["worker"])?;
    scene.until("garden", "the first worker to work", |counts| counts.done == 1).await?;
    scene.run(&["worker"]).await?.with_code(3)?;
    ensure!(first.is_running()?, "the first worker was disturbed");
    first.terminate().await?;
    first.wait(PATIENCE).await?;
    // Its place is free again.
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    Ok(())
}

#[tokio::test]
async fn a_page_for_people_in_place_of_an_answer_confuses_nobody() -> Result<()> {
    let mut config = quick();
    config.faults.poll = vec![Rule::nth(Fault::Html, [1]).code(200), Rule::nth(Fault::Html, [2]).code(503)];
    config.faults.submit = vec![Rule::nth(Fault::Html, [2]).code(403).times(1)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    Movie::open(&scene.path("videos/garden/job-1.mp4"))?;
    Ok(())
}

#[tokio::test]
async fn a_firewalls_page_among_the_polls_of_six_videos_ends_no_run() -> Result<()> {
    let mut config = quick();
    config.faults.poll = vec![Rule::nth(Fault::Html, [2]).code(403).times(1)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 6))?;
    let run = scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    run.saying("turns requests away: the gate closes for a while")?;
    let status = scene.run(&["status"]).await?.with_code(0)?;
    ensure!((status.stdout + &status.stderr).contains("a web page"), "status does not say why the gate is closed");
    assert_eq!(scene.bill().await.submissions, 6);
    Ok(())
}

#[tokio::test]
async fn a_key_that_travels_in_clear_text_is_warned_of() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let words = "the API key is sent to http://veobatch.invalid/ unencrypted";
    scene.run(&["credits", "--api-base", "http://veobatch.invalid"]).await?.saying(words)?;
    let here = scene.run(&["credits"]).await?.with_code(0)?;
    ensure!(!here.stderr.contains("unencrypted"), "{}", here.stderr);
    Ok(())
}

#[tokio::test]
async fn maintenance_is_waited_out() -> Result<()> {
    let mut config = quick();
    config.faults.submit = vec![Rule::nth(Fault::Code, [1]).code(455)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    worker.wait(4 * PATIENCE).await?.with_code(0)?;
    let jobs = scene.jobs("garden").await?;
    assert!(jobs.iter().all(|job| job.state == "done" && job.attempt == 1), "{jobs:?}");
    Ok(())
}

#[tokio::test]
async fn a_refused_prompt_fails_alone_in_the_services_words() -> Result<()> {
    let mut config = quick();
    config.faults.submit = vec![Rule::always(Fault::Code).code(422).prompt("Scene 2:")];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let jobs = scene.jobs("garden").await?;
    let states: Vec<_> = jobs.iter().map(|job| job.state.as_str()).collect();
    assert_eq!(states, ["done", "failed", "done"]);
    ensure!(jobs.get(1).context("three jobs")?.error.is_some());
    assert_eq!(scene.bill().await.submissions, 3);

    // A person may try it again: nothing was paid for it.
    scene.simulator.set_faults(Faults::default())?;
    scene.run(&["retry", "garden"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.most_per_prompt().await, 1);
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_gone_costs_nothing_and_loses_nothing() -> Result<()> {
    let mut config = quick();
    // Longer than a busy machine takes until the service is gone.
    (config.generation.median_ms, config.generation.sigma) = (20_000, 0.0);
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until("garden", "all to be paid for", |counts| counts.generating == 5).await?;
    let mut gone = scene.simulator.config();
    gone.unreachable = true;
    scene.simulator.update(gone.clone())?;
    // Each of them in vain, more than once.
    scene.until_billed("polls of a service that is gone", |bill| bill.turned_off >= 15).await?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.generating, counts.failed, counts.in_doubt), (5, 0, 0), "{counts:?}");
    // It is told of the job, as soon as a poll of that job was given up.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let told = scene.run(&["show", "garden", "job-1"]).await?.with_code(0)?.stdout;
        if told.contains("trouble ") {
            break;
        }
        ensure!(tokio::time::Instant::now() < deadline, "it does not say what is in the way:\n{told}");
    }
    gone.unreachable = false;
    scene.simulator.update(gone)?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    let jobs = scene.jobs("garden").await?;
    assert!(jobs.iter().all(|job| job.state == "done" && job.attempt == 1), "{jobs:?}");
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (5, 1));
    Ok(())
}
