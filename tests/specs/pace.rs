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
    let took = f64::from(u32::try_from(last.at_ms - first.at_ms)?);
    // Every slot was used, or a machine that does other things too was late for it, and then the program says so: by
    // the program's own evidence nothing else was in the way, and by the service's clock all of the time is explained.
    let slots = &status(&scene).await?["slots"]["two_hours"];
    assert_eq!(slots["used"], 100.0, "{slots}");
    let unused = slots["unused"].as_object().context("reasons")?;
    let of = |reason: &str| unused.get(reason).and_then(Value::as_f64).unwrap_or_default();
    for reason in ["cap", "gate", "window", "budget", "recovery", "lost", "unsent"] {
        assert!(of(reason) < 0.01, "{reason} was in the way: {slots}");
    }
    let explained = 100.0 * (99.0 + of("answers") + of("unasked"));
    ensure!((took - explained).abs() < 2_000.0, "{took} ms, of which {explained} are explained: {slots}");
    ensure!(slots["share"].as_f64().context("a share")? > 0.5, "{slots}");
    let said = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(said.contains("slots:   100 used in the last two hours"), "{said}");
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
    config.limits.rate = Some(Rate { requests: 1, window_ms: 1000 });
    let scene = on_sqlite(config).await?.without("VEOBATCH_RATE");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene.run(&["enqueue", "garden.yaml", "--rate", "1/1s"]).await?.with_code(0)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let bill = scene.bill().await;
    assert_eq!((bill.accepted.len(), bill.rejected_429), (5, 0));
    let (first, last) = (bill.accepted.first().context("a first")?, bill.accepted.last().context("a last")?);
    let took = last.at_ms - first.at_ms;
    // Four gaps, one of them on credit: 3 s at 1 in 1 s. At the default of 20 in 10 s it is half of that, and a second 429.
    assert!(took > 2_200, "{took} ms");
    let said = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(said.contains("1 submissions per 1 s"), "{said}");
    Ok(())
}
