//! Scenes of saving under trouble: what is fetched twice, what is not, and where it ends up.

use std::sync::Arc;
use std::time::Duration;

use veobatch_core::{Event, Files, Lane, Outcome, State, StateName, StrayState, TaskId, Token, Verdict};
use veobatch_ledger::{BatchSummary, JobFilter, Stored};
use veobatch_simulator::{Config, Endpoint, Fault, Faults, Rule};
use veobatch_worker::{Downloads, Options, Stop, Until, WorkerExit, compact};

use crate::scene::{Scene, hurried};

#[tokio::test(flavor = "multi_thread")]
async fn broken_downloads_are_repeated_and_what_is_kept_is_whole() {
    let mut config = hurried();
    config.generation.videos = 2;
    config.faults.download.push(Rule::nth(Fault::Truncate, [1]));
    config.faults.download.push(Rule::nth(Fault::ResetMidway, [3]));
    let scene = Scene::new(config).await;
    scene.admit("garden", 2).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 2);
    let names = ["job-0.2.mp4", "job-0.json", "job-0.mp4", "job-1.2.mp4", "job-1.json", "job-1.mp4"];
    assert_eq!(scene.names("garden"), names);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_has_expired_is_replaced_by_a_fresh_one() {
    let mut config = hurried();
    config.files.link_lifetime_ms = 1;
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.names("garden"), ["job-0.json", "job-0.mp4"]);
    let bill = scene.simulator.bill().await;
    assert_eq!((bill.submissions, bill.requests.get(&Endpoint::DownloadUrl)), (1, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_again_and_again_goes_on_where_it_ended() {
    let mut config = hurried();
    config.files.video_bytes = 2_000_000;
    config.faults.download.push(Rule::nth(Fault::Truncate, 1..=6));
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.names("garden"), ["job-0.json", "job-0.mp4"]);
    assert_eq!(scene.files_served().await, (1, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_worker_goes_on_with_the_download_that_the_last_one_left() {
    let mut config = hurried();
    config.files.video_bytes = 8_000_000;
    config.faults.download.push(Rule::nth(Fault::Trickle, [1]).delay_ms(60_000));
    let scene = Arc::new(Scene::new(config).await);
    scene.admit("garden", 1).await;
    let stop = Stop::default();
    let (looking, told) = (Arc::clone(&scene), stop.clone());
    let look = tokio::task::spawn(async move {
        looking.until_written("garden", 200_000).await;
        told.graceful.cancel();
        told.now.cancel();
    });
    assert_eq!(scene.work_until_told(stop).await.unwrap(), WorkerExit::Stopped);
    look.await.unwrap();
    assert_eq!(scene.count(StateName::Downloading).await, 1);
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.names("garden"), ["job-0.json", "job-0.mp4"]);
    assert_eq!(scene.files_served().await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_wait_while_saving_is_far_behind_and_go_on_with_it() {
    let mut config = hurried();
    config.files.video_bytes = 0;
    config.faults.download.push(Rule::always(Fault::Status).code(503));
    let scene = Scene::new(config).await;
    scene.cap(20).await;
    scene.admit("garden", 200).await;
    let work = scene.work(Until::Idle);
    let seen = async {
        use StateName::{Downloading, Generating, Queued, Submitting};
        let waits = |batch: &BatchSummary| batch.count(Submitting) + batch.count(Generating) == 0;
        scene.until(|batch| batch.count(Downloading) > 50 && waits(batch) && batch.count(Queued) > 0).await;
        scene.simulator.set_faults(Faults::default()).unwrap();
    };
    assert_eq!(tokio::join!(work, seen).0.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.simulator.bill().await.submissions), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_video_is_saved_first() {
    let mut config = hurried();
    config.faults.download.push(Rule::always(Fault::Stall).delay_ms(300));
    let scene = Scene::new(config).await;
    scene.admit("garden", 6).await;
    let mut options = scene.options(Until::Stopped);
    options.lanes = vec![Lane::Submit, Lane::Follow];
    let stop = Stop::default();
    let made = async {
        scene.until(|batch| batch.count(StateName::Downloading) == 6).await;
        stop.graceful.cancel();
    };
    tokio::join!(scene.work_as(options, stop.clone()), made).0.unwrap();
    let mut options = scene.options(Until::Idle);
    options.concurrency.save = 1;
    assert_eq!(scene.work_with(options).await.unwrap(), WorkerExit::Finished);
    let mut jobs = scene.page("garden", StateName::Done).await;
    let since = |job: &Stored| job.record.task().unwrap().at;
    jobs.sort_by_key(|job| job.record.history.last().unwrap().0);
    assert!(jobs.is_sorted_by_key(since), "{jobs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_videos_those_that_came_are_not_fetched_again() {
    let mut config = hurried();
    config.generation.videos = 3;
    config.faults.download.push(Rule::nth(Fault::Status, [3]).code(503));
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.names("garden"), ["job-0.2.mp4", "job-0.3.mp4", "job-0.json", "job-0.mp4"]);
    assert_eq!(scene.files_served().await, (3, 0));
}

/// A submission that loses its answer, whose job is submitted again by a person's order, and whose first task turns up:
/// in a scene of its own, the batch and what the second attempt's task is beside.
async fn with_a_stray(scene: &Scene) -> TaskId {
    let (done, token) = submitted_again(scene).await;
    late(scene, done, token).await
}

/// The job once its second attempt is done, and the first one's token.
async fn submitted_again(scene: &Scene) -> (Stored, Token) {
    scene.admit("garden", 1).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    let [doubted] = scene.page("garden", StateName::InDoubt).await.try_into().unwrap();
    let State::InDoubt { attempt, .. } = &doubted.record.state else { panic!("{doubted:?}") };
    let token = attempt.token.clone();
    scene.tell(doubted.clone(), &Event::Resolve(Verdict::Resubmit)).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    (done, token)
}

/// The answer to the first attempt turns up.
async fn late(scene: &Scene, done: Stored, token: Token) -> TaskId {
    let first = scene.simulator.bill().await.accepted.remove(0).task_id;
    let task = TaskId::parse(&first).unwrap();
    scene.tell(done, &Event::Submission { token, outcome: Outcome::Accepted(task.clone()) }).await;
    task
}

fn losing_the_first_answer() -> Config {
    let mut config = hurried();
    config.faults.submit.push(Rule::nth(Fault::Close, [1]).after_accepting());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_paid_for_beside_its_job_is_followed_and_saved_beside_it() {
    let mut config = losing_the_first_answer();
    config.faults.download.push(Rule::nth(Fault::Status, [1]).code(403));
    let scene = Scene::new(config).await;
    let stray = with_a_stray(&scene).await;
    let polls = scene.simulator.bill().await.accepted[0].polls;
    assert_eq!(scene.work(Until::Settled(vec![Scene::batch("garden")])).await.unwrap(), WorkerExit::Finished);
    let [video, sidecar] = [format!("job-0.stray-{stray}.mp4"), format!("job-0.stray-{stray}.json")];
    assert_eq!(scene.names("garden"), ["job-0.json", "job-0.mp4", &sidecar, &video]);
    let text = std::fs::read_to_string(scene.output().join("garden").join(&sidecar)).unwrap();
    assert!(text.contains(stray.as_str()) && text.contains("prompt 0") && text.contains("beside"), "{text}");
    let bill = scene.simulator.bill().await;
    assert_eq!((bill.submissions, bill.accepted[0].polls > polls), (2, true));
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    assert_eq!(done.record.strays[0].fate, StrayState::Saved(Files::Named(vec![format!("garden/{video}")])));
    assert!(done.record.task().unwrap().id != stray);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_turns_up_beside_a_compact_job_is_saved_and_its_sidecar_says_that_the_prompt_is_not_known() {
    let scene = Scene::new(losing_the_first_answer()).await;
    let (_, token) = submitted_again(&scene).await;
    assert_eq!(compact(scene.ledger().as_ref(), &Scene::batch("garden"), Duration::ZERO).await.unwrap(), 1);
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    let stray = late(&scene, done, token).await;
    let at_once = Options { compact_after: Some(Duration::ZERO), ..scene.options(Until::Idle) };
    assert_eq!(scene.work_with(at_once).await.unwrap(), WorkerExit::Finished);
    let [video, sidecar] = [format!("job-0.stray-{stray}.mp4"), format!("job-0.stray-{stray}.json")];
    assert_eq!(scene.names("garden"), ["job-0.json", "job-0.mp4", &sidecar, &video]);
    let text = std::fs::read_to_string(scene.output().join("garden").join(&sidecar)).unwrap();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&told["prompt"], &told["parameters"]), (&serde_json::Value::Null, &serde_json::json!({})));
    assert_eq!(told["remark"], "paid for beside the job's own video");
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    assert_eq!(done.record.strays[0].fate, StrayState::Saved(Files::Named(vec![format!("garden/{video}")])));
    assert_eq!(
        scene.ledger().page(&Scene::batch("garden"), JobFilter::Whole, None, 9).await.unwrap().len(),
        1,
        "it stays whole"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_by_itself_waits_for_a_task_beside_its_job_that_is_still_being_made() {
    let scene = Scene::new(losing_the_first_answer()).await;
    let stray = with_a_stray(&scene).await;
    // For a while nobody can tell how it is.
    let mut config = scene.simulator.config();
    config.faults.poll = vec![Rule::always(Fault::Status).code(503).times(3)];
    scene.simulator.update(config).unwrap();
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert!(scene.names("garden").contains(&format!("job-0.stray-{stray}.mp4")), "{:?}", scene.names("garden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_larger_than_allowed_is_not_fetched_and_not_given_up() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 1).await;
    let downloads = Downloads { largest: 50_000, ..Downloads::default() };
    let options = Options { downloads, ..scene.options(Until::Stopped) };
    let stop = Stop::default();
    let look = async {
        let trouble = scene.until_trouble("--max-download-size").await;
        assert!(trouble.contains("not fetched"), "{trouble}");
        stop.graceful.cancel();
    };
    assert_eq!(tokio::join!(scene.work_as(options, stop.clone()), look).0.unwrap(), WorkerExit::Stopped);
    assert_eq!(scene.names("garden"), Vec::<String>::new(), "nothing of it is left");
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.simulator.bill().await.submissions), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_in_drops_is_asked_for_again() {
    let mut config = hurried();
    config.faults.download.push(Rule::nth(Fault::Trickle, [1]).delay_ms(60_000));
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let downloads = Downloads { slowest: 1 << 20, over: Duration::from_secs(2), ..Downloads::default() };
    let options = Options { downloads, ..scene.options(Until::Idle) };
    let began = tokio::time::Instant::now();
    assert_eq!(scene.work_with(options).await.unwrap(), WorkerExit::Finished);
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    assert_eq!(scene.count(StateName::Done).await, 1);
}
