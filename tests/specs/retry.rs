//! What `retry` takes up, what that may cost, and what it leaves alone.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{Fault, Faults, Rule};
use veobatch_tests::{Prompts, Scene, quick};

use crate::{on_redis, on_sqlite};

async fn states(scene: &Scene) -> Result<Vec<String>> {
    Ok(scene.jobs("garden").await?.into_iter().map(|job| job.state).collect())
}

/// Two jobs that failed with different codes, one that is done, and one that was cancelled.
async fn arranged(scene: Scene) -> Result<Scene> {
    let mut config = scene.simulator.config();
    config.faults.submit = vec![
        Rule::always(Fault::Code).code(422).prompt("Scene 1:"),
        Rule::always(Fault::Code).code(400).prompt("Scene 2:"),
    ];
    scene.simulator.update(config)?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 4))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    scene.run(&["cancel", "garden", "job-4"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    assert_eq!(states(&scene).await?, ["failed", "failed", "done", "cancelled"]);
    scene.simulator.set_faults(Faults::default())?;
    Ok(scene)
}

#[tokio::test]
async fn what_a_person_cancelled_stays_cancelled_unless_that_is_said() -> Result<()> {
    for scene in [on_sqlite(quick()).await?, on_redis(quick()).await?] {
        scene.prompts("garden.yaml", &Prompts::numbered("garden", 3))?;
        scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
        scene.run(&["cancel", "garden"]).await?.with_code(0)?;
        let left = "3 jobs stay cancelled; to retry them too: veobatch retry garden --state cancelled";
        scene.run(&["retry", "garden"]).await?.with_code(0)?.saying(left)?;
        assert_eq!(states(&scene).await?, ["cancelled"; 3]);
        let ended = scene.run(&["retry", "garden", "job-2", "--json"]).await?.with_code(1)?;
        let told: Value = serde_json::from_str(&ended.stdout)?;
        assert_eq!(
            (told["changed"].as_array().map(Vec::len), told["left"][0]["state"].as_str()),
            (Some(0), Some("cancelled"))
        );
        ended.saying("job-2 is unchanged: it was cancelled: use --state cancelled")?;
        scene.run(&["retry", "garden", "job-2", "--state", "cancelled"]).await?.with_code(0)?;
        assert_eq!(states(&scene).await?, ["cancelled", "queued", "cancelled"]);
        let told = "garden: 2 cancelled jobs to retry; 2 jobs to submit; estimated cost: 120 credits (US$0.60)";
        scene.run(&["retry", "garden", "--state", "cancelled"]).await?.with_code(0)?.saying(told)?;
        assert_eq!(states(&scene).await?, ["queued"; 3]);
    }
    Ok(())
}

#[tokio::test]
async fn a_code_and_a_reason_narrow_a_retry_and_its_cost_is_told() -> Result<()> {
    let scene = arranged(on_sqlite(quick()).await?).await?;
    scene.run(&["retry", "garden", "--code", "402"]).await?.with_code(0)?.saying("no job can be retried")?;
    let told = "garden: 1 failed job to retry; 1 job to submit; estimated cost: 60 credits (US$0.30)";
    scene.run(&["retry", "garden", "--code", "422"]).await?.with_code(0)?.saying(told)?;
    assert_eq!(states(&scene).await?, ["queued", "failed", "done", "cancelled"]);
    scene.run(&["retry", "garden", "job-1", "--code", "422"]).await?.with_code(1)?.saying("it has not failed")?;
    let error = scene.jobs("garden").await?.get(1).context("four jobs")?.error.clone().context("a reason")?;
    scene.run(&["retry", "garden", "--reason", "not in any of them"]).await?.with_code(0)?;
    scene.run(&["retry", "garden", "job-2", "--code", "422"]).await?.with_code(1)?.saying("for another reason")?;
    assert_eq!(states(&scene).await?, ["queued", "failed", "done", "cancelled"]);
    scene.run(&["retry", "garden", "--reason", &error.to_uppercase()]).await?.with_code(0)?;
    assert_eq!(states(&scene).await?, ["queued", "queued", "done", "cancelled"]);
    let both = ["retry", "garden", "--state", "cancelled", "--code", "422"];
    scene.run(&both).await?.with_code(2)?.saying("a cancelled job has no code")?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    assert_eq!(scene.most_per_prompt().await, 1);
    ensure!(scene.bill().await.accepted.len() == 3, "the cancelled one was not paid for");
    Ok(())
}

#[tokio::test]
async fn a_retry_tells_whose_price_is_not_known() -> Result<()> {
    let mut config = quick();
    config.faults.submit = vec![Rule::always(Fault::Code).code(422)];
    let scene = on_sqlite(config).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2).defaults("{ model: veo9 }"))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?;
    let told = "plus 2 jobs of veo9/720p, whose price is unknown";
    scene.run(&["retry", "garden"]).await?.with_code(0)?.saying(told)?;
    Ok(())
}

/// Every hint that names `retry` is typed as it stands, and does what it says.
#[tokio::test]
async fn hints_that_name_retry_are_right() -> Result<()> {
    let scene = arranged(on_sqlite(quick()).await?).await?;
    let status = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(status.contains("retry them: veobatch retry garden   ("), "{status}");
    let hint = "is cancelled: `veobatch retry --state cancelled` puts it back";
    scene.run(&["update", "garden", "job-4", "--priority", "3"]).await?.with_code(1)?.saying(hint)?;
    scene.run(&["retry", "garden"]).await?.with_code(0)?;
    scene.run(&["retry", "garden", "--state", "cancelled"]).await?.with_code(0)?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    Ok(())
}
