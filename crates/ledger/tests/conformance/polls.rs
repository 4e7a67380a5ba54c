//! How many jobs all machines together may follow in a second.

use std::time::Duration;

use veobatch_core::{Lane, Timestamp};
use veobatch_ledger::{AccountUpdate, SharedLedger};

use crate::bench::{Bench, LONG, admit, downloading, ending, generating, jobs, put, submission, until};
use crate::store_itself::{script, sql};

/// So many jobs that have been due for long, the last `saved` of them in the save lane.
async fn due(ledger: &SharedLedger, count: usize, saved: usize) {
    admit(ledger, "n", &jobs("a", count)).await;
    let long_ago = Timestamp::from_millis(1_000_000);
    for n in 0..count {
        let claimed = submission(ledger).await;
        let name = format!("task-{n}");
        let state = if n < count - saved { generating(&name, long_ago) } else { downloading(&name, long_ago) };
        put(ledger, &ending(&claimed, state)).await;
    }
}

async fn claimed(ledger: &SharedLedger, lane: Lane, max: usize) -> (usize, Option<Timestamp>) {
    let (claimed, next) = ledger.claim(lane, max, LONG).await.unwrap();
    (claimed.len(), next)
}

pub(crate) async fn the_limit_of_polls_holds_for_all_and_follows_the_cap_until_it_is_told(bench: &Bench) {
    let (ledger, second) = (&bench.ledger, bench.second().await);
    assert_eq!(ledger.account(0).await.unwrap().poll_rate, 20_000, "a fifth of the bench's cap");
    ledger.update_account(&AccountUpdate { max_in_flight: Some(100), ..AccountUpdate::default() }).await.unwrap();
    assert_eq!(
        ledger
            .update_account(&AccountUpdate { poll_rate: Some(7), ..AccountUpdate::default() })
            .await
            .unwrap()
            .poll_rate,
        20
    );
    assert_eq!(second.account(0).await.unwrap().poll_rate, 7);
    assert_eq!(
        bench
            .reopen()
            .await
            .unwrap()
            .update_account(&AccountUpdate { poll_rate: Some(9), ..AccountUpdate::default() })
            .await
            .unwrap()
            .poll_rate,
        7
    );
}

pub(crate) async fn no_more_than_a_seconds_worth_is_followed_at_once(bench: &Bench) {
    let (ledger, second) = (&bench.ledger, bench.second().await);
    due(ledger, 20, 4).await;
    ledger.update_account(&AccountUpdate { poll_rate: Some(5), ..AccountUpdate::default() }).await.unwrap();
    let began = ledger.info().await.unwrap().now;
    assert_eq!(claimed(ledger, Lane::Follow, 0).await.0, 0, "asking takes nothing");
    assert_eq!(claimed(ledger, Lane::Follow, 3).await.0, 3);
    let (more, next) = claimed(&second, Lane::Follow, 64).await;
    let elapsed = ledger.info().await.unwrap().now.since(began);
    let allowed = 5 + usize::try_from(elapsed.as_millis() / 200).unwrap();
    assert!(more >= 2 && 3 + more <= allowed, "{more} more after {elapsed:?}");
    let next = next.unwrap();
    assert!(next > began && next <= ledger.info().await.unwrap().now + Duration::from_millis(450), "told when to come");
    assert_eq!(claimed(ledger, Lane::Save, 64).await.0, 4, "what is saved is not limited");
}

pub(crate) async fn a_backlog_is_followed_at_the_limit(bench: &Bench) {
    let ledger = &bench.ledger;
    due(ledger, 45, 0).await;
    ledger.update_account(&AccountUpdate { poll_rate: Some(20), ..AccountUpdate::default() }).await.unwrap();
    let began = ledger.info().await.unwrap().now;
    let mut followed = 0;
    while followed < 45 {
        let (count, next) = claimed(ledger, Lane::Follow, 64).await;
        followed += count;
        let now = ledger.info().await.unwrap().now;
        let allowed = 20 + now.since(began).as_millis() / 50;
        assert!(followed as u128 <= allowed + 1, "{followed} after {:?}", now.since(began));
        while followed < 45 && ledger.info().await.unwrap().now < next.unwrap() {}
    }
    let took = ledger.info().await.unwrap().now.since(began);
    assert!(took >= Duration::from_millis(1_200) && took < Duration::from_secs(10), "{took:?}");
}

pub(crate) async fn a_clock_that_was_ahead_neither_lifts_the_limit_nor_stops_everything(bench: &Bench) {
    let ledger = &bench.ledger;
    due(ledger, 20, 0).await;
    ledger.update_account(&AccountUpdate { poll_rate: Some(5), ..AccountUpdate::default() }).await.unwrap();
    // As if some had been followed in an hour from now.
    let hence = (ledger.info().await.unwrap().now + Duration::from_secs(3600)).as_millis();
    if bench.file().is_some() {
        sql(bench, &format!("UPDATE polls SET used = {hence}000"));
    } else {
        let set = "return redis.call('HSET', KEYS[1] .. 'polls', 'used', ARGV[1])";
        let _: i64 = script(bench, set, &[hence.to_string().as_bytes()]).await;
    }
    let began = ledger.info().await.unwrap().now;
    let some = until("leave is there again", async || {
        let (count, _) = claimed(ledger, Lane::Follow, 64).await;
        (count > 0).then_some(count)
    })
    .await;
    let elapsed = ledger.info().await.unwrap().now.since(began);
    let allowed = 1 + usize::try_from(elapsed.as_millis() / 200).unwrap();
    assert!(some <= allowed, "{some} after {elapsed:?}");
}
