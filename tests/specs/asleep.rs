//! A worker that is stopped (SIGSTOP, as a laptop that is closed) beyond its lease, while another one works on the same
//! ledger, and continues: it does not pay any more, and what it learned is adopted.

use anyhow::{Context as _, Result, ensure};
use veobatch_simulator::{Fault, Rule};
use veobatch_tests::{Counts, Prompts, Running, Scene, prompt, quick};

use crate::{PATIENCE, on_redis};

const JOBS: u64 = 5;

/// A worker that pays for one job at a time; `failpoint` is where it stops itself with its second job, if it does.
fn sleeper(scene: &Scene, failpoint: Option<&str>) -> Result<Running> {
    let mut command = scene.command(&["worker", "--state-dir", "sleeper", "--concurrency-submit", "1"]);
    if let Some(failpoint) = failpoint {
        command.env("VEOBATCH_TEST_STOP_AT", format!("{failpoint}:2"));
    }
    scene.start_command(command, "sleeper")
}

/// Another worker, once it has done all that the sleeper does not have, and found that job to be in doubt.
async fn other(scene: &Scene) -> Result<Running> {
    let other = scene.start(&["worker", "--state-dir", "other"])?;
    let is_taken_over = |counts: &Counts| counts.in_doubt == 1 && counts.done == JOBS - 1;
    scene.until("night", "the others to be saved, and a doubt about the sleeper's", is_taken_over).await?;
    Ok(other)
}

/// Ends the workers, and sees that every prompt was paid for once.
async fn paid_once(scene: &Scene, workers: [Running; 2]) -> Result<()> {
    for worker in workers {
        worker.terminate().await?;
        worker.wait(PATIENCE).await?.with_code(130)?;
    }
    let (bill, counts) = (scene.bill().await, scene.counts("night").await?);
    ensure!((bill.submissions, scene.most_per_prompt().await) == (JOBS, 1), "{:#?}", bill.accepted);
    ensure!(counts.done == JOBS, "{counts:?}");
    Ok(())
}

/// It is stopped at `failpoint`; a person has its job submitted again, and it continues.
async fn stopped_at(failpoint: &str) -> Result<()> {
    let scene = on_redis(quick()).await?;
    scene.prompts("night.yaml", &Prompts::numbered("night", usize::try_from(JOBS)?))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let sleeper = sleeper(&scene, Some(failpoint))?;
    // It has its second claim, and is asleep from there on.
    scene.until("night", "its second claim", |counts| counts.submitting == 1 && counts.sent() == 2).await?;
    let other = other(&scene).await?;
    let jobs = scene.jobs("night").await?;
    let doubtful = jobs.iter().find(|job| job.state == "in_doubt").context("a job is in doubt")?;
    scene.run(&["resolve", "night", &doubtful.job, "--resubmit"]).await?.with_code(0)?;
    scene.until("night", "that one to be saved too", |counts| counts.done == JOBS).await?;
    sleeper.go_on().await?;
    paid_once(&scene, [sleeper, other]).await
}

#[tokio::test]
async fn between_the_claim_and_the_call_it_does_not_pay_any_more() -> Result<()> {
    stopped_at("Granted").await
}

#[tokio::test]
async fn right_before_the_call_it_does_not_pay_any_more() -> Result<()> {
    stopped_at("Sending").await
}

#[tokio::test]
async fn during_the_call_it_adopts_the_task_that_it_paid_for() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::always(Fault::Stall).delay_ms(3_000).after_accepting().prompt(prompt(2)));
    let scene = on_redis(config).await?;
    scene.prompts("night.yaml", &Prompts::numbered("night", usize::try_from(JOBS)?))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let sleeper = sleeper(&scene, None)?;
    scene.until_billed("the second call to arrive", |bill| bill.accepted.len() == 2).await?;
    sleeper.stop().await?;
    let other = other(&scene).await?;
    sleeper.go_on().await?;
    scene.until("night", "the doubt to be settled", |counts| counts.done == JOBS).await?;
    paid_once(&scene, [sleeper, other]).await
}
