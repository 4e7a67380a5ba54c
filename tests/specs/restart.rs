//! Interrupted, killed, started again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use veobatch_simulator::{Bill, Fault, Rule};
use veobatch_tests::{Link, Prompts, RedisServer, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

#[tokio::test]
async fn an_interrupted_run_goes_on_where_it_was_and_pays_for_each_prompt_once() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 500;
    let scene = on_sqlite(config).await?.with("VEOBATCH_RATE", "20/1s");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 40))?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the middle", |bill| bill.submissions >= 15).await?;
    run.interrupt().await?;
    run.wait(PATIENCE).await?.with_code(130)?;
    let paid = scene.bill().await.accepted.len();
    ensure!(paid < 40, "the run was over before it was interrupted");
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 40);
    assert_eq!(scene.most_per_prompt().await, 1);
    Ok(())
}

#[tokio::test]
async fn a_terminal_that_closes_stops_a_run_gracefully_and_only_that() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::always(Fault::Stall).delay_ms(4_000).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the calls to be under way", |bill| bill.accepted.len() == 3).await?;
    run.hang_up().await?;
    scene.until_said(&run, "stopping: no new submissions").await?;
    // Longer after the first than two signals that are one order; still no reason to cut off a paid call.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    run.hang_up().await?;
    run.wait(PATIENCE).await?.with_code(130)?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.submitting, counts.in_doubt), (0, 0), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn a_second_ctrl_c_waits_for_no_paid_call_and_leaves_its_job_in_doubt() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::always(Fault::Stall).delay_ms(60_000).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the call to be under way", |bill| bill.accepted.len() == 1).await?;
    run.interrupt().await?;
    scene.until_said(&run, "stopping: no new submissions").await?;
    tokio::time::sleep(Duration::from_millis(1_100)).await; // sooner it would be the same order
    run.interrupt().await?;
    run.wait(PATIENCE).await?.with_code(130)?.saying("stopping at once")?.saying("aborting steps")?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    assert_eq!((scene.counts("garden").await?.in_doubt, scene.bill().await.submissions), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_and_no_paid_video_is_lost() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 500;
    let scene = on_sqlite(config).await?.with("VEOBATCH_RATE", "20/1s");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 30))?;
    let run = scene.start(&["run", "garden.yaml"])?;
    scene.until_billed("the middle", |bill| bill.submissions >= 15).await?;
    run.kill().await?;
    let known = scene.counts("garden").await?;
    let again = scene.start(&["run", "garden.yaml"])?;
    let ended = again.wait(PATIENCE).await?;
    let (counts, bill) = (scene.counts("garden").await?, scene.bill().await);
    assert_eq!(counts.done + counts.in_doubt, 30, "{counts:?}");
    assert_eq!(ended.code, Some(i32::from(counts.in_doubt > 0)), "{}", ended.stderr);
    assert_eq!((bill.submissions, scene.most_per_prompt().await), (30, 1));
    assert!(counts.in_doubt <= known.submitting, "more in doubt than were under way: {known:?}, then {counts:?}");
    Ok(())
}

#[tokio::test]
async fn a_stopped_worker_gives_its_jobs_back_and_another_goes_on_at_once() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 5_000;
    let scene = on_redis(config).await?;
    scene.prompts("night.yaml", &Prompts::numbered("night", 30))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let first = scene.start(&["worker", "--state-dir", "one"])?;
    // And to be polled, for which each is leased again and again.
    let is_polled = |bill: &Bill| bill.accepted.len() == 30 && bill.accepted.iter().all(|task| task.polls > 0);
    scene.until_billed("all to be paid for, and polled", is_polled).await?;
    first.terminate().await?;
    let ended = first.wait(PATIENCE).await?;
    ensure!(matches!(ended.code, Some(0 | 130)), "a stopped worker ended with {:?}", ended.code);
    // Each lease as Redis keeps it, or `-` in its place once it was given back: nobody has to wait for one to end.
    let leases = scene.redis.as_ref().context("a scene on Redis")?.ask("HVALS {veobatch}:leases")?;
    let of_a_lane = |line: &&str| ["submit", "follow", "save"].iter().any(|lane| line.ends_with(lane));
    let leases: Vec<&str> = leases.lines().filter(of_a_lane).collect();
    ensure!(leases.iter().all(|lease| lease.starts_with("- ")), "some are kept: {leases:?}");
    let second = scene.start(&["worker", "--until-idle", "--state-dir", "two"])?;
    second.wait(PATIENCE).await?.with_code(0)?;
    assert_eq!(scene.counts("night").await?.done, 30);
    assert_eq!(scene.bill().await.submissions, 30);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_is_waited_for_and_nothing_is_lost_or_paid_twice() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 5_000;
    let mut scene = on_redis(config).await?;
    scene.prompts("night.yaml", &Prompts::numbered("night", 20))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until("night", "all to be paid for", |counts| counts.sent() == 20 && counts.submitting == 0).await?;
    if let Some(redis) = &mut scene.redis {
        redis.kill()?;
        redis.start_again().await?;
    }
    worker.wait(PATIENCE).await?.with_code(0)?;
    assert_eq!(scene.counts("night").await?.done, 20);
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (20, 1));
    Ok(())
}

