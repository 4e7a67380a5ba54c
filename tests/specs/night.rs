//! Over night: starts, windows, recurring batches, and what is told of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use veobatch_tests::{Prompts, Scene, prompt, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

/// Milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "the simulator's bill is by the wall clock")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

/// `HH:MM`, so many minutes after midnight, whatever the day.
fn clock(minutes: u64) -> String {
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// Hours in which the present minute lies, with two hours to spare either way.
fn open() -> String {
    let minute = now() / 60_000;
    format!("{}-{} UTC", clock(minute - 120), clock(minute + 120))
}

/// Hours in which it does not.
fn closed() -> String {
    let minute = now() / 60_000;
    format!("{}-{} UTC", clock(minute + 120), clock(minute + 240))
}

async fn status(scene: &Scene) -> Result<Vec<Value>> {
    let ended = scene.run(&["status", "--json"]).await?.with_code(0)?;
    let document: Value = serde_json::from_str(&ended.stdout)?;
    Ok(document.get("batches").and_then(Value::as_array).context("no batches")?.clone())
}

async fn of(scene: &Scene, batch: &str) -> Result<Value> {
    let all = status(scene).await?;
    all.into_iter().find(|known| known["batch"] == batch).with_context(|| format!("there is no batch {batch}"))
}

#[tokio::test]
async fn nothing_is_submitted_before_its_start_and_then_at_once() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    let before = now();
    let start = (before / 1000 + 3) * 1000;
    let text = day_and_time(start);
    let ended = scene.run(&["run", "garden.yaml", "--start-at", &text]).await?.with_code(0)?;
    ensure!(ended.stderr.contains("not before"), "{}", ended.stderr);
    ensure!(ended.stderr.contains("nothing is submitted before"), "{}", ended.stderr);
    let at = scene.bill().await.accepted.iter().map(|task| task.at_ms).min().context("nothing was submitted")?;
    let late = at.checked_sub(start).context("a job was submitted before its start")?;
    // What is late on a busy machine is later where the start is only looked up now and then.
    ensure!(late < 10_000, "{late} ms late");
    Ok(())
}

