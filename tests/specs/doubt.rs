//! A job in doubt, as a person sees it: the evidence, what `--in-doubt` lets become of it, and late answers.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use veobatch_simulator::{Bill, Config, Endpoint, Fault, Rule};
use veobatch_tests::{Movie, Prompts, Scene, prompt, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

const BATCH: &str = "garden";

/// The scene with a receiver of callbacks at a free port.
fn hearing(scene: Scene) -> Result<Scene> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(scene
        .with("VEOBATCH_CALLBACK_LISTEN", &format!("127.0.0.1:{port}"))
        .with("VEOBATCH_CALLBACK_URL", &format!("http://127.0.0.1:{port}/veobatch")))
}

/// `show --json` of a job.
async fn shown(scene: &Scene, job: &str) -> Result<Value> {
    let ended = scene.run(&["show", BATCH, job, "--json"]).await?.with_code(0)?;
    serde_json::from_str(&ended.stdout).context("show --json is one document")
}

/// Waits until `show --json` of a job is as wanted; `what` completes "waited in vain for …".
async fn until_shown(scene: &Scene, job: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = shown(scene, job).await?;
        if wanted(&shown) {
            return Ok(shown);
        }
        if Instant::now() > deadline {
            bail!("waited in vain for {what}; last seen: {shown:#}");
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// What is at this place (a JSON pointer); null if nothing is.
fn at<'a>(shown: &'a Value, place: &str) -> &'a Value {
    shown.pointer(place).unwrap_or(&Value::Null)
}

/// What happened to a job, one line each.
fn history(shown: &Value) -> String {
    let entries = at(shown, "/history").as_array().into_iter().flatten();
    entries.filter_map(|entry| at(entry, "/what").as_str()).collect::<Vec<_>>().join("\n")
}

/// Whether it waits to be submitted again, after this many attempts.
fn is_again(shown: &Value, attempts: u32) -> bool {
    at(shown, "/state") == "queued" && at(shown, "/attempt") == attempts
}

async fn accepted(scene: &Scene, n: usize) -> usize {
    scene.bill().await.accepted.iter().filter(|accepted| accepted.prompt == prompt(n)).count()
}

