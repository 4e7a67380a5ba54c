//! On a terminal: questions, bars, and Ctrl-C.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{Config, Fault, Rule};
use veobatch_tests::{Prompts, quick};

use crate::{PATIENCE, on_sqlite};

/// Videos that take so long that a scene sees them being made.
fn slow() -> Config {
    let mut config = quick();
    config.generation.median_ms = 600_000;
    config
}

#[tokio::test]
async fn a_run_asks_before_it_admits_and_no_ends_it_with_1_and_nothing_paid() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    for answer in ["n", "", "yeah"] {
        let mut terminal = scene.start_on_a_terminal(&["run", "garden.yaml"])?;
        terminal.until_seen("admit 3 new jobs? [y/N]").await?;
        ensure!(
            terminal.seen().contains("estimated cost: 180 credits"),
            "asked without the price:\n{}",
            terminal.seen()
        );
        terminal.answer(answer).await?;
        terminal.wait(PATIENCE).await?.with_code(1)?.saying("nothing was admitted")?;
    }
    assert_eq!((scene.counts("garden").await?.total, scene.bill().await.submissions), (0, 0));
    Ok(())
}

#[tokio::test]
async fn yes_goes_on_and_bars_show_how_far_it_is() -> Result<()> {
    let mut config = quick();
    (config.generation.median_ms, config.generation.sigma) = (5_000, 0.0);
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
    let mut terminal = scene.start_on_a_terminal(&["run", "garden.yaml"])?;
    terminal.until_seen("[y/N]").await?;
    terminal.answer("y").await?;
    terminal.until_seen("─").await?;
    terminal.until_seen(" 0/3 ").await?;
    let ended = terminal.wait(PATIENCE).await?.with_code(0)?;
    ensure!(ended.stderr.contains("generating"), "the bar does not say what is going on:\n{}", ended.stderr);
    assert_eq!((scene.counts("garden").await?.done, scene.bill().await.submissions), (3, 3));
    Ok(())
}

#[tokio::test]
async fn with_yes_nothing_is_asked() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    let ended = scene.start_on_a_terminal(&["run", "garden.yaml", "--yes"])?.wait(PATIENCE).await?.with_code(0)?;
    ensure!(!ended.stderr.contains("[y/N]"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn one_ctrl_c_waits_for_the_call_under_way_and_ends_with_130() -> Result<()> {
    let mut config = slow();
    config.faults.submit.push(Rule::nth(Fault::Stall, [2]).delay_ms(3_000).after_accepting());
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    let mut terminal = scene.start_on_a_terminal(&["run", "garden.yaml", "--yes"])?;
    scene.until_billed("a call without an answer yet", |bill| bill.submissions == 2).await?;
    terminal.interrupt().await?;
    terminal.wait(PATIENCE).await?.with_code(130)?.saying("interrupted: everything is recorded")?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.generating, counts.in_doubt), (2, 0), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_at_a_question_ends_with_130_and_nothing_is_admitted() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    let mut terminal = scene.start_on_a_terminal(&["run", "garden.yaml"])?;
    terminal.until_seen("[y/N]").await?;
    terminal.interrupt().await?;
    terminal.wait(PATIENCE).await?.with_code(130)?;
    assert_eq!((scene.counts("garden").await?.total, scene.bill().await.submissions), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_retry_asks_with_its_price_and_no_leaves_the_jobs_as_they_are() -> Result<()> {
    let mut config = quick();
    config.faults.submit = vec![Rule::always(Fault::Code).code(422)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    for answer in ["n", ""] {
        let mut terminal = scene.start_on_a_terminal(&["retry", "garden"])?;
        terminal.until_seen("retry 2 jobs? [y/N]").await?;
        let price = "garden: 2 failed jobs to retry; 2 jobs to submit; estimated cost: 120 credits (US$0.60)";
        ensure!(terminal.seen().contains(price), "asked without the price:\n{}", terminal.seen());
        terminal.answer(answer).await?;
        terminal.wait(PATIENCE).await?.with_code(1)?.saying("nothing was retried")?;
        assert_eq!(scene.counts("garden").await?.failed, 2);
    }
    let mut terminal = scene.start_on_a_terminal(&["retry", "garden", "job-1"])?;
    terminal.until_seen("retry 1 job? [y/N]").await?;
    terminal.answer("y").await?;
    terminal.wait(PATIENCE).await?.with_code(0)?;
    let ended = scene.start_on_a_terminal(&["retry", "garden", "--yes"])?.wait(PATIENCE).await?.with_code(0)?;
    ensure!(!ended.stderr.contains("[y/N]"), "{}", ended.stderr);
    assert_eq!(scene.counts("garden").await?.queued, 2);
    Ok(())
}

#[tokio::test]
async fn a_no_to_a_second_payment_of_a_job_in_doubt_ends_with_1_and_leaves_it_so() -> Result<()> {
    let mut config = quick();
    config.faults.submit = vec![Rule::nth(Fault::Close, [1])];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    for (answer, code) in [("n", 1), ("y", 0)] {
        assert_eq!(scene.counts("garden").await?.in_doubt, 1);
        let mut terminal = scene.start_on_a_terminal(&["resolve", "garden", "job-1", "--resubmit"])?;
        terminal.until_seen("submit it again? [y/N]").await?;
        ensure!(terminal.seen().contains("pays for it a second time"), "{}", terminal.seen());
        terminal.answer(answer).await?;
        terminal.wait(PATIENCE).await?.with_code(code)?;
    }
    assert_eq!(scene.counts("garden").await?.queued, 1);
    Ok(())
}

#[tokio::test]
async fn no_color_holds_for_logs_too() -> Result<()> {
    for (name, is_coloured) in [("NOTHING", true), ("NO_COLOR", false)] {
        let scene = on_sqlite(quick()).await?.with(name, "1");
        let mut terminal = scene.start_on_a_terminal(&["worker", "--until-idle"])?;
        terminal.until_seen("INFO").await?;
        assert_eq!(terminal.is_coloured(), is_coloured, "{name}:\n{}", terminal.seen());
        terminal.wait(PATIENCE).await?.with_code(0)?;
    }
    Ok(())
}

/// Where the log on standard error is JSON there are no bars, and a question is a line of JSON too.
#[tokio::test]
async fn a_log_of_json_is_not_mixed_with_words_on_a_terminal_either() -> Result<()> {
    let scene = on_sqlite(quick()).await?.with("VEOBATCH_LOG_FORMAT", "json");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    let mut terminal = scene.start_on_a_terminal(&["run", "garden.yaml"])?;
    terminal.until_seen("admit 2 new jobs? [y/N]").await?;
    terminal.answer("y").await?;
    let ended = terminal.wait(PATIENCE).await?.with_code(0)?;
    // What is typed appears, too.
    for line in ended.stderr.lines().map(str::trim).filter(|line| !matches!(*line, "" | "y")) {
        let _: Value = serde_json::from_str(line).with_context(|| format!("{line:?} in\n{}", ended.stderr))?;
    }
    Ok(())
}
