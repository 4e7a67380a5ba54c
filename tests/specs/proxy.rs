//! The system's proxy (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`): what goes through it, and what never does.

use anyhow::{Context, Result, ensure};
use veobatch_tests::{Link, Movie, Prompts, Scene, quick};

use crate::on_sqlite;

/// Hosts that no name server knows: without the proxy nothing reaches them.
const SERVICE: &str = "http://service.example";
const FILES: &str = "http://files.example";

/// A service with files on another host, beyond a proxy that leads everything to the simulator.
async fn beyond_a_proxy() -> Result<(Scene, Link)> {
    let mut config = quick();
    config.public_url = Some(FILES.to_owned());
    let scene = on_sqlite(config).await?;
    let proxy = Link::before(scene.simulator.address().port()).await?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    Ok((scene.with("VEOBATCH_API_BASE", SERVICE), proxy))
}

#[tokio::test]
async fn calls_and_files_go_through_the_systems_proxy() -> Result<()> {
    let (scene, proxy) = beyond_a_proxy().await?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(3)?.saying("reach the service")?;
    let scene = scene.with("http_proxy", &format!("http://127.0.0.1:{}", proxy.port()));
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    Movie::open(&scene.path("videos/garden/job-2.mp4"))?;
    let sidecar = std::fs::read_to_string(scene.path("videos/garden/job-2.json")).context("a sidecar")?;
    ensure!(sidecar.contains(FILES), "the file came from elsewhere: {sidecar}");
    assert_eq!((scene.bill().await.submissions, scene.most_per_prompt().await), (2, 1));
    Ok(())
}

/// Neither an API on this machine nor its files: a proxy elsewhere would look for them on a machine of its own.
#[tokio::test]
async fn nothing_for_this_machine_goes_through_a_proxy() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    // Where nobody listens.
    let nowhere = "http://127.0.0.1:9";
    let scene = scene.with("http_proxy", nowhere).with("https_proxy", nowhere).with("ALL_PROXY", nowhere);
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 2))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    assert_eq!((scene.counts("garden").await?.done, scene.bill().await.submissions), (2, 2));
    Ok(())
}
