//! One record that this program cannot read: its neighbours are made, and a person is told what to do about it.

use anyhow::{Context, Result, ensure};
use veobatch_tests::{Scene, quick};

use crate::{PATIENCE, on_redis};

const FILE: &str = "
batch: garden
defaults: { resolution: 1080p }
jobs:
  - { id: a, prompt: a cat, priority: 1 }
  - { id: b, prompt: a dog }
  - { id: c, prompt: a bird }
";

/// Job `a` asks for a size that this program does not know, as a newer one may; or for its own again.
fn resize(scene: &Scene, from: &str, to: &str) -> Result<()> {
    scene.redis.as_ref().context("a scene on Redis")?.replace_in_specs("a", from, to)
}

#[tokio::test]
async fn a_spec_of_an_unknown_size_stops_no_worker_and_its_job_comes_back_by_itself() -> Result<()> {
    let scene = on_redis(quick()).await?;
    scene.write("garden.yaml", FILE)?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    resize(&scene, "1080p", "8k")?;
    // It is the first in the queue, and the others are made all the same; the end does not wait for it.
    let ended = scene.start(&["worker", "--until-idle"])?.wait(PATIENCE).await?.with_code(0)?;
    ensure!(ended.stderr.matches("cannot read").count() == 1, "it is said once: {}", ended.stderr);
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.done, counts.queued, counts.in_doubt, counts.submitting), (2, 1, 0, 0), "{counts:?}");
    assert_eq!(scene.bill().await.accepted.len(), 2);

    let status = scene.run(&["status"]).await?.with_code(0)?.stdout;
    for words in ["cannot be read by this version", "garden/a (queued)", "8k", "newer version of veobatch", "0 of"] {
        ensure!(status.contains(words), "{words}: {status}");
    }
    let shown = scene.run(&["show", "garden", "a"]).await?.with_code(0)?.stdout;
    ensure!(shown.contains("8k") && shown.contains("newer version of veobatch"), "{shown}");
    let listed = scene.run(&["jobs", "garden"]).await?.with_code(0)?.stdout;
    ensure!(listed.lines().count() == 3 && listed.contains("8k"), "{listed}");
    let listed = scene.run(&["jobs", "garden", "--state", "queued", "--json"]).await?.with_code(0)?.stdout;
    ensure!(listed.contains(r#""job":"a""#) && listed.contains(r#""unreadable":true"#), "{listed}");
    // `run` does not wait for it either, and does not call the batch done.
    scene.write("more.yaml", "batch: garden\njobs: [{ id: d, prompt: a fox }]")?;
    scene.run(&["run", "more.yaml", "--yes"]).await?.with_code(1)?.saying("cannot be read by this version")?;
    // Its own file names another content than what is stored now.
    scene.run(&["run", "garden.yaml"]).await?.with_code(1)?.saying("newer version of veobatch")?;

    resize(&scene, "8k", "1080p")?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.done, 4);
    assert_eq!((scene.bill().await.accepted.len(), scene.most_per_prompt().await), (4, 1));
    let status = scene.run(&["status"]).await?.with_code(0)?.stdout;
    ensure!(!status.contains("cannot be read"), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_batch_that_is_cancelled_does_not_submit_what_could_not_be_read() -> Result<()> {
    let scene = on_redis(quick()).await?;
    scene.write("garden.yaml", FILE)?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    resize(&scene, "1080p", "8k")?;
    scene.run(&["cancel", "garden", "a"]).await?.with_code(1)?.saying("newer version of veobatch")?;
    scene.run(&["cancel", "garden"]).await?.with_code(0)?.saying("cannot be read by this version")?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    let counts = scene.counts("garden").await?;
    assert_eq!((counts.cancelled, counts.queued), (2, 1), "{counts:?}");

    resize(&scene, "8k", "1080p")?;
    scene.run(&["worker", "--until-idle"]).await?.with_code(0)?;
    assert_eq!(scene.counts("garden").await?.cancelled, 3);
    assert_eq!(scene.bill().await.submissions, 0);
    Ok(())
}
