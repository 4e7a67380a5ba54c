//! Scenes of larger versions: when one is bought, how often, and at what pace.

use std::fs;
use std::time::Duration;

use veobatch_core::{Resolution, StateName};
use veobatch_ledger::AccountUpdate;
use veobatch_simulator::{Config, Endpoint, Fault, Rate, Rule, Size};
use veobatch_worker::{Until, WorkerExit};

use crate::scene::{Scene, hurried};

/// A service that makes larger versions in a moment.
fn large(size: Size) -> Config {
    let mut config = hurried();
    config.dialect.size = size;
    (config.upgrade_1080p.median_ms, config.upgrade_4k.median_ms) = (300, 300);
    config
}

/// Works on so many jobs of this size until all are done. Returns the scene, how many larger versions were bought, and the
/// width of the first video.
async fn done(config: Config, jobs: usize, size: Resolution) -> (Scene, usize, u64) {
    let scene = Scene::new(config).await;
    scene.admit_at("garden", jobs, size).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, jobs as u64);
    let bought = scene.simulator.bill().await.accepted.iter().map(|accepted| accepted.upgrades.len()).sum();
    let width = sidecar(&scene, "/files/0/width").and_then(|width| width.as_u64()).unwrap();
    (scene, bought, width)
}

/// What the first job's sidecar says there.
fn sidecar(scene: &Scene, pointer: &str) -> Option<serde_json::Value> {
    let text = fs::read(scene.output().join("garden/job-0.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&text).unwrap().pointer(pointer).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_without_a_label_that_is_as_large_as_wanted_is_not_bought_again() {
    for (size, across) in [(Resolution::P1080, 1920), (Resolution::K4, 3840)] {
        let (scene, bought, width) = done(large(Size::Unlabelled), 2, size).await;
        assert_eq!((bought, width), (0, across));
        let asked = scene.simulator.bill().await.requests;
        assert_eq!((asked.get(&Endpoint::Video1080p), asked.get(&Endpoint::Video4k)), (None, None));
        assert_eq!(scene.files_served().await, (2, 2), "each was measured by a part, and fetched whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_without_a_label_that_is_smaller_than_wanted_is_bought_in_the_larger_size_once() {
    for (size, across) in [(Resolution::P1080, 1920), (Resolution::K4, 3840)] {
        let (scene, bought, width) = done(large(Size::BaseOnly), 2, size).await;
        assert_eq!((bought, width), (2, across));
        assert_eq!(sidecar(&scene, "/remark"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_cannot_be_read_now_is_read_later() {
    let mut config = large(Size::BaseOnly);
    config.faults.download.push(Rule::nth(Fault::Status, [1]).code(503));
    let (_, bought, width) = done(config, 1, Resolution::P1080).await;
    assert_eq!((bought, width), (1, 1920));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_tell_the_size_nothing_is_bought_and_it_is_said() {
    let mut config = large(Size::BaseOnly);
    config.faults.download.push(Rule::nth(Fault::Html, [1]).code(200));
    let (scene, bought, width) = done(config, 1, Resolution::K4).await;
    assert_eq!((bought, width), (0, 1280));
    assert_eq!(sidecar(&scene, "/remark").unwrap(), "asked for 4k, the service made 1280×720");
    let [job] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    let said =
        job.record.history.iter().any(|entry| entry.1.contains("its size is not known, so no 4k version is bought"));
    assert!(said, "{:?}", job.record.history);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_expired_are_replaced_before_and_after_the_larger_version_is_bought() {
    let mut config = large(Size::BaseOnly);
    config.files.link_lifetime_ms = 1;
    let (_, bought, width) = done(config, 1, Resolution::P1080).await;
    assert_eq!((bought, width), (1, 1920));
}

/// The service counts each call for a 4k version as a submission.
#[tokio::test(flavor = "multi_thread")]
async fn asking_for_4k_versions_keeps_to_the_pace_beside_submissions() {
    let mut config = large(Size::BaseOnly);
    config.limits.rate = Some(Rate { requests: 5, window_ms: 1000 });
    let scene = Scene::new(config).await;
    let rate = Some((5, Duration::from_secs(1)));
    scene.ledger().update_account(&AccountUpdate { rate, ..AccountUpdate::default() }).await.unwrap();
    scene.admit_at("garden", 12, Resolution::K4).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 12);
    let bill = scene.simulator.bill().await;
    assert!(bill.accepted.iter().all(|accepted| accepted.upgrades.len() == 1), "{:?}", bill.accepted);
    let asked = bill.answers.get(&Endpoint::Video4k).unwrap();
    assert_eq!((bill.rejected_429, asked.get(&429)), (0, None), "{asked:?}");
    let jobs = scene.page("garden", StateName::Done).await;
    assert!(jobs.iter().all(|job| job.record.attempts == 1));
}
