//! Scenes with a simulated service and a ledger on this machine: what a worker pays for, keeps and leaves behind.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a scene that breaks is a failed test")]
#![expect(clippy::disallowed_methods, reason = "a test's own tasks are awaited in it")]

mod access;
mod callbacks;
mod days;
mod faulty;
mod night;
mod past;
mod saving;
mod scene;
mod upgrades;
mod year;

use std::fs;
use std::sync::Arc;
use std::time::Duration;
use veobatch_ledger::JobFilter;

use veobatch_core::{Resolution, StateName};
use veobatch_ledger::NoteKind;
use veobatch_simulator::{Config, Fault, Rule};
use veobatch_worker::{Options, Stop, Until, WorkError, WorkerExit, compact, sweep};

use faulty::{Faulty, Trick};
use scene::{Scene, hurried};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_jobs_becomes_whole_files_each_paid_for_once() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 12).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 12);
    let bill = scene.simulator.bill().await;
    assert_eq!((bill.accepted.len(), bill.rejected_429), (12, 0));
    for n in 0..12 {
        let sidecar = fs::read_to_string(scene.output().join(format!("garden/job-{n}.json"))).unwrap();
        assert!(sidecar.contains(&format!("prompt {n}")) && sidecar.contains("sha256"), "{sidecar}");
        assert!(fs::metadata(scene.output().join(format!("garden/job-{n}.mp4"))).unwrap().len() > 100_000);
    }
    assert_eq!(scene.names("garden").len(), 24);
    assert_eq!(scene.journals(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_loses_its_answer_stays_in_doubt_and_is_paid_for_once() {
    let mut config = hurried();
    config.faults.submit.push(Rule::nth(Fault::Close, [2]).after_accepting());
    let scene = Scene::new(config).await;
    scene.admit("garden", 4).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 3);
    assert_eq!(scene.count(StateName::InDoubt).await, 1);
    assert_eq!(scene.simulator.bill().await.submissions, 4);
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.simulator.bill().await.submissions, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_closes_the_gate_for_a_while_and_uses_up_no_attempt() {
    let mut config = hurried();
    config.faults.submit.push(Rule::nth(Fault::Code, [2, 3]).code(429));
    let scene = Scene::new(config).await;
    scene.admit("garden", 5).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 5);
    let bill = scene.simulator.bill().await;
    assert_eq!(bill.accepted.len(), 5);
    let gap = bill.accepted.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).max().unwrap();
    assert!(gap >= 10_000, "{gap}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_in_the_middle_is_continued_by_the_next_without_paying_again() {
    let mut config = hurried();
    config.generation.median_ms = 1_500;
    let scene = Arc::new(Scene::new(config).await);
    scene.admit("garden", 20).await;
    for state in [StateName::Generating, StateName::Downloading, StateName::Done] {
        let stop = Stop::default();
        let (looking, told) = (Arc::clone(&scene), stop.clone());
        let look = tokio::task::spawn(async move {
            looking.until(|batch| batch.count(state) > 0 || batch.count(StateName::Done) > 2).await;
            told.graceful.cancel();
        });
        assert_eq!(scene.work_until_told(stop).await.unwrap(), WorkerExit::Stopped);
        look.await.unwrap();
        assert_eq!(scene.count(StateName::Submitting).await, 0);
        assert_eq!(scene.journals(), 0);
    }
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 20);
    assert_eq!(scene.simulator.bill().await.submissions, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_while_paying_leaves_doubt_and_not_a_second_payment() {
    let mut config = hurried();
    config.faults.submit.push(Rule { delay_ms: Some(20_000), ..Rule::nth(Fault::Stall, [1]) }.after_accepting());
    let scene = Arc::new(Scene::new(config).await);
    scene.admit("garden", 1).await;
    let stop = Stop::default();
    let (looking, told) = (Arc::clone(&scene), stop.clone());
    let look = tokio::task::spawn(async move {
        looking.until_billed(1).await;
        told.graceful.cancel();
        told.now.cancel();
    });
    assert_eq!(scene.work_until_told(stop).await.unwrap(), WorkerExit::Stopped);
    look.await.unwrap();
    assert_eq!(scene.count(StateName::Submitting).await, 1);
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::InDoubt).await, 1);
    assert_eq!(scene.simulator.bill().await.submissions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_ledger_was_not_told_is_replayed_from_the_journal() {
    let scene = Arc::new(Scene::new(hurried()).await);
    scene.admit("garden", 1).await;
    let stop = Stop::default();
    let faulty = Arc::new(Faulty::new(scene.ledger(), Trick::RefuseEvidence));
    let (seen, told) = (Arc::clone(&faulty), stop.clone());
    let look = tokio::task::spawn(async move {
        seen.tricked().await;
        told.graceful.cancel();
        told.now.cancel();
    });
    assert_eq!(scene.work_on(faulty, Until::Stopped, stop).await.unwrap(), WorkerExit::Stopped);
    look.await.unwrap();
    assert_eq!((scene.count(StateName::Submitting).await, scene.journals()), (1, 1));
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.journals()), (1, 0));
    assert_eq!(scene.simulator.bill().await.submissions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_is_lost_is_used_all_the_same_and_only_once() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 6).await;
    let faulty = Arc::new(Faulty::new(scene.ledger(), Trick::LoseGrants));
    assert_eq!(scene.work_on(faulty, Until::Idle, Stop::default()).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 6);
    assert_eq!(scene.simulator.bill().await.submissions, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_the_ledger_forgot_before_the_call_is_no_claim_and_no_doubt() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 4).await;
    let faulty = Arc::new(Faulty::new(scene.ledger(), Trick::ForgetClaims));
    assert_eq!(scene.work_on(faulty, Until::Idle, Stop::default()).await.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.simulator.bill().await.submissions), (4, 4));
    assert_eq!(scene.journals(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_may_have_gone_back_is_told_everything_even_over_a_bad_line_and_by_who_submits_nothing() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 1).await;
    let faulty = || Arc::new(Faulty::new(scene.ledger(), Trick::Recover));
    assert_eq!(scene.work_on(faulty(), Until::Idle, Stop::default()).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.journals(), 1, "what was paid for is remembered");

    // No disk has so much room: this worker asks for no claim, which could be refused because of the recovery.
    let options = Options { min_free: u64::MAX, ..scene.options(Until::Stopped) };
    let (ledger, stop) = (faulty(), Stop::default());
    let told = async {
        tokio::time::timeout(Duration::from_secs(60), ledger.tricked()).await.expect("nothing was told again");
        stop.graceful.cancel();
    };
    let work = scene.work_over(Arc::clone(&ledger) as _, options, stop.clone());
    assert_eq!(tokio::join!(work, told).0.unwrap(), WorkerExit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_parks_its_job_and_does_not_end_its_lane() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 4).await;
    let faulty = Arc::new(Faulty::new(scene.ledger(), Trick::PanicOnce));
    let stop = Stop::default();
    let work = scene.work_on(faulty, Until::Stopped, stop.clone());
    let seen = async {
        scene.until(|batch| batch.count(StateName::Done) == 3).await;
        stop.graceful.cancel();
    };
    assert_eq!(tokio::join!(work, seen).0.unwrap(), WorkerExit::Stopped);
    let [parked] = scene.page("garden", StateName::Generating).await.try_into().unwrap();
    assert!(parked.record.trouble.unwrap().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_stops_the_process_and_the_job_goes_back_to_the_queue() {
    let scene = Scene::new(Config { keys: vec!["another".into()], ..hurried() }).await;
    scene.admit("garden", 2).await;
    assert!(matches!(scene.work(Until::Idle).await, Err(WorkError::KeyRefused(_))));
    assert_eq!(scene.count(StateName::Queued).await, 2);
    assert_eq!(scene.simulator.bill().await.accepted.len(), 0);
    let notes = scene.ledger().account(0).await.unwrap().notes;
    assert!(notes.iter().any(|note| note.kind == NoteKind::KeyRefused), "whoever asks elsewhere is told: {notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_version_is_asked_for_and_saved_once_it_is_there() {
    let mut config = hurried();
    config.upgrade_1080p.median_ms = 300;
    let scene = Scene::new(config).await;
    scene.admit_at("garden", 2, Resolution::P1080).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 2);
    let sidecar = fs::read_to_string(scene.output().join("garden/job-0.json")).unwrap();
    assert!(sidecar.contains("\"width\": 1920") && !sidecar.contains("remark"), "{sidecar}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_for_some_batches_ends_with_them_and_leaves_the_others_alone() {
    let scene = Scene::new(hurried()).await;
    scene.admit("other", 3).await;
    scene.admit("garden", 3).await;
    let mut options = scene.options(Until::Settled(vec![Scene::batch("garden")]));
    options.only = Some(vec![Scene::batch("garden")]);
    assert_eq!(scene.work_with(options).await.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.count(StateName::Queued).await), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_batch_is_swept_by_whoever_works() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 450).await;
    let batch = Scene::batch("garden");
    scene.cancel(&batch).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Cancelled).await, 450);
    assert_eq!(scene.simulator.bill().await.submissions, 0);
    let again = sweep(scene.ledger().as_ref(), &batch, &scene.options(Until::Idle).policy, &mut |_| {}).await;
    assert_eq!(again.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_jobs_become_compact_once_they_are_old_enough() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 12).await;
    scene.admit("orchard", 3).await;
    let ledger = scene.ledger();
    let compacted = async |batch| scene.page(batch, StateName::Done).await.iter().filter(|job| job.compacted).count();
    let day = Duration::from_secs(86_400);
    for age in [None, Some(day)] {
        scene.work_with(Options { compact_after: age, ..scene.options(Until::Idle) }).await.unwrap();
        assert_eq!((compacted("garden").await, compacted("orchard").await), (0, 0), "{age:?}");
    }
    assert_eq!(compact(ledger.as_ref(), &Scene::batch("orchard"), day).await.unwrap(), 0);
    assert_eq!(compact(ledger.as_ref(), &Scene::batch("orchard"), Duration::ZERO).await.unwrap(), 3);
    assert_eq!((compacted("garden").await, compacted("orchard").await), (0, 3));

    scene.admit("garden", 14).await;
    let at_once = Options { compact_after: Some(Duration::ZERO), ..scene.options(Until::Idle) };
    scene.work_with(at_once).await.unwrap();
    assert_eq!((compacted("garden").await, compacted("orchard").await), (14, 3));
    assert_eq!(scene.simulator.bill().await.submissions, 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_make_a_batch_compact_at_once_do_each_job_once_and_leave_strays_alone() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 500).await;
    scene.finish("garden", 3).await;
    let ledger = scene.ledger();
    let (one, other) = (scene.ledger(), scene.ledger());
    let garden = Scene::batch("garden");
    let (one, other) =
        tokio::join!(compact(one.as_ref(), &garden, Duration::ZERO), compact(other.as_ref(), &garden, Duration::ZERO));
    assert_eq!(one.unwrap() + other.unwrap(), 497);
    assert_eq!(ledger.page(&garden, JobFilter::Whole, None, 1000).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_directory_that_cannot_be_written_is_found_before_anything_is_submitted() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 1).await;
    fs::write(scene.output(), "a file").unwrap();
    assert!(matches!(scene.work(Until::Idle).await, Err(WorkError::Directory(_))));
    assert_eq!(scene.simulator.bill().await.submissions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_stops_at_once() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 1).await;
    let stop = Stop::default();
    let work = scene.work_until_told(stop.clone());
    let tell = async {
        scene.until(|batch| batch.count(StateName::Done) == 1).await;
        stop.graceful.cancel();
        tokio::time::Instant::now()
    };
    let (ended, told) = tokio::join!(work, tell);
    assert_eq!(ended.unwrap(), WorkerExit::Stopped);
    // Nothing is under way, so nothing is waited for: neither the end of a sleep nor that of its 75 s of grace.
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}
