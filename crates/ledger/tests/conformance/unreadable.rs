//! One record that a program cannot read: it is set aside by itself, and costs its neighbours nothing.

use std::time::Duration;

use veobatch_core::{Credits, Lane, Spec, StateName};
use veobatch_ledger::{
    AccountUpdate, BatchUpdate, Blocked, Claimed, DailyBudget, Day, JobFilter, LedgerError, Lookup, SharedLedger,
    SubmissionClaim,
};

use crate::bench::{
    Bench, LONG, admit, batch, claim, count, downloading, ending, generating, generating_job, hindrance, ids, job, key,
    new_token, put, put_of, ranked, read, submission, task,
};
use crate::compaction::{compaction, finish};
use crate::store_itself::{Part, overwrite};
use crate::terms::{PRICE, prices};

/// What a newer program may have written: a size that this one does not know.
const UNKNOWN_SIZE: &[u8] = br#"{"p":"a film","r":"8k"}"#;
/// And a state.
const UNKNOWN_STATE: &[u8] = br#"{"s":{"dreaming":{"of":"sheep"}}}"#;

/// The names of what cannot be read, with states and reasons.
async fn listed(ledger: &SharedLedger) -> Vec<(String, Option<StateName>, String)> {
    let all = ledger.unreadable(100).await.unwrap();
    all.into_iter().map(|job| (job.key.job.to_string(), job.state, job.why)).collect()
}

/// A worker starts, which may be a program that can read more.
async fn a_worker_starts(ledger: &SharedLedger) {
    ledger.update_account(&AccountUpdate { retry_unreadable: true, ..AccountUpdate::default() }).await.unwrap();
}

pub(crate) async fn a_submission_whose_spec_cannot_be_read_costs_nothing_and_stops_nobody(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[ranked("bad", 9), job("a"), job("b")]).await;
    ledger.update_account(&AccountUpdate { prices: Some(prices()), ..AccountUpdate::default() }).await.unwrap();
    ledger
        .update_batch(&batch("n"), &BatchUpdate { budget: Some(Some(PRICE.times(2))), ..BatchUpdate::default() })
        .await
        .unwrap();
    let now = ledger.info().await.unwrap().now;
    let zone = "UTC".to_owned();
    let daily = Some(Some(DailyBudget { credits: PRICE.times(2), zone: zone.clone() }));
    let day = Some(Day { zone, range: veobatch_core::TimeRange { from: now, until: now + LONG } });
    // One slot a minute for each of two: what was granted for nothing must come back.
    let rate = Some((2, LONG));
    ledger.update_account(&AccountUpdate { daily, rate, ..AccountUpdate::default() }).await.unwrap();
    ledger.update_account(&AccountUpdate { day, ..AccountUpdate::default() }).await.unwrap();
    let good = overwrite(bench, "n", "bad", Part::Spec, UNKNOWN_SIZE).await;

    let first = ledger.claim_submission(&new_token(), None, LONG, Duration::ZERO).await.unwrap();
    let SubmissionClaim::Granted(first) = first else { panic!("{first:?}") };
    assert_eq!(first.stored.key.job.as_str(), "a", "its neighbour goes on in the same claim");
    let account = ledger.account(0).await.unwrap();
    assert_eq!((account.in_flight, account.daily.as_ref().unwrap().spent), (1, PRICE));
    let summary = ledger.batches().await.unwrap().remove(0);
    assert_eq!(summary.credits, PRICE);
    assert_eq!((summary.count(StateName::Queued), summary.count(StateName::Submitting)), (2, 1));
    let slots = ledger.account(1).await.unwrap().slots;
    assert!((slots.used - 1.0).abs() < 1e-9, "{slots:?}");
    let [(name, state, why)] = &*listed(ledger).await else { panic!("one, and only it") };
    assert_eq!((name.as_str(), *state), ("bad", Some(StateName::Queued)));
    assert!(why.contains("8k"), "{why}");
    let slot = account.next_slot.since(account.now);
    assert!(slot < LONG / 3, "the slot of credit is still there, and the other arrival: {slot:?}");

    ledger
        .update_account(&AccountUpdate { rate: Some((1000, Duration::from_secs(1))), ..AccountUpdate::default() })
        .await
        .unwrap();
    assert_eq!(submission(ledger).await.stored.key.job.as_str(), "b");
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work, "it is left alone for a while");
    let room = BatchUpdate { budget: Some(Some(PRICE.times(3))), ..BatchUpdate::default() };
    ledger.update_batch(&batch("n"), &room).await.unwrap();
    let daily = Some(Some(DailyBudget { credits: PRICE.times(3), zone: "UTC".into() }));
    ledger.update_account(&AccountUpdate { daily, ..AccountUpdate::default() }).await.unwrap();
    a_worker_starts(ledger).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work, "and met again, at no cost");
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 2);

    overwrite(bench, "n", "bad", Part::Spec, &good).await;
    ledger.update_batch(&batch("n"), &BatchUpdate { budget: Some(None), ..BatchUpdate::default() }).await.unwrap();
    ledger.update_account(&AccountUpdate { daily: Some(None), ..AccountUpdate::default() }).await.unwrap();
    a_worker_starts(ledger).await;
    let last = submission(ledger).await;
    assert_eq!(last.stored.spec, ranked("bad", 9).spec, "it comes back by itself");
    put(ledger, &ending(&last, generating("t", last.stored.now))).await;
    assert_eq!(listed(ledger).await, []);
    assert_eq!(ledger.batches().await.unwrap().remove(0).credits, PRICE.times(3));
}

