//! The days of the daily budget.

use veobatch_core::{Credits, Span, StateName, Timestamp, Zone};
use veobatch_ledger::{DailyBudget, Day, PriceList, Settings};
use veobatch_worker::{Ended, Until};

use crate::scene::{Scene, hurried};

const ZONE: &str = "Europe/Berlin";

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_over_is_followed_by_the_present_one() {
    let scene = Scene::new(hurried()).await;
    scene.admit("n", 3).await;
    let ledger = scene.ledger();
    let daily = DailyBudget { credits: Credits::whole(180), zone: ZONE.into() };
    let yesterday = Span { from: Timestamp::from_millis(1), until: Timestamp::from_millis(2) };
    let by_class = vec![("veo3_fast/720p".to_owned(), Credits::whole(60))];
    let settings = Settings {
        prices: Some(PriceList { by_class, asked: true }),
        daily: Some(Some(daily)),
        day: Some(Day { zone: ZONE.into(), span: yesterday }),
        ..Settings::default()
    };
    ledger.configure(&settings).await.unwrap();
    assert_eq!(ledger.account().await.unwrap().daily.unwrap().day, yesterday);
    assert_eq!(scene.work(Until::Idle).await.unwrap(), Ended::Finished);
    assert_eq!(scene.count(StateName::Done).await, 3);
    let account = ledger.account().await.unwrap();
    let daily = account.daily.unwrap();
    let today = Zone::parse(ZONE).unwrap().day_of(account.now).unwrap();
    assert_eq!((daily.day, daily.spent), (today, Credits::whole(180)), "unless midnight passed meanwhile");
}
