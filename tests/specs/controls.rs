//! Budgets, ranks, orders to everything at once, and why a job is not moving.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{Bill, Fault, Price, Rule};
use veobatch_tests::{Prompts, Scene, prompt, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

/// A price list that knows one model, at another price than the built-in one.
const PRICES: &str = "veo3_fast: { 720p: 70, 1080p: 75, 4k: 190 }\n";

/// Videos that take so long that they are in flight until the end of a scene.
fn slow() -> veobatch_simulator::Config {
    let mut config = quick();
    config.generation.median_ms = 600_000;
    config
}

async fn json(scene: &Scene, words: &[&str]) -> Result<Value> {
    let ended = scene.run(words).await?.with_code(0)?;
    Ok(serde_json::from_str(&ended.stdout)?)
}

async fn of(scene: &Scene, batch: &str) -> Result<Value> {
    let status = json(scene, &["status", "--json"]).await?;
    let all = status.get("batches").and_then(Value::as_array).context("no batches")?;
    all.iter().find(|known| known["batch"] == batch).cloned().with_context(|| format!("there is no batch {batch}"))
}

/// What a job waits for: the word, and the words, which a person is told too.
async fn waits(scene: &Scene, batch: &str, job: &str) -> Result<(String, String)> {
    let shown = json(scene, &["show", batch, job, "--json"]).await?;
    let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((text("waiting"), text("waiting_words")))
}

async fn waits_for(scene: &Scene, job: &str, word: &str, part: &str) -> Result<()> {
    let (is, words) = waits(scene, "garden", job).await?;
    ensure!(is == word && words.contains(part), "{job} waits for {is}: {words}; not for {word}: {part}");
    let line = format!("waiting   {words}");
    scene.run(&["show", "garden", job]).await?.with_code(0).and_then(|ended| {
        ensure!(ended.stdout.contains(&line), "{line:?} is not shown:\n{}", ended.stdout);
        Ok(())
    })
}

/// The numbers of the prompts, in the order in which they were accepted.
fn order(bill: &Bill) -> Vec<usize> {
    let number = |text: &str| (1..100).find(|n| text == prompt(*n)).unwrap_or_default();
    bill.accepted.iter().map(|task| number(&task.prompt)).collect()
}

/// A zone in which midnight is hours away.
fn zone(scene_hour: &str) -> &'static str {
    if scene_hour.starts_with("22") || scene_hour.starts_with("23") { "Asia/Tokyo" } else { "UTC" }
}

#[tokio::test]
async fn two_workers_never_spend_more_than_a_batch_s_budget_and_what_is_refused_comes_back() -> Result<()> {
    let mut config = quick();
    config.prices.insert("veo3_fast".to_owned(), Price { p720: 70, p1080: 75, p4k: 190 });
    // Refused after its price was set aside.
    config.faults.submit = vec![Rule::nth(Fault::Code, [1, 3]).code(422)];
    let scene = on_redis(config).await?;
    scene.write("prices.yaml", PRICES)?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 30))?;
    let said =
        scene.run(&["enqueue", "garden.yaml", "--budget", "520", "--prices", "prices.yaml"]).await?.with_code(0)?;
    ensure!(!said.stderr.contains("prices:"), "the first prices of a ledger are no change: {}", said.stderr);
    let workers = [scene.start(&["worker", "--state-dir", "a"])?, scene.start(&["worker", "--state-dir", "b"])?];
    scene.until("garden", "what the budget covers to be done", |counts| counts.done == 7).await?;
    let seen = of(&scene, "garden").await?;
    assert_eq!((seen["credits"].as_f64(), seen["budget"].as_f64()), (Some(490.0), Some(520.0)), "{seen}");
    waits_for(&scene, "job-30", "budget", "490 of 520 credits").await?;
    let bill = scene.bill().await;
    assert_eq!((bill.accepted.len(), bill.charged, bill.turned_away.get(&422)), (7, 490, Some(&2)), "{bill:?}");

    // A worker that knows no other prices than its own changes nothing; a person does.
    let ended = scene.run(&["update", "garden", "--budget", "700"]).await?.with_code(0)?;
    ensure!(ended.stderr.contains("budget 700 (was 520)"), "{}", ended.stderr);
    scene.until("garden", "three more", |counts| counts.done == 10).await?;
    waits_for(&scene, "job-30", "budget", "700 of 700 credits").await?;
    assert_eq!(scene.bill().await.charged, 700);
    scene.run(&["update", "garden", "--budget", "none"]).await?.with_code(0)?;
    scene.until("garden", "the rest", |counts| counts.done == 28).await?;
    for worker in workers {
        worker.terminate().await?;
        worker.wait(PATIENCE).await?.with_code(130)?;
    }
    Ok(())
}

