//! Never pay twice; never lose what was paid for.

use anyhow::{Context, Result};
use veobatch_simulator::{Fault, Rule, Size};
use veobatch_tests::{Movie, Prompts, prompt, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

#[tokio::test]
async fn the_same_file_run_twice_is_paid_for_once() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let bill = scene.bill().await;
    assert_eq!((bill.submissions, bill.accepted.len()), (5, 5));
    Ok(())
}

#[tokio::test]
async fn two_runs_of_the_same_file_at_once_pay_for_each_prompt_once() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 20))?;
    let first = scene.start(&["run", "garden.yaml"])?;
    let second = scene.start(&["run", "garden.yaml"])?;
    first.wait(PATIENCE).await?.with_code(0)?;
    second.wait(PATIENCE).await?.with_code(0)?;
    assert_eq!(scene.bill().await.accepted.len(), 20);
    assert_eq!(scene.most_per_prompt().await, 1);
    Ok(())
}

#[tokio::test]
async fn a_submission_that_loses_its_answer_is_not_paid_for_twice_and_a_person_settles_it() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Close, [2]).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 4))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.done, counts.in_doubt), (3, 1));
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let bill = scene.bill().await;
    assert_eq!((bill.submissions, bill.accepted.len()), (4, 4), "the job in doubt was submitted again");

    let lost = bill.accepted.iter().find(|accepted| accepted.answer_lost).context("an answer was lost")?;
    let jobs = scene.jobs("garden").await?;
    let doubtful = jobs.iter().find(|job| job.state == "in_doubt").context("a job is in doubt")?;
    assert_eq!(doubtful.prompt, lost.prompt);
    scene.run(&["resolve", "garden", &doubtful.job, "--task-id", &lost.task_id]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 4);
    Movie::open(&scene.path(format!("videos/garden/{}.mp4", doubtful.job)))?;
    Ok(())
}

#[tokio::test]
async fn a_4k_version_that_is_there_already_is_not_bought_again() -> Result<()> {
    let mut config = quick();
    config.dialect.size = Size::Unlabelled;
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::of("garden").job("large", "a large cat", "resolution: 4k"))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let movie = Movie::open(&scene.path("videos/garden/large.mp4"))?;
    assert_eq!(movie, Movie { width: 3840, height: 2160 });
    let bill = scene.bill().await;
    let task = bill.accepted.first().context("a task")?;
    assert_eq!((bill.charged, task.upgrades.len()), (180, 0));
    Ok(())
}

#[tokio::test]
async fn a_task_of_another_prompt_does_not_settle_a_doubt() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Close, [1]).after_accepting().prompt(prompt(1)));
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    // Somebody's task on the same account, which no job here owns: only the comparison of the prompts can refuse it.
    let other = scene.submit_beside("a dog in the rain").await?;
    let refused = scene.run(&["resolve", "garden", "job-1", "--task-id", &other]).await?.with_code(2)?;
    refused.saying("its prompt is different: \"a dog in the rain\"")?;
    assert_eq!(scene.counts("garden").await?.in_doubt, 1);
    // The same way with the right task is open.
    let own = scene.bill().await.accepted.first().context("the task")?.task_id.clone();
    scene.run(&["resolve", "garden", "job-1", "--task-id", &own]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    Ok(())
}

#[tokio::test]
async fn a_task_of_another_job_does_not_settle_a_doubt() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Close, [1]).after_accepting().prompt(prompt(1)));
    let scene = on_sqlite(config).await?;
    // The prompts are the same, so that only the owner tells the tasks apart.
    let prompts = Prompts::numbered("garden", 1).job("twin", &prompt(1), "");
    scene.prompts("garden.yaml", &prompts)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let jobs = scene.jobs("garden").await?;
    let of = |state: &str| jobs.iter().find(|job| job.state == state).cloned().context("one is done, one in doubt");
    let (done, doubtful) = (of("done")?, of("in_doubt")?);
    let task = done.task_id.context("its task")?;
    scene
        .run(&["resolve", "garden", &doubtful.job, "--task-id", &task])
        .await?
        .with_code(2)?
        .saying(&format!("it belongs to job garden/{}", done.job))?;
    assert_eq!(scene.counts("garden").await?.in_doubt, 1);
    Ok(())
}