#[tokio::test]
async fn a_closed_window_is_waited_for_until_a_person_opens_it() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let yaml = Prompts::numbered("garden", 3).yaml();
    scene.write("garden.yaml", &format!("window: {}\n{yaml}", closed()))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?.saying("all of 3 jobs fit into")?;
    let mut worker = scene.start(&["worker", "--until-idle"])?;
    let shown = scene.run(&["show", "garden", "job-1"]).await?.with_code(0)?.stdout;
    ensure!(shown.contains("window is closed until"), "{shown}");
    scene.until("garden", "a queued batch", |counts| counts.queued == 3).await?;
    ensure!(worker.is_running()?, "a closed window is waited for");
    assert_eq!(scene.bill().await.submissions, 0);
    let changed = scene.run(&["enqueue", "garden.yaml", "--window", "none", "--weight", "5"]).await?.with_code(0)?;
    changed.saying("weight 5 (was 1), window none (was")?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    let batch = of(&scene, "garden").await?;
    assert_eq!((&batch["done"], &batch["weight"], &batch["window"]), (&Value::from(3), &Value::from(5), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn a_workers_own_hours_hold_for_batches_without_a_window() -> Result<()> {
    let scene = on_sqlite(quick()).await?.with("VEOBATCH_WINDOW", &closed());
    scene.prompts("any.yaml", &Prompts::of("any").job("a", "waits for the night", ""))?;
    let own = Prompts::of("own").job("b", "has hours of its own", "").yaml();
    scene.write("own.yaml", &format!("window: {}\n{own}", open()))?;
    scene.run(&["enqueue", "any.yaml", "own.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    scene.until("own", "a video", |counts| counts.done == 1).await?;
    assert_eq!(scene.counts("any").await?.queued, 1);
    worker.interrupt().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;
    scene.run(&["worker", "--until-idle", "--window", &open()]).await?.with_code(0)?;
    assert_eq!(scene.counts("any").await?.done, 1);
    Ok(())
}

#[tokio::test]
async fn a_budget_is_kept_to_and_what_waits_for_it_says_so() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let yaml = Prompts::numbered("garden", 4).yaml();
    scene.write("garden.yaml", &format!("budget: 150\n{yaml}"))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until("garden", "two videos", |counts| counts.done == 2).await?;
    let shown = scene.run(&["show", "garden", "job-4"]).await?.with_code(0)?.stdout;
    ensure!(shown.contains("budget is used up: 120 of 150"), "{shown}");
    assert_eq!(scene.bill().await.submissions, 2);
    scene.run(&["enqueue", "garden.yaml", "--budget", "none"]).await?.with_code(0)?.saying("budget none (was 150)")?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    assert_eq!(of(&scene, "garden").await?["credits"], 240.0);
    Ok(())
}

#[tokio::test]
async fn a_run_that_redis_forgot_is_made_again_and_takes_up_what_was_paid_for() -> Result<()> {
    let mut config = quick();
    // So long that even a busy machine sees its videos being made.
    (config.generation.median_ms, config.generation.sigma) = (15_000, 0.0);
    let mut scene = on_redis(config).await?.with("VEOBATCH_STATE_DIR", "one-machine");
    // A server is known to have been replaced only if something was granted on the one before.
    scene.prompts("first.yaml", &Prompts::of("first").job("a", "before all that", ""))?;
    scene.run(&["run", "first.yaml"]).await?.with_code(0)?;
    let (daily, cron) = (Prompts::numbered("daily", 3), hourly());
    scene.write("daily.yaml", &format!("cron: {cron} UTC\n{}", daily.yaml()))?;
    scene.run(&["enqueue", "daily.yaml"]).await?.with_code(0)?;
    let_a_run_be_due(&scene, 2, &cron, None)?;
    scene.redis.as_ref().context("a scene on Redis")?.remember()?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until_billed("the run to be paid for", |bill| bill.accepted.len() == 4).await?;
    let run = status(&scene).await?.into_iter().filter_map(|batch| Some(batch.get("batch")?.as_str()?.to_owned()));
    let run = run.into_iter().find(|name| name.starts_with("daily-")).context("no run")?;
    scene.until(&run, "its tasks to be known", |counts| counts.generating == 3).await?;

    let redis = scene.redis.as_mut().context("a scene on Redis")?;
    redis.kill()?;
    redis.go_back()?;
    redis.start_again().await?;
    scene.until(&run, "the journal to be heard", |counts| counts.total == 3 && counts.sent() == 3).await?;
    scene.redis.as_ref().context("a scene on Redis")?.end_recovery()?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    assert_eq!(scene.counts(&run).await?.done, 3);
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (4, 1));
    Ok(())
}

/// As if the batch that was enqueued as the `n`-th one had been there for half an hour: the run of twenty minutes ago is due.
fn let_a_run_be_due(scene: &Scene, n: u32, cron: &str, window: Option<&str>) -> Result<()> {
    let redis = scene.redis.as_ref().context("a scene on Redis")?;
    let window = window.map(|hours| format!("window {hours}; ")).unwrap_or_default();
    let since = (now() / 60_000 - 30) * 60_000;
    redis.ask(&format!("HSET {{veobatch}}:b{n} schedule \"{window}cron {cron} UTC since {since}\"")).map(drop)
}

/// Once an hour, twenty minutes ago for the last time.
fn hourly() -> String {
    format!("{} * * * *", (now() / 60_000 - 20) % 60)
}

#[tokio::test]
async fn two_workers_make_one_run_with_its_templates_terms_and_none_after_it_is_cancelled() -> Result<()> {
    let scene = on_redis(quick()).await?;
    let daily = (1..=3).fold(Prompts::of("daily"), |all, n| all.job(&format!("d{n}"), &format!("daily {n}"), ""));
    let (cron, hours) = (hourly(), open());
    scene.write("daily.yaml", &format!("cron: {cron} UTC\nwindow: {hours}\nweight: 9\n{}", daily.yaml()))?;
    let told = scene.run(&["enqueue", "daily.yaml"]).await?.with_code(0)?;
    ensure!(told.stderr.contains(&format!("daily: recurring ({cron} UTC): next run")), "{}", told.stderr);
    let work = |state: &'static str| scene.start(&["worker", "--state-dir", state]);
    let workers = [work("one")?, work("two")?];
    let deadline = Instant::now() + PATIENCE;
    while !workers.iter().all(|worker| worker.said().contains("worker started")) {
        ensure!(Instant::now() < deadline, "they do not begin: {}", workers[0].said());
        sleep(Duration::from_millis(20)).await;
    }
    let_a_run_be_due(&scene, 1, &cron, Some(&hours))?;
    let runs = async || -> Result<Vec<Value>> {
        let is_run = |batch: &Value| batch["batch"].as_str().is_some_and(|name| name.starts_with("daily-"));
        Ok(status(&scene).await?.into_iter().filter(is_run).collect())
    };
    while !runs().await?.iter().any(|run| run["done"] == 3) {
        ensure!(Instant::now() < deadline, "no run was made: {:?}", runs().await?);
        sleep(Duration::from_millis(100)).await;
    }
    let made = runs().await?;
    let [run] = made.as_slice() else { anyhow::bail!("one time was due, and these runs were made: {made:?}") };
    let of_a_run = (run["total"].as_u64(), run["weight"].as_u64(), run["cron"].is_null());
    assert_eq!(of_a_run, (Some(3), Some(9), true), "{run}");
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (3, 1));
    assert_eq!(of(&scene, "daily").await?["queued"], 3, "the template's own jobs are never submitted");

    // Cancelled, it is over: another time that is due makes no run.
    scene.run(&["cancel", "daily"]).await?.with_code(0)?;
    let said = scene.run(&["status", "daily"]).await?.with_code(0)?.stdout;
    ensure!(said.contains(&format!("recurring ({cron} UTC), ended")), "{said}");
    for worker in workers {
        worker.interrupt().await?;
        worker.wait(PATIENCE).await?.with_code(130)?;
    }
    let_a_run_be_due(&scene, 1, &cron, Some(&hours))?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    assert_eq!((runs().await?.len(), scene.bill().await.submissions), (1, 3));
    Ok(())
}

#[tokio::test]
async fn a_recurring_file_is_admitted_and_nobody_waits_for_it() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("daily.yaml", &Prompts::numbered("daily", 2))?;
    // A day in the year that is not today.
    let cron = "0 0 29 2 * Europe/Berlin";
    let run = scene.run(&["run", "daily.yaml", "--cron", cron]).await?.with_code(0)?;
    ensure!(run.stderr.contains("next run 29 Feb, 00:00"), "{}", run.stderr);
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 0);
    assert_eq!(of(&scene, "daily").await?["cron"], cron);
    Ok(())
}

