//! From a line of a file to a video.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{AspectKey, FailureForm, Fault, ResultUrls, Rule, Shape, Status, Times};
use veobatch_tests::{Movie, Prompts, Scene, quick};

use crate::{PATIENCE, on_sqlite};

/// The file of the README's main command.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../jobs.example.yaml");

#[tokio::test]
async fn the_main_command_of_the_readme_makes_videos_with_sidecars_and_is_paid_for_once() -> Result<()> {
    let scene = on_sqlite(quick()).await?.without("KIE_API_KEY").without("VEOBATCH_LEDGER");
    let scene = scene.without("VEOBATCH_API_BASE").without("VEOBATCH_RATE").without("VEOBATCH_POLL_FIRST");
    std::fs::copy(EXAMPLE, scene.path("jobs.example.yaml")).context("failed to copy jobs.example.yaml")?;
    let ended = scene.run(&["run", "jobs.example.yaml", "--simulate"]).await?.with_code(0)?;
    let videos = videos(&scene.path("videos"))?;
    ensure!(!videos.is_empty(), "no videos: {}", ended.stderr);
    let mut told = Vec::new();
    for video in &videos {
        Movie::open(video)?;
        let sidecar = std::fs::read(video.with_extension("json")).context("a video without a sidecar")?;
        let sidecar: Value = serde_json::from_slice(&sidecar)?;
        told.push(sidecar["prompt"].as_str().context("a sidecar without its prompt")?.to_owned());
    }
    let mut asked = prompts_of_the_example()?;
    told.sort();
    asked.sort();
    assert_eq!(told, asked, "the sidecars do not tell the prompts of the file, each once");
    let paid = accepted_by_the_simulator_inside(&scene)?;
    assert_eq!(paid, videos.len());
    scene.run(&["run", "jobs.example.yaml", "--simulate"]).await?.with_code(0)?;
    assert_eq!(accepted_by_the_simulator_inside(&scene)?, paid, "the second run paid again");
    Ok(())
}

fn prompts_of_the_example() -> Result<Vec<String>> {
    let file: Value = serde_yaml::from_str(&std::fs::read_to_string(EXAMPLE)?)?;
    let jobs = file.get("jobs").and_then(Value::as_array).context("no jobs")?;
    let prompt = |job: &Value| job.get("prompt").and_then(Value::as_str).map(|prompt| prompt.trim().to_owned());
    jobs.iter().map(|job| prompt(job).context("no prompt")).collect()
}

/// The videos in all batches, sorted.
fn videos(output: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut videos = Vec::new();
    for batch in std::fs::read_dir(output)? {
        for file in std::fs::read_dir(batch?.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "mp4") {
                videos.push(path);
            }
        }
    }
    videos.sort();
    Ok(videos)
}

/// Counts the acceptances in the file that the simulator inside the program keeps.
fn accepted_by_the_simulator_inside(scene: &Scene) -> Result<usize> {
    let mut count = 0;
    for file in std::fs::read_dir(scene.path("."))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            count += std::fs::read_to_string(path)?.matches(r#""entry":"accepted""#).count();
        }
    }
    Ok(count)
}

#[tokio::test]
async fn a_video_is_whole_at_its_place_with_a_sidecar_that_tells_where_it_came_from() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let video = scene.path("videos/garden/job-1.mp4");
    assert_eq!(Movie::open(&video)?, Movie { width: 1280, height: 720 });
    let sidecar: Value = serde_json::from_slice(&std::fs::read(video.with_extension("json"))?)?;
    let (text, bill) = (sidecar.to_string(), scene.bill().await);
    let task = &bill.accepted.first().context("a task")?.task_id;
    ensure!(text.contains(task) && text.contains("a small cat"), "{text}");
    let length = std::fs::metadata(&video)?.len();
    ensure!(text.contains(&length.to_string()), "no length in {text}");
    let leftovers = std::fs::read_dir(scene.path("videos/garden"))?.count();
    assert_eq!(leftovers, 2, "a video and its sidecar, and no part files");
    Ok(())
}

