//! Over night: runs of recurring batches, stretches that are over, and a worker's own hours.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use veobatch_core::{BatchId, BatchSettings, Credits, Cron, Schedule, StateName, TimeRange, Timestamp, Window, millis};
use veobatch_ledger::{
    AccountUpdate, BatchFlag, BatchSummary, BatchUpdate, JobFilter, Ledger, SharedLedger, SqliteLedger,
};
use veobatch_worker::{Options, Stop, Until, WorkerExit};

use crate::faulty::{Faulty, Trick};
use crate::scene::{Scene, hurried};

const MINUTE: Duration = Duration::from_secs(60);

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - millis(ago))
}

/// Hours in which the present minute lies, or does not.
fn window(now: Timestamp, is_open: bool) -> Window {
    let minutes = |ahead: u64| (now.as_millis() / 60_000 + ahead) % 1440;
    let clock = |minutes: u64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let (from, until) = if is_open { (1440 - 120, 120) } else { (120, 240) };
    Window::parse(&format!("{}-{} UTC", clock(minutes(from)), clock(minutes(until)))).unwrap()
}

impl Scene {
    async fn schedule(&self, batch: &str, schedule: &Schedule, range: TimeRange) {
        let change = BatchUpdate { schedule: Some(schedule.to_string()), range: Some(range), ..BatchUpdate::default() };
        self.ledger().update_batch(&Self::batch(batch), &change).await.unwrap();
    }

    /// Makes `batch` a template of an hourly run, twenty minutes ago and so on, dealt with up to so long ago.
    pub(crate) async fn recur(&self, batch: &str, ago: Duration) -> Schedule {
        let now = self.ledger().info().await.unwrap().now;
        let minute = before(now, 20 * MINUTE).as_millis() / 60_000 % 60;
        let cron = Cron::parse(&format!("{minute} * * * * UTC")).unwrap().since(before(now, ago));
        let cron = Some(cron);
        let schedule = Schedule { cron, ..Schedule::default() };
        self.schedule(batch, &schedule, TimeRange::NEVER).await;
        schedule
    }

    /// The runs of a template.
    async fn runs(&self, template: &str) -> Vec<BatchSummary> {
        let batches = self.ledger().batches().await.unwrap();
        batches.into_iter().filter(|batch| batch.batch.as_str().starts_with(&format!("{template}-"))).collect()
    }