/// A worker reads the balance, then loses the answer of its only call; with the call accepted or not.
async fn balance_around(scene: impl Future<Output = Result<Scene>>, is_paid: bool) -> Result<()> {
    let scene = scene.await?;
    let rule = Rule::nth(Fault::Close, [1]);
    let mut faults = quick().faults;
    faults.submit.push(if is_paid { rule.after_accepting() } else { rule });
    scene.simulator.set_faults(faults)?;
    let worker = scene.start(&["worker"])?;
    // Once to see whether the key is taken, and once to know it.
    let is_read = |bill: &Bill| bill.answers.get(&Endpoint::Credit).is_some_and(|told| told.values().sum::<u64>() >= 2);
    scene.until_billed("the balance to be read", is_read).await?;
    scene.prompts("garden.yaml", &Prompts::numbered(BATCH, 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.until(BATCH, "a doubt", |counts| counts.in_doubt == 1).await?;
    if is_paid {
        until_shown(&scene, "job-1", "the balance after it", |shown| !at(shown, "/doubt/balance/after").is_null())
            .await?;
    }
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;

    let (shown, bill) = (shown(&scene, "job-1").await?, scene.bill().await);
    let balance = at(&shown, "/doubt/balance");
    let price = bill.accepted.first().map_or(0, |accepted| accepted.price);
    ensure!((price > 0) == is_paid, "{bill:?}");
    let left = quick().credits;
    let told = ["/before/credits", "/after/credits"].map(|place| at(balance, place).as_f64());
    assert_eq!(told, [Some(as_f64(left)), Some(as_f64(left - price))], "{balance:#}");
    assert_eq!(
        (at(balance, "/spent").as_f64(), at(balance, "/other_submissions").as_u64()),
        (Some(as_f64(price)), Some(0))
    );
    let words = scene.run(&["show", BATCH, "job-1"]).await?.with_code(0)?.stdout;
    let hint = if is_paid { "it was paid for" } else { "speaks against a payment" };
    ensure!(words.contains("the balance was") && words.contains(hint), "{words}");

    let give_up = ["resolve", BATCH, "job-1", "--give-up"];
    scene.run(&give_up).await?.with_code(0)?;
    scene.run(&give_up).await?.with_code(1)?.saying("it was given up already")?;
    assert_eq!(at(&self::shown(&scene, "job-1").await?, "/doubt"), &Value::Null, "nobody needs it any more");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a balance is far below 2^53")]
fn as_f64(credits: u64) -> f64 {
    credits as f64
}

#[tokio::test]
async fn what_the_balance_was_around_a_doubt_that_was_paid_for_is_shown() -> Result<()> {
    balance_around(on_sqlite(quick()), true).await
}

#[tokio::test]
async fn what_the_balance_was_around_a_doubt_that_was_not_paid_for_is_shown() -> Result<()> {
    balance_around(on_redis(quick()), false).await
}

#[tokio::test]
async fn a_person_may_prefer_a_second_payment_which_is_bounded_and_told_in_the_history() -> Result<()> {
    let mut config = quick();
    let lost = |n| Rule::always(Fault::Close).after_accepting().prompt(prompt(n));
    config.faults.submit = vec![Rule { times: Some(1), ..lost(1) }, lost(2)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered(BATCH, 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle", "--in-doubt", "resubmit"])?;
    for attempt in 1..=2 {
        until_shown(&scene, "job-2", "another attempt", |shown| is_again(shown, attempt)).await?;
        // It waits half a minute by itself.
        scene.run(&["retry", BATCH, "job-2"]).await?.with_code(0)?;
    }
    worker.wait(PATIENCE).await?.with_code(0)?.saying("may be paid for twice")?;

    let (once, always) = (shown(&scene, "job-1").await?, shown(&scene, "job-2").await?);
    assert_eq!((at(&once, "/state"), at(&once, "/attempt")), (&"done".into(), &2.into()), "{once:#}");
    assert_eq!((at(&always, "/state"), at(&always, "/attempt")), (&"in_doubt".into(), &3.into()), "{always:#}");
    let said = |shown: &Value| history(shown).matches("because of --in-doubt resubmit; may be paid twice").count();
    assert_eq!((said(&once), said(&always)), (1, 2));
    let bill = [accepted(&scene, 1).await, accepted(&scene, 2).await, accepted(&scene, 3).await];
    assert_eq!((bill, scene.bill().await.submissions), ([2, 3, 1], 6));
    // By default nothing more happens to it.
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    assert_eq!(scene.bill().await.submissions, 6);
    Ok(())
}

#[tokio::test]
async fn silence_leads_to_another_attempt_only_if_later_submissions_were_heard() -> Result<()> {
    let mut config = quick();
    config.callbacks.retry_ms = 200;
    // The first call is never accepted, the second one is: its answer is lost, and its callback comes.
    config.faults.submit = vec![
        Rule::nth(Fault::Close, [1]).prompt(prompt(1)),
        Rule { times: Some(1), ..Rule::always(Fault::Close) }.after_accepting().prompt(prompt(2)),
    ];
    let scene = hearing(on_redis(config).await?)?.with("VEOBATCH_IN_DOUBT", "silence=1h");
    scene.prompts("garden.yaml", &Prompts::numbered(BATCH, 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    scene.until(BATCH, "a doubt", |counts| counts.in_doubt == 1).await?;
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;

    let redis = scene.redis.as_ref().context("a scene on Redis")?;
    redis.age_doubts(Duration::from_secs(2 * 3600))?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let counts = scene.counts(BATCH).await?;
    assert_eq!((counts.in_doubt, scene.bill().await.submissions), (1, 1), "nobody was heard: silence says nothing");

    scene.prompts("more.yaml", &Prompts::numbered(BATCH, 3))?;
    scene.run(&["enqueue", "more.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    let queued = until_shown(&scene, "job-1", "another attempt", |shown| is_again(shown, 1)).await?;
    ensure!(history(&queued).contains("--in-doubt silence: no callback in 120 min"), "{queued:#}");
    assert_eq!(accepted(&scene, 1).await, 0, "before the second attempt it was never made");
    scene.run(&["retry", BATCH, "job-1"]).await?.with_code(0)?;
    worker.wait(PATIENCE).await?.with_code(0)?;

    assert_eq!(scene.counts(BATCH).await?.done, 3);
    let bill = [accepted(&scene, 1).await, accepted(&scene, 2).await, accepted(&scene, 3).await];
    assert_eq!((bill, scene.bill().await.submissions), ([1, 1, 1], 4), "what was called back for is paid for once");
    assert_eq!(at(&shown(&scene, "job-2").await?, "/attempt"), 1);
    Ok(())
}

/// A job whose first task comes to light only after its second one is saved, while files cannot be fetched.
async fn late(scene: impl Future<Output = Result<Scene>>) -> Result<()> {
    let scene = hearing(scene.await?)?;
    scene.prompts("garden.yaml", &Prompts::numbered(BATCH, 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--in-doubt", "resubmit"])?;
    until_shown(&scene, "job-1", "another attempt", |shown| is_again(shown, 1)).await?;
    let mut config = slow();
    config.generation.median_ms = 100;
    scene.simulator.update(config.clone())?;
    scene.run(&["retry", BATCH, "job-1"]).await?.with_code(0)?;
    scene.until(BATCH, "the second task to be saved", |counts| counts.done == 1).await?;
    config.faults.download.push(Rule::always(Fault::Status).code(503));
    scene.simulator.update(config.clone())?;
    let is_made = |shown: &Value| at(shown, "/strays/0/state") == "downloading";
    let open = until_shown(&scene, "job-1", "the first task's callback", is_made).await?;
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;

    let bill = scene.bill().await;
    let first = bill.accepted.first().context("the first task")?.task_id.clone();
    assert_eq!((at(&open, "/strays/0/task_id").as_str(), bill.submissions), (Some(first.as_str()), 2));
    let forget = ["purge", BATCH, "--forget", "--yes"];
    scene.run(&forget).await?.with_code(1)?.saying(&first)?.saying("not saved yet")?;
    assert_eq!(scene.counts(BATCH).await?.done, 1, "nothing was forgotten");
    let status = scene.run(&["status", BATCH]).await?.with_code(0)?.stdout;
    ensure!(status.contains(&first) && status.contains("made, waiting to be saved"), "{status}");

    config.faults.download.clear();
    scene.simulator.update(config)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let name = format!("{BATCH}/job-1.stray-{first}.mp4");
    let status = scene.run(&["status", BATCH]).await?.with_code(0)?.stdout;
    ensure!(status.contains(&format!("saved as {name}")), "{status}");
    for file in [format!("{BATCH}/job-1.mp4"), name] {
        Movie::open(&scene.path("videos").join(file))?;
    }
    assert_eq!(scene.bill().await.submissions, 2);
    scene.run(&forget).await?.with_code(0)?.saying("forgot garden")?;
    Ok(())
}

/// The first answer is lost; its video takes longer than the second attempt.
fn slow() -> Config {
    let mut config = quick();
    config.generation.median_ms = 25_000;
    config.generation.sigma = 0.0;
    config.callbacks.retry_ms = 200;
    config.faults.submit.push(Rule::nth(Fault::Close, [1]).after_accepting());
    config
}

#[tokio::test]
async fn a_late_task_is_saved_beside_the_jobs_own_and_not_forgotten_before() -> Result<()> {
    late(on_sqlite(slow())).await
}

#[tokio::test]
async fn a_late_task_is_saved_beside_the_jobs_own_and_not_forgotten_before_on_redis() -> Result<()> {
    late(on_redis(slow())).await
}