#[tokio::test]
async fn every_shape_of_answer_that_the_service_ever_had_is_understood() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let shapes = [Shape::Current, Shape::Seed, Shape::Mixed];
    let urls = [ResultUrls::Array, ResultUrls::JsonString, ResultUrls::Unquoted, ResultUrls::Bare];
    let times = [Times::EpochMs, Times::Iso, Times::Plain];
    for n in 0..12 {
        let mut config = scene.simulator.config();
        config.dialect.shape = shapes[n % 3];
        config.dialect.result_urls = urls[n % 4];
        config.dialect.times = times[n % 3];
        config.dialect.status = if n % 2 == 0 { Status::default() } else { Status::Real };
        scene.simulator.update(config)?;
        let (batch, file) = (format!("batch-{n}"), format!("{n}.yaml"));
        let prompts = Prompts::numbered(&batch, 2).job("bad", &format!("{n} [fail]"), "");
        scene.prompts(&file, &prompts)?;
        scene.run(&["run", &file]).await?.with_code(1)?;
        let counts = scene.counts(&batch).await?;
        assert_eq!((counts.done, counts.failed), (2, 1), "{:?}", scene.simulator.config().dialect);
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_is_told_in_the_services_words_however_it_is_reported() -> Result<()> {
    for form in [FailureForm::Record, FailureForm::CodeAndRecord, FailureForm::Code] {
        let mut config = quick();
        config.dialect.failure = form;
        let scene = on_sqlite(config).await?;
        scene.prompts("garden.yaml", &Prompts::of("garden").job("bad", "something [refuse]", ""))?;
        scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
        let jobs = scene.jobs("garden").await?;
        let job = jobs.first().context("the job")?;
        assert_eq!(job.state, "failed");
        ensure!(job.error.as_ref().is_some_and(|error| error.len() > 10), "{job:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_portrait_video_is_portrait_whichever_spelling_the_service_listens_to() -> Result<()> {
    for key in [AspectKey::Both, AspectKey::Snake, AspectKey::Camel] {
        let mut config = quick();
        config.dialect.aspect_key = key;
        let scene = on_sqlite(config).await?;
        let yaml = "jobs:\n  - { id: a, prompt: one, aspect_ratio: '9:16' }\n  - { id: b, prompt: two, aspectRatio: '9:16' }\n";
        scene.write("garden.yaml", yaml)?;
        scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
        for job in ["a", "b"] {
            let movie = Movie::open(&scene.path(format!("videos/garden/{job}.mp4")))?;
            assert_eq!(movie, Movie { width: 720, height: 1280 }, "{key:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_larger_version_that_was_asked_for_is_the_one_that_is_saved() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let prompts = Prompts::of("garden").job("large", "a large cat", "resolution: 1080p");
    scene.prompts("garden.yaml", &prompts)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let movie = Movie::open(&scene.path("videos/garden/large.mp4"))?;
    assert_eq!(movie, Movie { width: 1920, height: 1080 });
    assert_eq!(scene.bill().await.submissions, 1);
    Ok(())
}

#[tokio::test]
async fn what_is_not_a_whole_video_is_never_saved_as_one() -> Result<()> {
    for fault in [
        Rule::nth(Fault::Html, [1]).code(200),
        Rule::nth(Fault::Truncate, [1]),
        Rule::nth(Fault::WrongLength, [1]),
        Rule::nth(Fault::Corrupt, [1]),
        Rule::nth(Fault::ResetMidway, [1]),
        Rule::nth(Fault::Empty, [1]),
    ] {
        let mut config = quick();
        config.faults.download.push(fault.clone());
        let scene = on_sqlite(config).await?;
        scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
        let run = scene.start(&["run", "garden.yaml"])?;
        run.wait(PATIENCE).await?.with_code(0)?;
        Movie::open(&scene.path("videos/garden/job-1.mp4")).with_context(|| format!("{fault:?}"))?;
        let bill = scene.bill().await;
        let task = bill.accepted.first().context("a task")?;
        assert_eq!((bill.submissions, task.downloads >= 2), (1, true), "{fault:?}");
    }
    Ok(())
}