    async fn terms(&self, batch: &str) -> BatchSettings {
        let batches = self.ledger().batches().await.unwrap();
        batches.into_iter().find(|known| known.batch.as_str() == batch).unwrap().terms
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_never_submitted_itself_and_each_of_its_instants_is_a_batch_with_its_terms() {
    let scene = Scene::new(hurried()).await;
    scene.admit("daily", 450).await;
    let now = scene.ledger().info().await.unwrap().now;
    // So that one instant has passed, whatever the time is.
    let since = before(now, MINUTE);
    let cron = Some(Cron::parse("* * * * * UTC").unwrap().since(since));
    let template = Schedule { cron, window: Some(window(now, false)), start_at: None };
    let terms = BatchUpdate {
        weight: Some(7),
        priority: Some(-3),
        budget: Some(Some(Credits::whole(9))),
        ..BatchUpdate::default()
    };
    scene.ledger().update_batch(&Scene::batch("daily"), &terms).await.unwrap();
    scene.schedule("daily", &template, TimeRange::NEVER).await;
    // Its window is closed, so the run waits, and the worker too.
    let stop = Stop::default();
    let told = stop.clone();
    let looked = async {
        while scene.runs("daily").await.is_empty() || scene.terms("daily").await.schedule == template.to_string() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        told.graceful.cancel();
    };
    let (ended, ()) = tokio::join!(scene.work_as(scene.options(Until::Idle), stop), looked);
    assert_eq!(ended.unwrap(), WorkerExit::Stopped);
    let run = scene.runs("daily").await.remove(0);
    assert_eq!((run.total(), run.count(StateName::Queued)), (450, 450));
    assert_eq!((run.terms.weight, run.terms.priority, run.terms.budget), (7, -3, Some(Credits::whole(9))));
    assert_eq!(run.terms.schedule, template.of_a_run().to_string());
    assert!(run.terms.range.from > now && run.terms.range != TimeRange::NEVER);
    assert_eq!(scene.simulator.bill().await.submissions, 0);
    let instant = Schedule::parse(&scene.terms("daily").await.schedule).unwrap().cron.unwrap();
    assert!(instant.pending().unwrap() > now, "the instant is dealt with");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_made_and_worked_on_and_the_template_does_not_keep_the_worker() {
    let scene = Scene::new(hurried()).await;
    scene.admit("daily", 3).await;
    scene.recur("daily", 30 * MINUTE).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    let runs = scene.runs("daily").await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0].count(StateName::Done), 3);
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.simulator.bill().await.accepted.len(), 3);
    assert!(scene.output().join(runs[0].batch.as_str()).join("job-2.mp4").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_made_and_not_remembered_is_not_made_again() {
    let scene = Scene::new(hurried()).await;
    scene.admit("daily", 3).await;
    let template = scene.recur("daily", 30 * MINUTE).await;
    let cron = template.cron.as_ref().unwrap();
    let stamp = cron.stamp(cron.pending().unwrap());
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    // As if its maker had died right after it.
    scene.schedule("daily", &template, TimeRange::NEVER).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    let runs = scene.runs("daily").await;
    assert_eq!((runs.len(), runs[0].batch.as_str()), (1, format!("daily{stamp}").as_str()));
    assert_eq!(scene.simulator.bill().await.submissions, 3);
    assert_ne!(scene.terms("daily").await.schedule, template.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_others_made_and_forgot_while_its_maker_slept_is_not_made_again() {
    let scene = Scene::new(hurried()).await;
    scene.admit("daily", 3).await;
    let template = scene.recur("daily", 30 * MINUTE).await;
    let faulty = Arc::new(Faulty::new(scene.ledger(), Trick::TakeTurn));
    assert_eq!(scene.work_on(faulty.clone(), Until::Idle, Stop::default()).await.unwrap(), WorkerExit::Finished);
    faulty.tricked().await;
    assert!(scene.runs("daily").await.is_empty());
    assert_eq!(scene.simulator.bill().await.submissions, 0);
    assert_ne!(scene.terms("daily").await.schedule, template.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_of_more_than_an_hour_ago_are_skipped_and_a_paused_or_cancelled_template_makes_no_run() {
    let scene = Scene::new(hurried()).await;
    for template in ["missed", "paused", "cancelled"] {
        scene.admit(template, 2).await;
        scene.recur(template, 5 * 60 * MINUTE).await;
    }
    scene.ledger().update_batch(&Scene::batch("paused"), &BatchFlag::Paused(true).into()).await.unwrap();
    scene.cancel(&Scene::batch("cancelled")).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.runs("missed").await.len(), 1);
    assert_eq!(scene.simulator.bill().await.accepted.len(), 2);
    for template in ["paused", "cancelled"] {
        assert!(scene.runs(template).await.is_empty(), "{template}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_name_belongs_to_another_batch_is_left_out() {
    let scene = Scene::new(hurried()).await;
    scene.admit_at("daily", 2, veobatch_core::Resolution::P1080).await;
    let template = scene.recur("daily", 30 * MINUTE).await;
    let cron = template.cron.as_ref().unwrap();
    let name = format!("daily{}", cron.stamp(cron.pending().unwrap()));
    scene.admit(&name, 1).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    let runs = scene.runs("daily").await;
    assert_eq!((runs.len(), runs[0].total()), (1, 1));
    assert_eq!(scene.simulator.bill().await.submissions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stretch_that_is_over_is_followed_by_the_next_one() {
    let scene = Scene::new(hurried()).await;
    scene.admit("night", 3).await;
    let now = scene.ledger().info().await.unwrap().now;
    let schedule = Schedule { window: Some(window(now, true)), ..Schedule::default() };
    // Yesterday's.
    let over = TimeRange { from: before(now, 24 * 60 * MINUTE), until: before(now, 23 * 60 * MINUTE) };
    scene.schedule("night", &schedule, over).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 3);
    assert_eq!(scene.terms("night").await.range, schedule.open_range(now));
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_its_hours_a_worker_submits_for_batches_with_a_window_of_their_own() {
    let scene = Scene::new(hurried()).await;
    scene.admit("any", 3).await;
    scene.admit("own", 2).await;
    let ledger = scene.ledger();
    let now = ledger.info().await.unwrap().now;
    let schedule = Schedule { window: Some(window(now, true)), ..Schedule::default() };
    scene.schedule("own", &schedule, schedule.open_range(now)).await;
    let count = async |name: &str, state| {
        let name = BatchId::parse(name).unwrap();
        let batches = ledger.batches().await.unwrap();
        batches.iter().find(|batch| batch.batch == name).unwrap().count(state)
    };
    let stop = Stop::default();
    let told = stop.clone();
    let looked = async {
        while count("own", StateName::Done).await < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        told.graceful.cancel();
    };
    let closed = Options { window: Some(window(now, false)), ..scene.options(Until::Stopped) };
    let (ended, ()) = tokio::join!(scene.work_as(closed, stop), looked);
    assert_eq!(ended.unwrap(), WorkerExit::Stopped);
    assert_eq!(count("any", StateName::Queued).await, 3);
    let open = Options { window: Some(window(now, true)), ..scene.options(Until::Idle) };
    assert_eq!(scene.work_with(open).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.simulator.bill().await.accepted.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_used_with_a_clock_ahead_is_worked_on_and_makes_no_run_too_early() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 2).await;
    scene.admit("daily", 1).await;
    // The next one is due in forty minutes.
    scene.recur("daily", 10 * MINUTE).await;
    let clock = || {
        #[expect(clippy::disallowed_methods, reason = "a clock that is wrong")]
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(0) + wall + 120 * MINUTE
    };
    let wrong = SqliteLedger::open_with(&scene.path("ledger.db"), Arc::new(clock)).await.unwrap();
    (&wrong as &dyn Ledger).hear(Timestamp::default()).await.unwrap();
    drop(wrong);
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 2);
    let account = scene.ledger().account(0).await.unwrap();
    assert!(account.now.since(account.calendar) > 119 * MINUTE, "{account:?}");
    assert_eq!(scene.runs("daily").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_window_closes_no_submission_is_claimed_any_more_and_what_is_paid_for_is_saved() {
    let mut config = hurried();
    config.generation.median_ms = 1_500;
    let scene = Scene::new(config).await;
    // So many at this pace that most of them are left when it closes.
    let pace =
        AccountUpdate { rate: Some((20, Duration::from_secs(1))), max_in_flight: None, ..AccountUpdate::default() };
    scene.ledger().update_account(&pace).await.unwrap();
    scene.admit("garden", 900).await;
    // A clock that is so far ahead that three seconds are left until its next minute, when the window closes.
    let now = scene.ledger().info().await.unwrap().now.as_millis();
    let closes = (now / 60_000 + 2) * 60_000;
    let ahead = closes - 3_000 - now;
    let clock = move || {
        #[expect(clippy::disallowed_methods, reason = "the scene's own clock")]
        let wall = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(u64::try_from(wall.as_millis()).unwrap() + ahead)
    };
    let ledger: SharedLedger =
        Arc::new(SqliteLedger::open_with(&scene.path("ledger.db"), Arc::new(clock)).await.unwrap());
    let minutes = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let window = format!("{}-{} UTC", minutes(closes / 60_000 - 60), minutes(closes / 60_000));
    let schedule = Schedule { window: Some(Window::parse(&window).unwrap()), ..Schedule::default() };
    scene.schedule("garden", &schedule, schedule.open_range(ledger.info().await.unwrap().now)).await;

    let stop = Stop::default();
    let story = async {
        // It says by itself that the next stretch is tomorrow's: so it looked after the end, and nothing is under way.
        while scene.terms("garden").await.range.from.as_millis() < closes {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        scene.until(|batch| batch.count(StateName::Queued) + batch.count(StateName::Done) == 900).await;
        stop.graceful.cancel();
    };
    let work = scene.work_on(Arc::clone(&ledger), Until::Stopped, stop.clone());
    assert_eq!(tokio::join!(work, story).0.unwrap(), WorkerExit::Stopped);
    let done = scene.ledger().page(&Scene::batch("garden"), JobFilter::In(StateName::Done), None, 900).await.unwrap();
    let claimed: Vec<u64> = done.iter().map(|stored| stored.record.task().unwrap().at.as_millis()).collect();
    let last = claimed.iter().max().copied().unwrap();
    assert!(last < closes, "claimed {} ms after the window had closed", last - closes);
    assert_eq!(scene.simulator.bill().await.submissions, claimed.len() as u64);
}
