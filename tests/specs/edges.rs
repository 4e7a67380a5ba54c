//! The real program, killed (SIGKILL, by itself) at every edge between what a step does and what it does next, started
//! again, and the bill and the files looked at. On both ledgers.

use std::ops::RangeInclusive;

use anyhow::{Result, ensure};
use veobatch_simulator::{Fault, Rule};
use veobatch_tests::{Prompts, Scene, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

const JOBS: u64 = 8;

/// Those that come after everything was paid for.
const SAVING: [&str; 4] = ["Part", "Whole", "Named", "Saved"];

/// Kills a worker when it comes to `edge` for the third time, starts another, and expects every prompt to be paid for
/// once at most, every job to be done or in doubt, and as many in doubt as `doubts`.
async fn killed_at(edge: &str, doubts: u64) -> Result<()> {
    let (sqlite, redis) = (on_sqlite(quick()), on_redis(quick()));
    let (sqlite, redis) = tokio::join!(killed_in(sqlite, edge, doubts), killed_in(redis, edge, doubts));
    sqlite.and(redis)
}

async fn killed_in(scene: impl Future<Output = Result<Scene>>, edge: &str, doubts: u64) -> Result<()> {
    let scene = scene.await?.with("VEOBATCH_RATE", "20/1s");
    scene.prompts("night.yaml", &Prompts::numbered("night", usize::try_from(JOBS)?))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    if SAVING.contains(&edge) {
        let payer = scene.start(&["worker", "--lanes", "submit"])?;
        scene.until("night", "all to be paid for", |counts| counts.generating == JOBS).await?;
        payer.terminate().await?;
        payer.wait(PATIENCE).await?;
    }
    // One step at a time: what else was under way when it died must not blur the picture.
    let mut command =
        scene.command(&["worker", "--until-idle", "--concurrency-submit", "1", "--concurrency-save", "1"]);
    command.env("VEOBATCH_TEST_DIE_AT", format!("{edge}:3"));
    let victim = scene.start_command(command, "victim")?.wait(PATIENCE).await?;
    ensure!(victim.code.is_none(), "it was to die at {edge}, and ended with {:?}\n{}", victim.code, victim.stderr);
    recovered(&scene, doubts..=doubts).await
}

/// Another worker brings everything to its end.
async fn recovered(scene: &Scene, doubts: RangeInclusive<u64>) -> Result<()> {
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let counts = scene.counts("night").await?;
    let jobs = scene.jobs("night").await?;
    ensure!(doubts.contains(&counts.in_doubt), "{doubts:?} were to be in doubt: {jobs:#?}");
    ensure!(counts.done + counts.in_doubt == JOBS, "{jobs:#?}");
    let bill = scene.bill().await;
    ensure!(scene.most_per_prompt().await == 1, "paid for twice: {:?}", bill.accepted);
    for job in jobs.iter().filter(|job| job.state == "done") {
        for file in &job.files {
            let served = bill.accepted.iter().find(|accepted| job.task_id.as_ref() == Some(&accepted.task_id));
            ensure!(served.is_some(), "{job:?} is done, and was never paid for");
            ensure!(std::fs::metadata(scene.path("videos").join(file))?.len() > 0, "{file} is empty");
        }
    }
    let kept = std::fs::read_dir(scene.path("videos/night"))?;
    let names: Vec<String> = kept.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    ensure!(names.len() as u64 == 2 * counts.done, "a video and a sidecar for each, and nothing else: {names:?}");
    Ok(())
}

#[tokio::test]
async fn after_the_claim_nothing_was_sent_and_nothing_is_in_doubt() -> Result<()> {
    killed_at("Granted", 0).await
}

#[tokio::test]
async fn right_before_the_call_it_may_have_been_sent() -> Result<()> {
    killed_at("Sending", 1).await
}

#[tokio::test]
async fn in_the_middle_of_the_call_it_was_paid_for_and_is_in_doubt() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::always(Fault::Stall).delay_ms(20_000).after_accepting());
    let scene = on_redis(config).await?.with("VEOBATCH_RATE", "5/1s");
    scene.prompts("night.yaml", &Prompts::numbered("night", usize::try_from(JOBS)?))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let victim = scene.start(&["worker"])?;
    scene.until_billed("two calls to be under way", |bill| bill.accepted.len() >= 2).await?;
    victim.kill().await?;
    let (arrived, under_way) = (scene.bill().await.accepted.len() as u64, scene.counts("night").await?.submitting);
    scene.simulator.update(quick())?;
    recovered(&scene, arrived..=under_way).await
}

#[tokio::test]
async fn with_an_answer_that_was_not_written_down_it_is_in_doubt() -> Result<()> {
    killed_at("Answered", 1).await
}

#[tokio::test]
async fn an_answer_in_the_journal_is_not_in_doubt() -> Result<()> {
    killed_at("Written", 0).await
}

#[tokio::test]
async fn an_answer_that_the_ledger_has_is_told_again_without_harm() -> Result<()> {
    killed_at("Told", 0).await
}

#[tokio::test]
async fn in_the_middle_of_a_file_the_next_one_saves_it_whole() -> Result<()> {
    killed_at("Part", 0).await
}

#[tokio::test]
async fn a_whole_file_without_a_name_is_saved_by_the_next() -> Result<()> {
    killed_at("Whole", 0).await
}

#[tokio::test]
async fn a_file_without_a_sidecar_is_known_by_its_content() -> Result<()> {
    killed_at("Named", 0).await
}

#[tokio::test]
async fn a_video_that_the_ledger_does_not_know_of_is_not_fetched_into_a_second_file() -> Result<()> {
    killed_at("Saved", 0).await
}