/// What is left would be enough for a job of another model.
#[tokio::test]
async fn a_run_whose_budget_is_used_up_waits_and_says_so() -> Result<()> {
    let left = "250 of 310 credits, and the next job costs 250";
    for (option, word, words) in [
        ("--budget", "budget", format!("garden: its budget is used up ({left}); veobatch update garden --budget")),
        ("--daily-budget", "daily_budget", format!("the daily budget is used up ({left}): waiting for the next day")),
    ] {
        let scene = on_sqlite(quick()).await?;
        scene.prompts("garden.yaml", &Prompts::numbered("garden", 4).defaults("{ model: veo3 }"))?;
        scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
        let now = json(&scene, &["status", "--json"]).await?["account"]["now"].as_str().context("no time")?.to_owned();
        let zone = zone(now.split('T').nth(1).unwrap_or_default());
        let budget = if word == "budget" { "310".to_owned() } else { format!("310 {zone}") };
        let run = scene.start(&["run", "garden.yaml", option, &budget])?;
        scene.until("garden", "what the budget covers", |counts| counts.done == 1).await?;
        waits_for(&scene, "job-4", word, "250 of 310 credits").await?;
        let told = async || {
            while !run.said().contains(&words) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, told()).await.with_context(|| format!("run does not say it: {}", run.said()))?;
        scene.run(&["cancel", "garden"]).await?.with_code(0)?;
        run.wait(PATIENCE).await?.with_code(1)?;
        assert_eq!(scene.bill().await.charged, 250);
    }
    Ok(())
}