#[tokio::test]
async fn check_and_status_forecast_the_night_and_tell_what_is_wrong_with_it() -> Result<()> {
    let scene = on_sqlite(quick()).await?.with("VEOBATCH_RATE", "20/10s");
    let yaml = Prompts::numbered("night", 2_000).yaml();
    scene.write("night.yaml", &format!("window: {}\nbudget: 600\npriority: -5\n{yaml}", closed()))?;
    for command in [&["check", "night.yaml"][..], &["check", "night.yaml", "--json"]] {
        let said = scene.run(command).await?.with_code(0)?.stdout;
        ensure!(said.contains("UTC") || said.contains("\"fits\""), "{said}");
    }
    scene.run(&["enqueue", "night.yaml"]).await?.with_code(0)?;
    let batch = of(&scene, "night").await?;
    assert_eq!((&batch["budget"], &batch["priority"]), (&Value::from(600.0), &Value::from(-5)));
    assert_eq!((&batch["forecast"]["jobs"], &batch["forecast"]["fits"]), (&Value::from(2000), &Value::from(2000)));
    let said = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(said.contains("all of 2,000 jobs fit into"), "{said}");
    for (option, value, words) in [
        ("--window", "22:00-06:00 Berlin", "did you mean Europe/Berlin?"),
        ("--start-at", "tomorrow", "write it like"),
        ("--cron", "0 25 * * * UTC", "five fields"),
        ("--weight", "0", "from 1 to 1000"),
        ("--priority", "101", "from -100 to 100"),
        ("--budget", "much", "an amount of credits"),
    ] {
        scene.run(&["enqueue", "night.yaml", option, value]).await?.with_code(2)?.saying(words)?;
    }
    scene.write("typo.yaml", &format!("window: 22:00-06:00 Berlin\n{}", prompt_file()))?;
    scene.run(&["check", "typo.yaml"]).await?.with_code(2)?.saying("typo.yaml:1:9")?;
    Ok(())
}

/// Each run of a template is paid for anew, so what becomes one, or ceases to be one, is reported.
#[tokio::test]
async fn a_recurrence_is_given_changed_and_taken_away_by_update() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("daily.yaml", &Prompts::numbered("daily", 3))?;
    scene.run(&["enqueue", "daily.yaml"]).await?.with_code(0)?;
    let leap_days = "0 0 29 2 * Europe/Berlin";
    let update = async |cron| scene.run(&["update", "daily", "--cron", cron]).await?.with_code(0);
    update(leap_days).await?.saying("template now: each run pays for its 3 queued jobs anew")?;
    assert_eq!(of(&scene, "daily").await?["cron"], leap_days);
    update("0 12 29 2 * UTC").await?.saying(&format!("cron 0 12 29 2 * UTC (was {leap_days})"))?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.submissions, 0);
    update("none").await?.saying("no template any more: its 3 queued jobs may be submitted")?;
    scene.run(&["run", "daily.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.accepted.len(), 3);
    let long = "n".repeat(110);
    scene.prompts(&format!("{long}.yaml"), &Prompts::numbered(&long, 1))?;
    scene.run(&["enqueue", &format!("{long}.yaml")]).await?.with_code(0)?;
    scene.run(&["update", &long, "--cron", leap_days]).await?.with_code(2)?.saying("choose a shorter name")?;
    Ok(())
}

fn prompt_file() -> String {
    format!("jobs:\n  - {}\n", serde_json::Value::from(prompt(1)))
}

/// RFC 3339: Howard Hinnant's `civil_from_days`, for days after 1970.
fn day_and_time(ms: u64) -> String {
    let (days, second) = (ms / 86_400_000, ms / 1000 % 86_400);
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let (year, day) = (year + era * 400 + u64::from(month <= 2), of_year - (153 * shifted + 2) / 5 + 1);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}