pub(crate) async fn a_record_that_cannot_be_read_is_not_submitted_again(bench: &Bench) {
    let ledger = &bench.ledger;
    ledger.update_account(&AccountUpdate { prices: Some(prices()), ..AccountUpdate::default() }).await.unwrap();
    admit(ledger, "n", &[job("bad")]).await;
    let claimed = submission(ledger).await;
    // Failed once and queued again, with what it cost so far.
    let mut record = crate::bench::moved(&claimed.stored.record, veobatch_core::State::Queued { due: None });
    record.priority = 3;
    put(ledger, &put_of(&claimed.stored, Some(&claimed.lease), &record)).await;
    let good = overwrite(bench, "n", "bad", Part::Body, UNKNOWN_STATE).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    assert_eq!(ledger.account(0).await.unwrap().in_flight, 0);
    assert_eq!(ledger.batches().await.unwrap().remove(0).credits, PRICE);
    overwrite(bench, "n", "bad", Part::Body, &good).await;
    a_worker_starts(ledger).await;
    let again = submission(ledger).await;
    assert_eq!((again.stored.record.priority, again.stored.record.credits), (3, PRICE.times(2)));
}

/// Two jobs that are due in `lane`, of which "bad" cannot be read any more; and what was there.
async fn one_of_two(bench: &Bench, lane: Lane, part: Part) -> Vec<u8> {
    let ledger = &bench.ledger;
    for id in ["bad", "good"] {
        let stored = generating_job(ledger, "n", id).await;
        if lane == Lane::Save {
            let record = crate::bench::moved(&stored.record, downloading(&format!("task-n-{id}"), stored.now));
            put(ledger, &put_of(&stored, None, &record)).await;
        }
    }
    let bytes = match part {
        Part::Spec => UNKNOWN_SIZE,
        Part::Body => UNKNOWN_STATE,
    };
    overwrite(bench, "n", "bad", part, bytes).await
}

async fn is_left_alone(bench: &Bench, lane: Lane, part: Part, state: StateName) -> Claimed {
    let ledger = &bench.ledger;
    let was = one_of_two(bench, lane, part).await;
    let good = claim(ledger, lane, LONG).await;
    assert_eq!(good.stored.key.job.as_str(), "good");
    let (none, next) = ledger.claim(lane, 9, LONG).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    assert!(next.is_some_and(|next| next > good.stored.now), "the lease of the other, and not the one set aside");
    assert_eq!(
        listed(ledger).await.into_iter().map(|(id, state, _)| (id, state)).collect::<Vec<_>>(),
        [("bad".to_owned(), Some(state))]
    );
    assert_eq!(count(ledger, "n", StateName::InDoubt).await, 0);
    let far = veobatch_core::Timestamp::from_millis(4_000_000_000_000);
    let rest = if lane == Lane::Save { downloading("task-n-good", far) } else { generating("task-n-good", far) };
    put(ledger, &ending(&good, rest)).await;
    assert_eq!(ledger.claim(lane, 0, LONG).await.unwrap().1, Some(far), "nobody waits for it");
    a_worker_starts(ledger).await;
    assert!(ledger.claim(lane, 9, LONG).await.unwrap().0.is_empty(), "met again");

    overwrite(bench, "n", "bad", part, &was).await;
    assert!(ledger.claim(lane, 9, LONG).await.unwrap().0.is_empty(), "not yet");
    a_worker_starts(ledger).await;
    let back = claim(ledger, lane, LONG).await;
    assert_eq!((back.stored.key.job.as_str(), back.deliveries), ("bad", 1));
    back
}

pub(crate) async fn a_record_that_cannot_be_read_is_not_followed_and_stops_nobody(bench: &Bench) {
    let back = is_left_alone(bench, Lane::Follow, Part::Body, StateName::Generating).await;
    let ledger = &bench.ledger;
    put(ledger, &ending(&back, generating("task-n-bad", back.stored.now))).await;
    assert_eq!(listed(ledger).await, []);
    assert_eq!(claim(ledger, Lane::Follow, LONG).await.stored.key.job.as_str(), "bad");
}