#[tokio::test]
async fn a_job_without_a_price_waits_where_there_is_a_budget_and_the_others_go() -> Result<()> {
    for scene in [on_sqlite(quick()).await?, on_redis(quick()).await?] {
        scene.write("prices.yaml", PRICES)?;
        let prompts = Prompts::of("garden")
            .job("dear", "one of a model without a price", "model: veo3")
            .job("cheap-1", &prompt(1), "")
            .job("cheap-2", &prompt(2), "");
        scene.prompts("garden.yaml", &prompts)?;
        scene.run(&["enqueue", "garden.yaml", "--budget", "5000", "--prices", "prices.yaml"]).await?.with_code(0)?;
        let worker = scene.start(&["worker"])?;
        scene.until("garden", "those with a price to be done", |counts| counts.done == 2).await?;
        waits_for(&scene, "dear", "price", "veo3/720p").await?;
        // Ten milliseconds apart, so the calls may overtake each other on their way.
        let mut paid = order(&scene.bill().await);
        paid.sort_unstable();
        assert_eq!(paid, [1, 2]);
        let ended = scene.run(&["enqueue", "garden.yaml", "--rate", "100/1s", "--prices", "prices.yaml"]).await?;
        ensure!(!ended.with_code(0)?.stderr.contains("prices:"), "the same prices are no change");
        scene.write("prices.yaml", "veo3_fast: { 720p: 71, 1080p: 75, 4k: 190 }\n")?;
        let ended = scene.run(&["enqueue", "garden.yaml", "--prices", "prices.yaml"]).await?.with_code(0)?;
        ensure!(ended.stderr.contains("prices: veo3_fast/720p 71 (was 70)"), "{}", ended.stderr);
        worker.terminate().await?;
        worker.wait(PATIENCE).await?.with_code(130)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_day_s_budget_holds_for_every_batch_until_the_day_is_over_or_somebody_raises_it() -> Result<()> {
    for scene in [on_sqlite(quick()).await?, on_redis(quick()).await?] {
        for batch in ["garden", "office"] {
            scene.prompts(&format!("{batch}.yaml"), &Prompts::numbered(batch, 3))?;
            scene.run(&["enqueue", &format!("{batch}.yaml")]).await?.with_code(0)?;
        }
        let now = json(&scene, &["status", "--json"]).await?["account"]["now"].as_str().context("no time")?.to_owned();
        let zone = zone(now.split('T').nth(1).unwrap_or_default());
        let budget = format!("250 {zone}");
        let worker = scene.start(&["worker", "--daily-budget", &budget])?;
        let bill = scene.until_billed("the day's budget to be used", |bill| bill.accepted.len() == 4).await?;
        assert_eq!(bill.charged, 240);
        ensure!(worker.said().contains(&format!("daily budget: 250 credits a day in {zone} (was none)")));
        let account = json(&scene, &["status", "--json"]).await?["account"].clone();
        let daily = &account["daily_budget"];
        assert_eq!((daily["spent"].as_f64(), daily["zone"].as_str()), (Some(240.0), Some(zone)), "{daily}");
        let words = scene.run(&["status"]).await?.with_code(0)?.stdout;
        ensure!(words.contains("240 of 250 credits used today, until"), "{words}");
        waits_for(&scene, "job-3", "daily_budget", "240 of 250 credits").await?;
        scene.run(&["enqueue", "garden.yaml", "--daily-budget", "310"]).await?.with_code(0)?;
        if zone == "UTC" {
            let bill = scene.until_billed("one more", |bill| bill.accepted.len() == 5).await?;
            assert_eq!(bill.charged, 300, "what was used of the day is not forgotten");
        }
        scene.run(&["enqueue", "garden.yaml", "--daily-budget", "none"]).await?.with_code(0)?;
        scene.until_billed("all of them", |bill| bill.accepted.len() == 6).await?;
        worker.terminate().await?;
        worker.wait(PATIENCE).await?.with_code(130)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_daily_budget_without_a_known_zone_is_refused_with_2() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    let ended = scene.run(&["enqueue", "garden.yaml", "--daily-budget", "5000 Berlin"]).await?.with_code(2)?;
    ensure!(ended.stderr.contains("Europe/Berlin"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn priorities_reorder_batches_and_the_queued_jobs_of_one() -> Result<()> {
    for scene in [on_sqlite(quick()).await?, on_redis(quick()).await?] {
        scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
        let late = Prompts::of("late").job("a", &prompt(21), "").job("b", &prompt(22), "");
        scene.prompts("late.yaml", &late)?;
        scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
        scene.run(&["enqueue", "late.yaml"]).await?.with_code(0)?;
        scene.run(&["update", "garden", "job-4", "job-2", "--priority", "7"]).await?.with_code(0)?;
        scene.run(&["update", "garden", "job-1", "--priority", "-3"]).await?.with_code(0)?;
        scene.run(&["update", "late", "--priority", "10"]).await?.with_code(0)?;
        scene.run(&["update", "late", "--priority", "101"]).await?.with_code(2)?;
        let shown = json(&scene, &["show", "garden", "job-1", "--json"]).await?;
        assert_eq!(shown["priority"], -3, "{shown}");
        scene.run(&["worker", "--until-idle", "--concurrency-submit", "1"]).await?.with_code(0)?;
        assert_eq!(order(&scene.bill().await), [21, 22, 2, 4, 3, 5, 1]);
        let ended = scene.run(&["update", "garden", "job-1", "--priority", "5", "--json"]).await?.with_code(1)?;
        ensure!(ended.stderr.contains("is done"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn everything_is_paused_resumed_and_cancelled_at_once_on_every_machine() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 1_500;
    let scene = on_redis(config).await?.with("VEOBATCH_MAX_IN_FLIGHT", "2");
    for batch in ["garden", "office"] {
        scene.prompts(&format!("{batch}.yaml"), &Prompts::numbered(batch, 10))?;
        scene.run(&["enqueue", &format!("{batch}.yaml")]).await?.with_code(0)?;
    }
    let paused = json(&scene, &["pause", "--all", "--json"]).await?;
    assert_eq!(paused["batches"].as_array().map(Vec::len), Some(2), "{paused}");
    let words = ["worker", "--until-idle"];
    scene.run(&words).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 0);
    let resumed = json(&scene, &["resume", "--all", "--json"]).await?;
    assert_eq!(resumed["batches"][1]["paused"], false, "{resumed}");
    let workers = [
        scene.start(&[&words[..], &["--state-dir", "a"]].concat())?,
        scene.start(&[&words[..], &["--state-dir", "b"]].concat())?,
    ];
    scene.until_billed("the first to be paid for", |bill| bill.accepted.len() >= 2).await?;
    let ended = json(&scene, &["cancel", "--all", "--json"]).await?;
    let left = |batch: &Value| batch["queued"].as_u64();
    assert_eq!(
        ended["batches"].as_array().map(|all| all.iter().map(left).collect()),
        Some(vec![Some(0); 2]),
        "{ended}"
    );
    for worker in workers {
        worker.wait(PATIENCE).await?.with_code(0)?;
    }
    let counts = [scene.counts("garden").await?, scene.counts("office").await?];
    let done: u64 = counts.iter().map(|counts| counts.done).sum();
    let cancelled: u64 = counts.iter().map(|counts| counts.cancelled).sum();
    assert_eq!(done + cancelled, 20, "{counts:?}");
    assert_eq!(u64::try_from(scene.bill().await.accepted.len())?, done, "what was paid for is saved");
    ensure!(cancelled >= 10, "{counts:?}");
    let again = scene.run(&["cancel", "--all"]).await?.with_code(0)?;
    ensure!(again.stderr.contains("nothing to cancel"), "{}", again.stderr);
    Ok(())
}

#[tokio::test]
async fn a_batch_whose_jobs_are_all_refused_alike_is_paused_and_says_why() -> Result<()> {
    let mut config = quick();
    config.faults.submit = vec![Rule::always(Fault::Code).code(422).prompt("Scene")];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 60))?;
    scene.prompts("office.yaml", &Prompts::of("office").job("a", "something else", ""))?;
    let ended = scene.run(&["run", "garden.yaml", "office.yaml"]).await?.with_code(1)?;
    ensure!(ended.stderr.contains("10 jobs in a row were refused"), "{}", ended.stderr);
    let counts = scene.counts("garden").await?;
    ensure!(counts.paused && (10..=26).contains(&counts.failed), "16 calls at a time: {counts:?}");
    assert_eq!((counts.failed + counts.queued, scene.counts("office").await?.done), (60, 1));
    let because = of(&scene, "garden").await?["paused_because"].as_str().unwrap_or_default().to_owned();
    ensure!(because.starts_with("10 jobs in a row were refused: ") && because.ends_with("(422)"), "{because:?}");
    waits_for(&scene, "job-60", "paused", &because).await?;
    let words = scene.run(&["status", "garden"]).await?.with_code(0)?.stdout;
    ensure!(words.contains(&because), "{words}");

    let mut better = scene.simulator.config();
    better.faults.submit.clear();
    scene.simulator.update(better)?;
    scene.run(&["resume", "garden"]).await?.with_code(0)?;
    assert_eq!(of(&scene, "garden").await?["paused_because"], Value::Null);
    scene.run(&["retry", "garden"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.done, 60);
    Ok(())
}

#[tokio::test]
async fn a_job_says_what_it_waits_for() -> Result<()> {
    let scene = on_sqlite(slow()).await?.with("VEOBATCH_POLL_FIRST", "60s").with("VEOBATCH_POLL_MAX", "60s");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 4))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    waits_for(&scene, "job-1", "turn", "when its turn comes").await?;
    scene.run(&["update", "garden", "--start-at", "2099-01-01 08:00 UTC"]).await?.with_code(0)?;
    waits_for(&scene, "job-1", "start", "1 Jan, 08:00 UTC").await?;
    scene.run(&["update", "garden", "--start-at", "none"]).await?.with_code(0)?;
    scene.run(&["pause", "garden"]).await?.with_code(0)?;
    waits_for(&scene, "job-1", "paused", "veobatch resume garden").await?;
    scene.run(&["resume", "garden"]).await?.with_code(0)?;

    let worker = scene.start(&["worker", "--max-in-flight", "2"])?;
    scene.until("garden", "two in flight", |counts| counts.generating == 2).await?;
    waits_for(&scene, "job-4", "cap", "2 videos are in flight").await?;
    waits_for(&scene, "job-1", "poll", "the next poll is due in").await?;

    let mut poor = scene.simulator.config();
    poor.credits = 0;
    scene.simulator.update(poor)?;
    scene.run(&["enqueue", "garden.yaml", "--max-in-flight", "3"]).await?.with_code(0)?;
    scene.until_billed("an empty account", |bill| bill.turned_away.contains_key(&402)).await?;
    scene.until("garden", "the refusal to be told", |counts| counts.queued == 2).await?;
    waits_for(&scene, "job-4", "gate", "no credits left").await?;
    worker.kill().await?;
    Ok(())
}
