//! On a terminal: questions, bars, and Ctrl-C.

use anyhow::{Result, ensure};
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
        ensure!(terminal.seen().contains("about 180 credits"), "asked without the price:\n{}", terminal.seen());
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
    config.faults.submit.push(Rule::nth(Fault::Stall, [2]).delay_ms(3_000));
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