pub(crate) async fn a_video_whose_spec_cannot_be_read_is_saved_once_it_can_be(bench: &Bench) {
    let back = is_left_alone(bench, Lane::Save, Part::Spec, StateName::Downloading).await;
    assert_eq!(back.stored.spec, job("bad").spec);
}

pub(crate) async fn an_orphan_that_cannot_be_read_is_in_flight_for_no_longer_than_one_in_doubt(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("bad")]).await;
    crate::bench::submission_for(ledger, &new_token(), None, Duration::ZERO).await;
    overwrite(bench, "n", "bad", Part::Spec, UNKNOWN_SIZE).await;
    assert!(ledger.claim(Lane::Follow, 9, LONG).await.unwrap().0.is_empty());
    assert_eq!(ledger.claim(Lane::Follow, 0, LONG).await.unwrap().1, None, "nobody waits for it");
    assert_eq!(count(ledger, "n", StateName::Submitting).await, 1, "nobody knows whether it was paid for");
    let cap = AccountUpdate { max_in_flight: Some(1), ..AccountUpdate::default() };
    ledger.update_account(&cap).await.unwrap();
    admit(ledger, "m", &[job("a")]).await;
    let (why, Some(until)) = hindrance(ledger, None).await else { panic!("it says until when") };
    assert_eq!(why, Blocked::Cap);
    assert!(until.since(ledger.info().await.unwrap().now) <= veobatch_core::SOFT_DEADLINE);
}

pub(crate) async fn a_page_leaves_out_what_cannot_be_read_and_goes_on_behind_it(bench: &Bench) {
    let ledger = &bench.ledger;
    let all: Vec<_> = (0..12).map(|n| job(&format!("a{n:02}"))).collect();
    admit(ledger, "n", &all).await;
    for n in 0..12 {
        finish(ledger, "n", &format!("a{n:02}")).await;
    }
    for n in [0, 1, 2, 7] {
        overwrite(bench, "n", &format!("a{n:02}"), Part::Body, UNKNOWN_STATE).await;
    }
    let rest = ["a03", "a04", "a05", "a06", "a08", "a09", "a10", "a11"];
    assert_eq!(
        ids(&ledger.page(&batch("n"), JobFilter::All, None, 8).await.unwrap()),
        rest,
        "a page is as long as it may be"
    );
    assert_eq!(ids(&ledger.page(&batch("n"), JobFilter::In(StateName::Done), None, 3).await.unwrap()), rest[..3]);
    let behind = ledger.page(&batch("n"), JobFilter::In(StateName::Done), Some(&key("n", "a01").job), 9).await.unwrap();
    assert_eq!(ids(&behind), rest, "also after one that cannot be read");
    let whole = ledger.page(&batch("n"), JobFilter::Whole, None, 100).await.unwrap();
    assert_eq!(ids(&whole), rest);
    let compactions: Vec<_> = whole.iter().map(compaction).collect();
    assert_eq!(ledger.compact(&compactions).await.unwrap(), 8);
    assert_eq!(listed(ledger).await.len(), 4);
    assert_eq!(ledger.unreadable(3).await.unwrap().len(), 3);
    let Err(LedgerError::Unreadable { key: told, why }) = ledger.find(Lookup::Name(&key("n", "a07"))).await else {
        panic!("a07")
    };
    assert!(told == key("n", "a07") && why.contains("dreaming"), "{told}: {why}");
    assert_eq!(
        ledger.owner(Lookup::Task(&task("task-n-a07"))).await.unwrap(),
        Some(key("n", "a07")),
        "its name is known"
    );
    assert_eq!(count(ledger, "n", StateName::Done).await, 12);
}

pub(crate) async fn what_can_be_read_again_is_no_longer_listed(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a"), job("b")]).await;
    let good = overwrite(bench, "n", "a", Part::Spec, b"{").await;
    overwrite(bench, "n", "b", Part::Spec, UNKNOWN_SIZE).await;
    ledger.page(&batch("n"), JobFilter::All, None, 9).await.unwrap();
    let first = ledger.unreadable(9).await.unwrap();
    assert_eq!(first.len(), 2);
    overwrite(bench, "n", "a", Part::Spec, &good).await;
    let left = ledger.unreadable(9).await.unwrap();
    assert_eq!(left.iter().map(|job| job.key.job.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(first.iter().any(|job| job.since == left[0].since), "since it was first met");
    assert_eq!(bench.second().await.unreadable(9).await.unwrap(), left);
    assert_eq!(read(ledger, "n", "a").await.spec, Spec { prompt: "a film of a".into(), ..Spec::default() });
    assert_eq!(Credits::default(), ledger.batches().await.unwrap().remove(0).credits);
}