#[tokio::test]
async fn a_redis_that_forgot_what_was_paid_for_is_told_again_before_anything_else_is_paid_for() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 10_000;
    let scene = on_redis(config).await?.with("VEOBATCH_RATE", "10/1s").with("VEOBATCH_MAX_IN_FLIGHT", "12");
    let mut scene = scene.with("VEOBATCH_STATE_DIR", "one-machine");
    scene.prompts("night.yaml", &Prompts::numbered("night", 20))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until("night", "some to be paid for", |counts| counts.generating >= 4).await?;
    scene.redis.as_ref().context("a scene on Redis")?.remember()?;
    scene.until("night", "the cap to be full", |counts| counts.generating == 12).await?;

    let redis = scene.redis.as_mut().context("a scene on Redis")?;
    redis.kill()?;
    redis.go_back()?;
    redis.start_again().await?;
    scene.until("night", "the journal to be heard", |counts| counts.sent() == 12).await?;
    assert_eq!(scene.bill().await.submissions, 12, "nothing is submitted before");

    scene.redis.as_ref().context("a scene on Redis")?.end_recovery()?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    assert_eq!(scene.counts("night").await?.done, 20);
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (20, 1));
    Ok(())
}

#[tokio::test]
async fn a_failover_under_load_is_ridden_out_and_nothing_is_lost_or_paid_twice() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 1_000;
    let mut scene = on_redis(config).await?.with("VEOBATCH_RATE", "10/1s");
    let (master, replica) = (scene.redis.as_ref().context("a scene on Redis")?, RedisServer::start().await?);
    replica.follow(master).await?;
    let link = Link::before(master.port()).await?;
    scene = scene.with("VEOBATCH_LEDGER", &format!("redis://127.0.0.1:{}/0", link.port()));
    scene.prompts("night.yaml", &Prompts::numbered("night", 30))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let workers = [1, 2].map(|n| scene.start(&["worker", "--until-idle", "--state-dir", &format!("machine-{n}")]));
    scene.until_billed("the middle of the night", |bill| bill.accepted.len() >= 10).await?;

    scene.redis.as_mut().context("a scene on Redis")?.kill()?;
    replica.promote()?;
    link.lead_to(replica.port());
    // A call is made only once its claim is on the replica, so what is under way is known there.
    scene.until("night", "no call to be under way", |counts| counts.submitting == 0).await?;
    let paid = scene.bill().await.accepted.len() as u64;
    scene.until("night", "those to be saved", |counts| counts.done == paid).await?;
    assert_eq!(scene.bill().await.accepted.len() as u64, paid, "nothing is submitted before the journals have spoken");
    replica.end_recovery()?;
    for worker in workers {
        worker?.wait(PATIENCE).await?.with_code(0)?;
    }
    let counts = scene.counts("night").await?;
    assert_eq!((counts.done, counts.in_doubt, scene.most_per_prompt().await), (30, 0, 1), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn a_journal_tells_what_became_of_a_call_whose_worker_was_killed_before_it_could_say_so() -> Result<()> {
    let mut config = quick();
    // Answers take a moment: the kill finds calls under way, which end in doubt, and answered ones, which do not.
    config.faults.submit.push(veobatch_simulator::Rule::always(veobatch_simulator::Fault::Stall).delay_ms(150));
    let scene = on_redis(config).await?.with("VEOBATCH_RATE", "50/1s");
    scene.prompts("night.yaml", &Prompts::numbered("night", 40))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let victim = scene.start(&["worker"])?;
    scene.until_billed("the middle of the night", |bill| bill.submissions >= 20).await?;
    victim.kill().await?;
    let known = scene.counts("night").await?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let counts = scene.counts("night").await?;
    assert_eq!(counts.done + counts.in_doubt, 40, "{counts:?}");
    assert!(counts.in_doubt <= known.submitting, "more in doubt than were under way: {known:?}, then {counts:?}");
    // A call that was cut off before it left is in doubt too: only the journal's reader knows less than the service.
    let billed = scene.bill().await.submissions;
    assert!((counts.done..=40).contains(&billed), "{billed} submissions, {counts:?}");
    assert_eq!(scene.most_per_prompt().await, 1);
    Ok(())
}
