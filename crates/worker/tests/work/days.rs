//! The days of the daily budget.

use std::sync::Arc;
use std::time::Duration;

use veobatch_core::{Credits, StateName, TimeRange, Timestamp, Zone};
use veobatch_ledger::{AccountUpdate, DailyBudget, Day, PriceList};
use veobatch_worker::{Stop, Until, WorkerExit};

use crate::faulty::{Faulty, Trick};
use crate::scene::{Scene, hurried};

const ZONE: &str = "Europe/Berlin";

const YESTERDAY: TimeRange = TimeRange { from: Timestamp::from_millis(1), until: Timestamp::from_millis(2) };

/// Three jobs, and a budget for them whose day is over.
async fn with_a_budget_of_yesterday() -> Scene {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 3).await;
    let daily = DailyBudget { credits: Credits::whole(180), zone: ZONE.into() };
    let by_class = vec![("veo3_fast/720p".to_owned(), Credits::whole(60))];
    let settings = AccountUpdate {
        prices: Some(PriceList { by_class, asked: true }),
        daily: Some(Some(daily)),
        day: Some(Day { zone: ZONE.into(), range: YESTERDAY }),
        ..AccountUpdate::default()
    };
    scene.ledger().update_account(&settings).await.unwrap();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_over_is_followed_by_the_present_one() {
    let scene = with_a_budget_of_yesterday().await;
    let ledger = scene.ledger();
    assert_eq!(ledger.account(0).await.unwrap().daily.unwrap().day, YESTERDAY);
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 3);
    let account = ledger.account(0).await.unwrap();
    let daily = account.daily.unwrap();
    let today = Zone::parse(ZONE).unwrap().day_of(account.now).unwrap();
    assert_eq!((daily.day, daily.spent), (today, Credits::whole(180)), "unless midnight passed meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_batches_that_hangs_stops_neither_the_days_of_the_budget_nor_the_end() {
    let scene = with_a_budget_of_yesterday().await;
    let faulty = Arc::new(Faulty::new(scene.ledger(), Trick::HangLooks));
    let stop = Stop::default();
    let look = async {
        faulty.tricked().await;
        scene.until(|batch| batch.count(StateName::Done) == 3).await;
        stop.graceful.cancel();
        tokio::time::Instant::now()
    };
    let (ended, stopped) = tokio::join!(scene.work_on(faulty.clone(), Until::Stopped, stop.clone()), look);
    assert_eq!(ended.unwrap(), WorkerExit::Stopped);
    assert!(stopped.elapsed() < Duration::from_secs(30), "{:?}", stopped.elapsed());
}
