//! Files, batches, and orders to them.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use veobatch_tests::{Prompts, prompt, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

#[tokio::test]
async fn a_bad_file_tells_all_its_problems_at_once_and_admits_nothing() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let prompts = Prompts::of("garden")
        .job("good", "a good one", "")
        .job("empty", "", "")
        .job("ratio", "another", "aspect_ratio: '4:3'")
        .job("cat.2", "a name that is taken", "")
        .job("seed", "a seed", "seed: 1")
        .job("typo", "a typo", "resolutoin: 720p");
    scene.prompts("garden.yaml", &prompts)?;
    for command in ["check", "enqueue", "run"] {
        let ended = scene.run(&[command, "garden.yaml"]).await?.with_code(2)?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        for part in ["empty", "4:3", "cat.2", "seed", "resolutoin"] {
            ensure!(said.contains(part), "{command} does not mention {part}:\n{said}");
        }
    }
    assert_eq!(scene.counts("garden").await?.total, 0);
    assert_eq!(scene.bill().await.submissions, 0);
    Ok(())
}

#[tokio::test]
async fn a_check_spends_nothing_and_stores_nothing() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 7))?;
    let told = scene.run(&["check", "garden.yaml"]).await?.with_code(0)?.stdout;
    ensure!(told.contains("7 jobs in batch garden: good") && told.contains("estimated cost: 420 credits"), "{told}");
    let left: Vec<_> = std::fs::read_dir(scene.path("."))?.map(|file| Ok(file?.file_name())).collect::<Result<_>>()?;
    assert_eq!(left.len(), 2, "the file, what was said, and nothing else: {left:?}");

    let scene = on_redis(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 7))?;
    scene.run(&["check", "garden.yaml"]).await?.with_code(0)?;
    // The mark of the format, which whoever opens a ledger leaves there (and where a program of format 1 would write, what keeps
    // it from that), and nothing else.
    let keys = scene.redis.as_ref().context("a server")?.ask("KEYS *")?;
    let mut keys: Vec<&str> = keys.lines().filter_map(|line| line.trim().strip_prefix("{veobatch}:")).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["batches", "l", "log", "meta"], "a check left something in Redis");
    scene.run(&["enqueue", "garden.yaml", "--limit", "2"]).await?.with_code(0)?;
    let told = scene.run(&["check", "garden.yaml"]).await?.with_code(0)?.stdout;
    ensure!(told.contains("garden: 5 new, 2 known") && told.contains("estimated cost: 300 credits"), "{told}");
    assert_eq!((scene.counts("garden").await?.total, scene.bill().await.submissions), (2, 0));
    Ok(())
}

#[tokio::test]
async fn a_prompt_that_yaml_cuts_off_or_changes_is_refused_with_the_line_to_write() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let yaml = "batch: garden\njobs:\n  - prompt: Take #3 of the cat\n  - prompt: A dog\n    id: 0x1F\n  - A bird\n    - A fish\n";
    scene.write("garden.yaml", yaml)?;
    for command in ["check", "enqueue", "run"] {
        let ended = scene.run(&[command, "garden.yaml"]).await?.with_code(2)?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        for part in [
            "garden.yaml:3:18: what follows `#` here is a comment",
            r#"write - prompt: "Take #3 of the cat";"#,
            r#"garden.yaml:5:9: without quotes, YAML reads this as 31: "0x1F" (write id: "0x1F")"#,
            "garden.yaml:7:5: this line continues the text above it",
        ] {
            ensure!(said.contains(part), "{command} does not say {part}:\n{said}");
        }
    }
    assert_eq!((scene.counts("garden").await?.total, scene.bill().await.submissions), (0, 0));
    Ok(())
}

#[tokio::test]
async fn null_takes_a_default_away() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let yaml = "defaults: {resolution: 4k, max_attempts: 2}\njobs:\n- {id: small, prompt: one, resolution: null}\n- {id: large, prompt: two}\n";
    scene.write("garden.yaml", yaml)?;
    let told = scene.run(&["check", "garden.yaml"]).await?.with_code(0)?.stdout;
    ensure!(told.contains("garden/small (veo3_fast, 16:9, 720p)"), "{told}");
    ensure!(told.contains("garden/large (veo3_fast, 16:9, 4k)"), "{told}");
    Ok(())
}

#[tokio::test]
async fn lines_inserted_at_the_top_are_the_only_new_jobs() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let line = |n: usize| format!("{{\"prompt\": \"{}\"}}\n", prompt(n));
    let lines = |numbers: std::ops::Range<usize>| numbers.map(line).collect::<String>();
    scene.write("garden.jsonl", &lines(10..20))?;
    scene.run(&["run", "garden.jsonl"]).await?.with_code(0)?;
    scene.write("garden.jsonl", &lines(0..20))?;
    scene.run(&["run", "garden.jsonl"]).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.done, 20);
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (20, 1));
    Ok(())
}

#[tokio::test]
async fn the_same_prompt_on_two_lines_is_two_jobs() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.write("garden.jsonl", "{\"prompt\": \"a cat\"}\n{\"prompt\": \"a cat\"}\n")?;
    let words = "warning: garden.jsonl: 1 job has the same content as an earlier one; both are made and paid for";
    for command in ["check", "enqueue", "run", "run"] {
        scene.run(&[command, "garden.jsonl"]).await?.with_code(0)?.saying(words)?;
    }
    let check = scene.run(&["check", "garden.jsonl", "--json"]).await?.with_code(0)?.stdout;
    ensure!(check.contains("1 job has the same content as an earlier one"), "{check}");
    assert_eq!(scene.bill().await.submissions, 2);
    Ok(())
}

