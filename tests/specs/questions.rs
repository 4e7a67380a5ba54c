//! Questions of commands on a terminal, what becomes of a "no", and colours there.

use anyhow::{Context, Result, ensure};
use veobatch_simulator::{Config, Fault, Rule};
use veobatch_tests::{Prompts, Scene, quick};

use crate::{PATIENCE, on_sqlite};

/// Types these words, waits for `question`, gives `answer`; all that appeared.
async fn asked(scene: &Scene, words: &[&str], question: &str, answer: &str, code: i32) -> Result<String> {
    let mut terminal = scene.start_on_a_terminal(words)?;
    terminal.until_seen(question).await?;
    terminal.answer(answer).await?;
    Ok(terminal.wait(PATIENCE).await?.with_code(code)?.stderr)
}

/// What `jobs` prints of the batch, and what was paid for.
async fn everything(scene: &Scene) -> Result<(String, u64, usize)> {
    let jobs = scene.run(&["jobs", "garden", "--json"]).await?.with_code(0)?.stdout;
    let bill = scene.bill().await;
    Ok((jobs, bill.submissions, bill.accepted.len()))
}

#[tokio::test]
async fn retry_tells_jobs_and_credits_and_asks_and_only_a_yes_changes_anything() -> Result<()> {
    let mut config = quick();
    config.faults.submit = vec![Rule::nth(Fault::Code, [1, 2]).code(422)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let before = everything(&scene).await?;
    let words = ["retry", "garden"];
    for no in ["n", "", "yeah"] {
        let seen = asked(&scene, &words, "retry 2 jobs? [y/N]", no, 1).await?;
        let told = "garden: 2 failed jobs to retry; 2 jobs to submit; estimated cost: 120 credits (US$0.60)";
        ensure!(seen.contains(told) && seen.contains("nothing was retried"), "{seen}");
        assert_eq!(everything(&scene).await?, before, "after {no:?}");
    }
    let seen = asked(&scene, &words, "retry 2 jobs? [y/N]", "y", 0).await?;
    ensure!(seen.contains("job-1: retried; now queued"), "{seen}");
    assert_eq!((scene.counts("garden").await?.queued, scene.bill().await.submissions), (2, 3));

    // What pays for nothing is not asked, and with --yes nothing is.
    for words in [&words[..], &["retry", "garden", "--state", "cancelled", "--yes"]] {
        scene.run(&["cancel", "garden"]).await?.with_code(0)?;
        let ended = scene.start_on_a_terminal(words)?.wait(PATIENCE).await?.with_code(0)?;
        ensure!(!ended.stderr.contains("[y/N]"), "{}", ended.stderr);
    }
    assert_eq!(scene.counts("garden").await?.queued, 2);
    Ok(())
}

#[tokio::test]
async fn update_asks_before_it_makes_the_jobs_of_a_template_payable() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let cron = async || {
        let document = scene.run(&["status", "--json"]).await?.with_code(0)?.stdout;
        let document: serde_json::Value = serde_json::from_str(&document)?;
        anyhow::Ok(document.pointer("/batches/0/cron").cloned().unwrap_or_default())
    };
    let leap_days = "0 0 29 2 * UTC";
    for (setting, told) in
        [(leap_days, "each run pays for its 3 queued jobs"), ("none", "its 3 queued jobs may be submitted")]
    {
        let words = ["update", "garden", "--cron", setting];
        let before = cron().await?;
        let seen = asked(&scene, &words, "update garden? [y/N]", "n", 1).await?;
        ensure!(seen.contains(told) && seen.contains("nothing was changed"), "{seen}");
        assert_eq!(cron().await?, before);
        asked(&scene, &words, "update garden? [y/N]", "y", 0).await?;
        assert_ne!(cron().await?, before);
    }
    // What makes nothing payable is not asked, and with --yes nothing is.
    for words in [&["update", "garden", "--weight", "3"][..], &["update", "garden", "--cron", leap_days, "--yes"]] {
        let ended = scene.start_on_a_terminal(words)?.wait(PATIENCE).await?.with_code(0)?;
        ensure!(!ended.stderr.contains("[y/N]"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_second_payment_is_asked_for_and_a_no_exits_with_1_and_leaves_the_doubt() -> Result<()> {
    let mut config = quick();
    config.faults.submit.push(Rule::nth(Fault::Close, [1]).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let before = everything(&scene).await?;
    let words = ["resolve", "garden", "job-1", "--resubmit"];
    for no in ["n", ""] {
        let seen = asked(&scene, &words, "submit it again? [y/N]", no, 1).await?;
        ensure!(seen.contains("this pays for it a second time") && seen.contains("nothing was changed"), "{seen}");
        assert_eq!(everything(&scene).await?, before, "after {no:?}");
    }
    assert_eq!(scene.counts("garden").await?.in_doubt, 1);
    let seen = asked(&scene, &words, "submit it again? [y/N]", "yes", 0).await?;
    ensure!(seen.contains("is queued again"), "{seen}");
    assert_eq!(scene.counts("garden").await?.queued, 1);
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!(scene.bill().await.accepted.len(), 2);
    Ok(())
}

#[tokio::test]
async fn cancelling_everything_and_forgetting_a_batch_are_asked_for() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let before = everything(&scene).await?;
    let words = ["cancel", "--all"];
    let seen = asked(&scene, &words, "cancel every batch (2 queued jobs)? [y/N]", "n", 1).await?;
    ensure!(seen.contains("nothing was cancelled"), "{seen}");
    assert_eq!(everything(&scene).await?, before);
    asked(&scene, &words, "[y/N]", "y", 0).await?;
    assert_eq!(scene.counts("garden").await?.cancelled, 2);

    let before = everything(&scene).await?;
    let words = ["purge", "garden", "--forget"];
    let seen = asked(&scene, &words, "forget garden? [y/N]", "n", 1).await?;
    ensure!(seen.contains("is paid for again") && seen.contains("nothing was forgotten"), "{seen}");
    assert_eq!(everything(&scene).await?, before);
    asked(&scene, &words, "[y/N]", "y", 0).await?;
    scene.run(&["jobs", "garden"]).await?.with_code(2)?;
    Ok(())
}

/// What a terminal was sent by a `run` with its log and its bars.
async fn painted(scene: Scene) -> Result<String> {
    let scene = scene.with("VEOBATCH_LOG", "info");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    let mut terminal = scene.start_on_a_terminal(&["run", "garden.yaml", "--yes"])?;
    // The bar, while something is under way.
    terminal.until_seen(" 0/2 ").await?;
    terminal.wait(PATIENCE).await?.with_code(0)?.saying("saved")?;
    let mut said = std::fs::read_dir(scene.path("said"))?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    said.retain(|path| path.extension().is_some_and(|extension| extension == "terminal"));
    let [log] = said.as_slice() else { anyhow::bail!("not one terminal: {said:?}") };
    std::fs::read_to_string(log).context("what appeared")
}

/// Sequences that choose a colour or a weight: `ESC [ … m`.
fn colours(painted: &str) -> usize {
    let is_colour = |rest: &&str| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic());
        end.is_some_and(|end| rest[end..].starts_with('m'))
    };
    painted.split("\u{1b}[").skip(1).filter(is_colour).count()
}

/// A run of some seconds.
fn slow() -> Config {
    let mut config = quick();
    (config.generation.median_ms, config.generation.sigma) = (3_000, 0.0);
    config
}

#[tokio::test]
async fn logs_and_bars_are_coloured_on_a_terminal_unless_no_color_is_set() -> Result<()> {
    let painted_usually = painted(on_sqlite(slow()).await?).await?;
    // A log line, and the bar.
    ensure!(painted_usually.contains("\u{1b}[32m INFO\u{1b}[0m"), "{painted_usually:?}");
    ensure!(
        painted_usually.lines().any(|line| line.contains("\u{1b}[2m─") || line.contains("━\u{1b}[0m")),
        "{painted_usually:?}"
    );
    let without = painted(on_sqlite(slow()).await?.with("NO_COLOR", "1")).await?;
    assert_eq!(colours(&without), 0, "{without:?}");
    ensure!(without.contains("\u{1b}["), "the bars still move: {without:?}");
    Ok(())
}
