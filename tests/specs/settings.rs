//! What may be set where: flags per command, and the account that is stored in the ledger.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_tests::{KEY, Prompts, Scene, quick};

use crate::{on_redis, on_sqlite};

async fn json(scene: &Scene, words: &[&str]) -> Result<Value> {
    let ended = scene.run(words).await?.with_code(0)?;
    serde_json::from_str(&ended.stdout).with_context(|| ended.stdout.clone())
}

#[tokio::test]
async fn a_flag_that_a_command_does_not_obey_is_refused_with_2_and_says_who_does() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let ended = scene.run(&["status", "--daily-budget", "100", "--rate", "1/1s"]).await?.with_code(2)?;
    let hint = "--daily-budget belongs to: veobatch run, veobatch enqueue, veobatch worker, veobatch account set";
    ended.saying("unexpected argument '--daily-budget'")?.saying(hint)?;
    scene.run(&["completions", "bash", "--json"]).await?.with_code(2)?.saying("does not use --json")?;
    scene.run(&["priority", "garden", "10"]).await?.with_code(2)?.saying("use `veobatch update`")?;
    Ok(())
}

#[tokio::test]
async fn the_account_is_shown_and_changed_for_every_worker_and_an_environment_changes_nothing_there() -> Result<()> {
    for scene in [on_sqlite(quick()).await?, on_redis(quick()).await?] {
        scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
        scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
        let scene =
            scene.with("VEOBATCH_RATE", "1/1s").with("VEOBATCH_POLL_RATE", "3").with("VEOBATCH_DAILY_BUDGET", "7");
        scene.write("prices.yaml", "veo3_fast: { 720p: 71, 1080p: 75, 4k: 190 }\n")?;
        let words = ["account", "set", "--max-in-flight", "42", "--prices", "prices.yaml", "--json"];
        let changed = json(&scene, &words).await?;
        assert_eq!((changed["submissions"].as_u64(), changed["max_in_flight"].as_u64()), (Some(200), Some(42)));
        assert_eq!(changed["poll_rate"], 1000, "{changed}");
        assert_eq!(changed["daily_budget"], Value::Null, "{changed}");
        assert_eq!(changed["prices"]["veo3_fast/720p"], 71.0, "{changed}");
        assert_eq!(json(&scene, &["account", "--json"]).await?["max_in_flight"], 42);

        let words = ["account", "set", "--rate", "5/2s", "--poll-rate", "9", "--daily-budget", "5000 Europe/Berlin"];
        let ended = scene.run(&words).await?.with_code(0)?;
        ensure!(ended.stdout.is_empty(), "{}", ended.stdout);
        let ended = ended.saying("pace: 5 submissions in 2 s, 42 in flight (was 200 in 1 s, 42)")?;
        ended.saying("polls: 9 per second (was 1000)")?.saying("5000 credits a day in Europe/Berlin (was none)")?;
        let shown = scene.run(&["account"]).await?.with_code(0)?.stdout;
        for line in
            ["0 of 42 in flight; 5 submissions per 2 s", "polls:   at most 9 per second", "price:   veo3_fast/720p 71"]
        {
            ensure!(shown.contains(line), "{line}: {shown}");
        }
        scene.run(&words).await?.with_code(0)?.saying("nothing changed")?;
        scene.run(&["account", "set"]).await?.with_code(2)?;
        scene.run(&["account", "--rate", "5/2s"]).await?.with_code(2)?.saying("veobatch account set")?;

        // As ever, what brings work changes it from its environment too.
        scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?.saying("pace: 1 submissions in 1 s")?;
    }
    Ok(())
}

#[tokio::test]
async fn an_account_without_a_ledger_is_an_error_and_setting_one_makes_it() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    scene.run(&["account"]).await?.with_code(2)?;
    scene.run(&["account", "set", "--rate", "5/2s"]).await?.with_code(0)?;
    assert_eq!(json(&scene, &["account", "--json"]).await?["submissions"], 5);
    Ok(())
}

/// A compose file passes on every variable that it names, those that nobody set as empty ones.
#[tokio::test]
async fn an_empty_variable_is_one_that_is_not_set() -> Result<()> {
    const NAMES: [&str; 14] = [
        "VEOBATCH_LEDGER",
        "VEOBATCH_RATE",
        "VEOBATCH_MAX_IN_FLIGHT",
        "VEOBATCH_POLL_RATE",
        "VEOBATCH_POLL_FIRST",
        "VEOBATCH_POLL_MAX",
        "VEOBATCH_DAILY_BUDGET",
        "VEOBATCH_PRICES",
        "VEOBATCH_OUTPUT",
        "VEOBATCH_STATE_DIR",
        "VEOBATCH_WINDOW",
        "VEOBATCH_LANES",
        "VEOBATCH_LOG_FORMAT",
        "KIE_API_KEY",
    ];
    let scene = NAMES.into_iter().fold(on_sqlite(quick()).await?, |scene, name| scene.with(name, ""));
    let scene = scene.with("KIE_API_KEY_FILE", "key");
    scene.write("key", KEY)?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let account = json(&scene, &["account", "--json"]).await?;
    assert_eq!((account["submissions"].as_u64(), account["max_in_flight"].as_u64()), (Some(20), Some(100)));
    scene.run(&["cancel", "garden"]).await?.with_code(0)?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    for usual in ["veobatch.db", "veobatch.state", "videos"] {
        ensure!(scene.path(usual).exists(), "{usual} is not there");
    }
    Ok(())
}
