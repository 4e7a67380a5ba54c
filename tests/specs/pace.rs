//! The account's whole allowance, and not one 429.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{Fault, Rate, Rule};
use veobatch_tests::{Prompts, Scene, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

#[tokio::test]
async fn three_workers_share_the_allowance_use_it_up_and_meet_no_429() -> Result<()> {
    let mut config = quick();
    config.limits.rate = Some(Rate { requests: 20, window_ms: 2000 });
    let scene = on_redis(config).await?.with("VEOBATCH_RATE", "20/2s");
    scene.prompts("night.yaml", &Prompts::numbered("night", 100))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let work = |state: &'static str| scene.start(&["worker", "--until-idle", "--state-dir", state]);
    for worker in [work("one")?, work("two")?, work("three")?] {
        worker.wait(PATIENCE).await?.with_code(0)?;
    }
    let bill = scene.bill().await;
    assert_eq!((bill.accepted.len(), bill.submissions, bill.rejected_429), (100, 100, 0));
    let (first, last) = (bill.accepted.first().context("a first")?, bill.accepted.last().context("a last")?);
    // 99 gaps of 100 ms are 9.9 s; a third more is the margin of a machine that does other things too.
    assert!(last.at_ms - first.at_ms < 13_200, "took {} ms", last.at_ms - first.at_ms);
    // The program's own evidence: every slot was used, or there is a reason.
    let slots = &status(&scene).await?["slots"]["two_hours"];
    assert_eq!(slots["used"], 100.0, "{slots}");
    let share = slots["share"].as_f64().context("a share")?;
    // What went by while they worked, but for the end, when there was no work.
    let seen = 9900.0 / f64::from(u32::try_from(last.at_ms - first.at_ms)?);
    ensure!((share - seen).abs() < 0.05, "a share of {share}, and by the bill {seen}: {slots}");
    let said = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(said.contains("slots:   in the last two hours 100 used"), "{said}");
    Ok(())
}

#[tokio::test]
async fn no_more_videos_are_in_flight_than_the_cap_allows() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 400;
    let scene = on_sqlite(config).await?.with("VEOBATCH_MAX_IN_FLIGHT", "5");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 25))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let bill = scene.bill().await;
    assert!((2..=5).contains(&bill.most_in_flight), "{}", bill.most_in_flight);
    Ok(())
}

#[tokio::test]
async fn a_429_is_waited_out_by_all_and_consumes_no_attempt() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Code, [5]).code(429));
    // Slow enough that no further call is under way when the answer comes.
    let scene = on_redis(config).await?.with("VEOBATCH_RATE", "10/1s");
    scene.prompts("night.yaml", &Prompts::numbered("night", 12))?;
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let work = |state: &'static str| scene.start(&["worker", "--until-idle", "--state-dir", state]);
    for worker in [work("one")?, work("two")?] {
        worker.wait(PATIENCE).await?.with_code(0)?;
    }
    let bill = scene.bill().await;
    assert_eq!((bill.accepted.len(), bill.submissions, bill.rejected_429), (12, 13, 1));
    let at: Vec<u64> = bill.accepted.iter().map(|accepted| accepted.at_ms).collect();
    let pause = at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    assert!(pause >= 5_000, "the longest pause of all workers together was {pause} ms: {at:?}");
    assert!(scene.jobs("night").await?.iter().all(|job| job.state == "done" && job.attempt == 1));
    let told = status(&scene).await?;
    let allowance = told["account"]["allowance"].as_f64().context("an allowance")?;
    // Seven of ten, and half a one more for each minute since.
    ensure!((7.0..8.0).contains(&allowance), "{allowance}");
    ensure!(told["slots"]["two_hours"]["unused"]["gate"].as_f64() > Some(40.0), "{}", told["slots"]);
    let said = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(said.contains("pace:    lowered to 7.") && said.contains("while the gate was closed"), "{said}");
    Ok(())
}

/// The account as `status --json` has it.
async fn status(scene: &Scene) -> Result<Value> {
    Ok(serde_json::from_str(&scene.run(&["status", "--json"]).await?.with_code(0)?.stdout)?)
}

#[tokio::test]
async fn an_explicit_rate_changes_the_pace_for_all_and_stays() -> Result<()> {
    let mut config = quick();
    config.limits.rate = Some(Rate { requests: 4, window_ms: 1000 });
    let scene = on_sqlite(config).await?.without("VEOBATCH_RATE");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 8))?;
    scene.run(&["enqueue", "garden.yaml", "--rate", "4/1s"]).await?.with_code(0)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let bill = scene.bill().await;
    assert_eq!((bill.accepted.len(), bill.rejected_429), (8, 0));
    let (first, last) = (bill.accepted.first().context("a first")?, bill.accepted.last().context("a last")?);
    let took = last.at_ms - first.at_ms;
    // Seven gaps, one of them on credit: 1.5 s at 4 in 1 s, and 3 s at the default of 20 in 10 s.
    assert!((1_400..2_600).contains(&took), "{took} ms");
    Ok(())
}