#[tokio::test]
async fn a_known_id_with_other_content_is_refused_with_2() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let changed = Prompts::of("garden").job("job-1", "something else", "").job("job-9", "a new one", "");
    scene.prompts("garden.yaml", &changed)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(2)?.saying("job-1")?;
    assert_eq!(scene.counts("garden").await?.total, 2, "a part of a refused file was admitted");
    Ok(())
}

#[tokio::test]
async fn a_limit_admits_the_first_jobs_and_the_rest_later() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene.run(&["enqueue", "garden.yaml", "--limit", "2"]).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.total, 2);
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.total, 5);
    Ok(())
}

#[tokio::test]
async fn a_forecast_counts_what_is_admitted_at_the_pace_that_is_named() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene
        .run(&["enqueue", "garden.yaml", "--limit", "2"])
        .await?
        .with_code(0)?
        .saying("garden: 2 jobs to submit, at")?;
    let pace = ["--rate", "3/60s", "--max-in-flight", "2"];
    let told = scene.run(&[&["check", "garden.yaml"], &pace[..]].concat()).await?.with_code(0)?.stdout;
    ensure!(told.contains("garden: 5 jobs to submit, at 3 per 1 min and 2 in flight"), "{told}");
    let stored = scene.run(&["check", "garden.yaml"]).await?.with_code(0)?.stdout;
    ensure!(stored.contains("at 200 per 1 s and 100 in flight"), "a check stores nothing: {stored}");
    let told = scene.run(&[&["enqueue", "garden.yaml"], &pace[..]].concat()).await?.with_code(0)?.stderr;
    ensure!(told.contains("garden: 5 jobs to submit, at 3 per 1 min and 2 in flight"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_budget_that_is_not_enough_is_told_before_and_after() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    let short = "; its budget of 150 credits covers about 2 of them";
    let limited = ["garden.yaml", "--budget", "150"];
    let told = scene.run(&[&["check"], &limited[..]].concat()).await?.with_code(0)?.stdout;
    ensure!(told.contains(short), "{told}");
    scene.run(&[&["enqueue"], &limited[..]].concat()).await?.with_code(0)?.saying(short)?;
    let told = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(told.contains(short), "{told}");
    let told = scene.run(&["check", "garden.yaml"]).await?.with_code(0)?.stdout;
    ensure!(!told.contains("budget"), "nothing is new: {told}");
    scene.run(&["update", "garden", "--budget", "300"]).await?.with_code(0)?;
    let told = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(!told.contains("is enough for"), "all of them fit: {told}");
    Ok(())
}

#[tokio::test]
async fn what_a_recurring_batch_costs_is_told_per_run() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("daily.yaml", &Prompts::numbered("daily", 2))?;
    let daily = ["daily.yaml", "--cron", "0 22 * * * UTC", "--budget", "100"];
    let told = scene.run(&[&["check"], &daily[..]].concat()).await?.with_code(0)?.stdout;
    ensure!(told.contains("estimated cost: 120 credits (US$0.60) per run\n"), "{told}");
    ensure!(told.contains("with 2 jobs; its budget of 100 credits covers about 1 of them"), "{told}");
    let told = scene.run(&[&["enqueue"], &daily[..]].concat()).await?.with_code(0)?.stderr;
    ensure!(told.contains("2 jobs to submit; estimated cost: 120 credits (US$0.60) per run"), "{told}");
    Ok(())
}

#[tokio::test]
async fn jobs_are_taken_from_standard_input_if_they_are_given_a_batch() -> Result<()> {
    let scene = on_redis(quick()).await?;
    scene.run(&["enqueue", "-"]).await?.with_code(2)?.saying("--batch")?;
    let mut command = scene.command(&["enqueue", "-", "--batch", "piped"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("a pipe")?;
    input.write_all(b"{\"prompt\": \"one\"}\n{\"prompt\": \"two\", \"aspectRatio\": \"9:16\"}\n").await?;
    drop(input);
    ensure!(child.wait().await?.success());
    assert_eq!(scene.counts("piped").await?.queued, 2);
    Ok(())
}

#[tokio::test]
async fn a_paused_batch_submits_nothing_until_it_is_resumed() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.run(&["pause", "garden"]).await?.with_code(0)?;
    // Nothing can move without a person: it ends, and has spent nothing.
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.queued, counts.paused), (3, true));
    scene.run(&["resume", "garden"]).await?.with_code(0)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.done, counts.paused), (3, false));
    Ok(())
}

#[tokio::test]
async fn a_cancelled_batch_is_not_submitted_and_what_was_paid_for_is_saved() -> Result<()> {
    let mut config = quick();
    config.generation.median_ms = 2_000;
    let scene = on_sqlite(config).await?.with("VEOBATCH_MAX_IN_FLIGHT", "3");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 10))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until_billed("the first to be paid for", |bill| bill.accepted.len() == 3).await?;
    scene.run(&["cancel", "garden"]).await?.with_code(0)?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    let counts = scene.counts("garden").await?;
    assert_eq!(counts.done + counts.cancelled, 10, "{counts:?}");
    assert_eq!(u64::try_from(scene.bill().await.accepted.len())?, counts.done);
    assert!(counts.cancelled >= 5, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn one_job_can_be_cancelled_alone() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.run(&["cancel", "garden", "job-2"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.done, counts.cancelled), (2, 1));
    Ok(())
}

#[tokio::test]
async fn a_run_submits_only_for_its_own_files() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("other.yaml", &Prompts::of("other").job("job-1", "another batch's", ""))?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["enqueue", "other.yaml"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.counts("other").await?.queued, 1);
    assert_eq!(scene.bill().await.submissions, 2);
    Ok(())
}