#[tokio::test]
async fn a_doubt_that_a_person_resubmits_is_paid_for_once_more_and_one_given_up_is_not() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Half, [1, 2]).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    assert_eq!(scene.counts("garden").await?.in_doubt, 2);
    scene.run(&["resolve", "garden", "job-1", "--resubmit"]).await?.with_code(0)?;
    scene.run(&["resolve", "garden", "job-2", "--give-up"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.done, counts.failed), (1, 1));
    let bill = scene.bill().await;
    let times = |n| bill.accepted.iter().filter(|accepted| accepted.prompt == prompt(n)).count();
    assert_eq!((times(1), times(2)), (2, 1));
    Ok(())
}

#[tokio::test]
async fn every_way_to_lose_an_answer_ends_in_doubt_and_no_call_is_made_twice() -> Result<()> {
    let mut config = quick();
    // Apart from each other: three unknown outcomes in a row close the gate for a while.
    config.faults.submit = vec![
        Rule::nth(Fault::Reset, [2]).after_accepting(),
        Rule::nth(Fault::NotJson, [4]).after_accepting(),
        Rule::nth(Fault::Html, [6]).after_accepting(),
        Rule::nth(Fault::Code, [8]).after_accepting().code(500),
        Rule::nth(Fault::Redirect, [10]).after_accepting(),
        Rule::nth(Fault::Empty, [12]).after_accepting(),
    ];
    let scene = on_sqlite(config).await?.with("VEOBATCH_CONCURRENCY_SUBMIT", "1");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 13))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let (counts, bill) = (scene.counts("garden").await?, scene.bill().await);
    assert_eq!((counts.done, counts.in_doubt), (7, 6));
    assert_eq!((bill.submissions, bill.accepted.len()), (13, 13));
    Ok(())
}

#[tokio::test]
async fn trouble_with_polls_and_downloads_never_leads_to_a_payment() -> Result<()> {
    let mut config = quick();
    config.generation.null_polls = 1;
    config.generation.blank_polls = 1;
    config.faults.poll = vec![
        Rule::nth(Fault::Code, [3]).code(500),
        Rule::nth(Fault::Html, [4]),
        Rule::nth(Fault::Close, [5]),
        Rule::nth(Fault::Code, [6]).code(455),
    ];
    config.faults.download = vec![Rule::nth(Fault::Truncate, [1]), Rule::nth(Fault::Status, [2]).code(503)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 3);
    Ok(())
}

#[tokio::test]
async fn a_failed_generation_is_paid_for_again_only_if_the_file_allows_it() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let prompts = Prompts::of("garden").job("once", "one [fail]", "").job("twice", "two [fail]", "max_attempts: 2");
    scene.prompts("garden.yaml", &prompts)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let jobs = scene.jobs("garden").await?;
    let attempts: Vec<_> = jobs.iter().map(|job| (job.job.as_str(), job.state.as_str(), job.attempt)).collect();
    assert_eq!(attempts, [("once", "failed", 1), ("twice", "failed", 2)]);
    assert_eq!(scene.bill().await.accepted.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_hundred_jobs_on_three_workers_one_of_them_killed_are_each_paid_for_once() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 300;
    let scene = on_redis(config).await?.with("VEOBATCH_RATE", "40/1s");
    scene.prompts("night.yaml", &Prompts::numbered("night", 100))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let work = |state: &'static str| scene.start(&["worker", "--until-idle", "--state-dir", state]);
    let (first, second, victim) = (work("one")?, work("two")?, work("three")?);
    scene.until_billed("the middle of the night", |bill| bill.submissions >= 50).await?;
    victim.kill().await?;
    first.wait(PATIENCE).await?.with_code(0)?;
    second.wait(PATIENCE).await?.with_code(0)?;
    let (counts, bill) = (scene.counts("night").await?, scene.bill().await);
    assert_eq!(counts.done + counts.in_doubt, 100, "{counts:?}");
    // What the victim was paying for when it died: no more than it had calls under way.
    assert!(counts.in_doubt <= 16, "{counts:?}");
    assert_eq!(scene.most_per_prompt().await, 1);
    assert_eq!(bill.rejected_429, 0);
    Ok(())
}
