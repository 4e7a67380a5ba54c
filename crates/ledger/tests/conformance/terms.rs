//! What batches ask of the queue: shares, ranks, ranges, budgets; and the day's budget.

use std::time::Duration;

use veobatch_core::{BatchSettings, Credits, Record, Spec, State, TimeRange, Timestamp};
use veobatch_ledger::{
    AccountUpdate, Admission, BatchFlag, BatchSummary, BatchUpdate, Blocked, Claimed, DailyBudget, Day, LedgerError,
    NewJob, PriceList, SharedLedger,
};

use crate::bench::{
    Bench, LONG, admit, batch, hindrance, job, jobs, moved, new_token, put, put_of, read, submission, submission_for,
    until,
};

/// What a job costs that is not said to be another one.
pub(crate) const PRICE: Credits = Credits::whole(60);

pub(crate) fn prices() -> PriceList {
    PriceList { by_class: vec![("veo3_fast/720p".to_owned(), PRICE)], asked: true }
}

async fn priced(ledger: &SharedLedger) {
    ledger.update_account(&AccountUpdate { prices: Some(prices()), ..AccountUpdate::default() }).await.unwrap();
}

async fn arrange(ledger: &SharedLedger, name: &str, arrangement: BatchUpdate) {
    ledger.update_batch(&batch(name), &arrangement).await.unwrap();
}

async fn summary(ledger: &SharedLedger, name: &str) -> BatchSummary {
    let batches = ledger.batches().await.unwrap();
    batches.into_iter().find(|summary| summary.batch == batch(name)).unwrap()
}

/// The batches of the next `count` grants.
async fn order(ledger: &SharedLedger, count: usize) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..count {
        order.push(submission(ledger).await.stored.key.batch.to_string());
    }
    order
}

fn count(order: &[String], name: &str) -> usize {
    order.iter().filter(|batch| *batch == name).count()
}

/// Back into the queue: nothing was paid.
async fn refuse(ledger: &SharedLedger, claimed: &Claimed) {
    let record = &claimed.stored.record;
    let State::Submitting { attempt } = &record.state else { panic!("{:?}", record.state) };
    let credits = record.credits.saturating_sub(attempt.price);
    let record = Record { credits, ..moved(record, State::Cancelled) };
    put(ledger, &put_of(&claimed.stored, Some(&claimed.lease), &record)).await;
}

pub(crate) async fn a_new_batch_has_the_usual_terms(bench: &Bench) {
    admit(&bench.ledger, "n", &[job("a")]).await;
    let summary = summary(&bench.ledger, "n").await;
    assert_eq!(
        (summary.terms, summary.credits, summary.paused_because),
        (BatchSettings::default(), Credits::default(), None)
    );
}

pub(crate) async fn terms_are_listed_and_what_is_not_named_stays(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let range = TimeRange { from: Timestamp::from_millis(7), until: Timestamp::from_millis(4_102_444_800_123) };
    let all = BatchUpdate {
        flag: None,
        weight: Some(1000),
        priority: Some(-100),
        budget: Some(Some(Credits::from_millis(12_345_678_901_234))),
        schedule: Some("window 22:00-06:00 Europe/Berlin".into()),
        range: Some(range),
        only_if: None,
    };
    arrange(ledger, "N", all).await;
    let terms = summary(&bench.second().await, "n").await.terms;
    assert_eq!((terms.weight, terms.priority, terms.range), (1000, -100, range));
    assert_eq!(terms.budget, Some(Credits::from_millis(12_345_678_901_234)));
    assert_eq!(terms.schedule, "window 22:00-06:00 Europe/Berlin");
    let change = BatchUpdate { budget: Some(None), schedule: Some(String::new()), ..BatchUpdate::default() };
    arrange(ledger, "n", change).await;
    let changed = summary(ledger, "n").await.terms;
    assert_eq!(changed, BatchSettings { budget: None, schedule: String::new(), ..terms });
}

pub(crate) async fn terms_hold_before_the_first_job_is_visible(bench: &Bench) {
    let ledger = &bench.ledger;
    let admission = Admission::random();
    ledger.stage(&admission, &batch("n"), &jobs("a", 2)).await.unwrap();
    arrange(ledger, "n", BatchUpdate { range: Some(TimeRange::NEVER), ..BatchUpdate::default() }).await;
    ledger.publish(&admission, &[batch("n")], None).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    assert_eq!(summary(ledger, "n").await.terms.range, TimeRange::NEVER);
}

pub(crate) async fn an_unknown_batch_has_no_terms(bench: &Bench) {
    let unknown = bench.ledger.update_batch(&batch("n"), &BatchUpdate::default()).await;
    assert!(matches!(unknown, Err(LedgerError::UnknownBatch(_))), "{unknown:?}");
}

pub(crate) async fn batches_share_the_slots_by_weight(bench: &Bench) {
    let ledger = &bench.ledger;
    for (name, weight) in [("one", 1), ("three", 3), ("seven", 7)] {
        admit(ledger, name, &jobs("a", 80)).await;
        arrange(ledger, name, BatchUpdate { weight: Some(weight), ..BatchUpdate::default() }).await;
    }
    let order = order(ledger, 110).await;
    assert_eq!((count(&order, "one"), count(&order, "three"), count(&order, "seven")), (10, 30, 70), "{order:?}");
}

pub(crate) async fn a_batch_of_higher_priority_goes_first(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "usual", &jobs("a", 40)).await;
    order(ledger, 20).await;
    for (name, priority) in [("last", -1), ("first", 100), ("second", 2)] {
        admit(ledger, name, &jobs("a", 2)).await;
        arrange(ledger, name, BatchUpdate { priority: Some(priority), ..BatchUpdate::default() }).await;
    }
    assert_eq!(order(ledger, 5).await, ["first", "first", "second", "second", "usual"]);
    arrange(ledger, "last", BatchUpdate { priority: Some(1), ..BatchUpdate::default() }).await;
    assert_eq!(order(ledger, 3).await, ["last", "last", "usual"]);
}

pub(crate) async fn a_batch_of_low_priority_that_comes_late_does_not_starve_its_like(bench: &Bench) {
    let ledger = &bench.ledger;
    let low = || BatchUpdate { priority: Some(-5), ..BatchUpdate::default() };
    admit(ledger, "low", &jobs("a", 40)).await;
    arrange(ledger, "low", low()).await;
    order(ledger, 10).await;
    // Those of another priority have come further by far.
    admit(ledger, "usual", &jobs("a", 30)).await;
    order(ledger, 30).await;
    admit(ledger, "late", &jobs("a", 20)).await;
    arrange(ledger, "late", low()).await;
    let order = order(ledger, 20).await;
    assert!((9..=11).contains(&count(&order, "late")), "{order:?}");
}

pub(crate) async fn submissions_begin_and_end_with_the_span(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 200)).await;
    let now = ledger.info().await.unwrap().now;
    let range = TimeRange { from: now + Duration::from_millis(150), until: now + Duration::from_millis(300) };
    arrange(ledger, "n", BatchUpdate { range: Some(range), ..BatchUpdate::default() }).await;
    assert_eq!(hindrance(ledger, None).await, (Blocked::Window, Some(range.from)));
    assert_eq!(hindrance(ledger, Some(&[batch("n")])).await, (Blocked::Window, Some(range.from)));
    let first = until("the range begins", async || granted(ledger).await).await;
    assert!(range.contains(first.stored.now), "{range:?} {:?}", first.stored.now);
    let mut last = first;
    let over = until("the range is over", async || match granted(ledger).await {
        Some(claimed) => {
            last = claimed;
            None
        }
        None => Some(hindrance(ledger, None).await).filter(|_| last.stored.now >= range.from),
    })
    .await;
    assert!(range.contains(last.stored.now), "{range:?} {:?}", last.stored.now);
    assert_eq!(over.0, Blocked::Window);
    arrange(ledger, "n", BatchUpdate { range: Some(TimeRange::ALWAYS), ..BatchUpdate::default() }).await;
    submission(ledger).await;
}

async fn granted(ledger: &SharedLedger) -> Option<Claimed> {
    match crate::bench::try_submission(ledger).await {
        veobatch_ledger::SubmissionClaim::Granted(claimed) => Some(*claimed),
        veobatch_ledger::SubmissionClaim::Wait { .. } => None,
    }
}

pub(crate) async fn a_span_of_another_schedule_changes_nothing(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    arrange(ledger, "n", BatchUpdate { schedule: Some("new".into()), ..BatchUpdate::default() }).await;
    let stale = |only_if: &str| BatchUpdate {
        range: Some(TimeRange::NEVER),
        only_if: Some(only_if.into()),
        ..BatchUpdate::default()
    };
    arrange(ledger, "n", stale("old")).await;
    assert_eq!(summary(ledger, "n").await.terms.range, TimeRange::ALWAYS);
    arrange(ledger, "n", stale("new")).await;
    assert_eq!(summary(ledger, "n").await.terms.range, TimeRange::NEVER);
}

pub(crate) async fn a_batch_that_was_paused_says_why(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &[job("a")]).await;
    let why = "ten jobs in a row were refused".to_owned();
    ledger.update_batch(&batch("n"), &BatchFlag::PausedBecause(why.clone()).into()).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    let paused = summary(ledger, "n").await;
    assert_eq!((paused.paused, paused.paused_because), (true, Some(why)));
    ledger.update_batch(&batch("n"), &BatchFlag::Paused(true).into()).await.unwrap();
    assert_eq!(summary(ledger, "n").await.paused_because, None);
    ledger.update_batch(&batch("n"), &BatchFlag::PausedBecause("x".into()).into()).await.unwrap();
    ledger.update_batch(&batch("n"), &BatchFlag::Paused(false).into()).await.unwrap();
    let resumed = summary(ledger, "n").await;
    assert_eq!((resumed.paused, resumed.paused_because), (false, None));
}

pub(crate) async fn a_budget_is_never_exceeded_and_what_comes_back_is_used(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &jobs("a", 9)).await;
    arrange(
        ledger,
        "n",
        BatchUpdate {
            budget: Some(Some(PRICE.times(3).saturating_sub(Credits::from_millis(1)))),
            ..BatchUpdate::default()
        },
    )
    .await;
    let first = submission(ledger).await;
    submission(ledger).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Budget);
    assert_eq!(hindrance(ledger, Some(&[batch("n")])).await.0, Blocked::Budget);
    assert_eq!(summary(ledger, "n").await.credits, PRICE.times(2));
    refuse(ledger, &first).await;
    assert_eq!(summary(ledger, "n").await.credits, PRICE);
    submission(ledger).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Budget);
    // Others are not kept from their work.
    admit(ledger, "other", &[job("a")]).await;
    assert_eq!(submission(ledger).await.stored.key.batch, batch("other"));
}

pub(crate) async fn a_budget_that_is_raised_lets_its_batch_go_on(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &jobs("a", 3)).await;
    for count in 1..=2 {
        let budget = Some(Some(PRICE.times(count)));
        arrange(ledger, "n", BatchUpdate { budget, ..BatchUpdate::default() }).await;
        submission(ledger).await;
        assert_eq!(hindrance(ledger, None).await.0, Blocked::Budget);
    }
    arrange(ledger, "n", BatchUpdate { budget: Some(None), ..BatchUpdate::default() }).await;
    submission(ledger).await;
    assert_eq!(summary(ledger, "n").await.credits, PRICE.times(3));
}

pub(crate) async fn a_job_without_a_price_waits_where_there_is_a_budget(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    let strange = |id: &str| {
        let NewJob { id, spec } = crate::bench::ranked(id, 3);
        NewJob { id, spec: Spec { model: "veo9".into(), ..spec } }
    };
    admit(ledger, "n", &[strange("x"), job("a"), strange("y"), job("b")]).await;
    arrange(ledger, "n", BatchUpdate { budget: Some(Some(PRICE.times(9))), ..BatchUpdate::default() }).await;
    let mut served = Vec::new();
    for _ in 0..2 {
        served.push(submission(ledger).await.stored.key.job.to_string());
    }
    assert_eq!(served, ["a", "b"]);
    let (why, until) = hindrance(ledger, None).await;
    assert_eq!(why, Blocked::Work);
    let now = ledger.info().await.unwrap().now;
    assert!(until.unwrap().since(now) > Duration::from_secs(500), "{until:?} {now:?}");
    assert_eq!(read(ledger, "n", "x").await.record.state, State::Queued { due: None });
    // A price that is named is used at once.
    let mut list = prices();
    list.by_class.push(("veo9/720p".into(), PRICE));
    ledger.update_account(&AccountUpdate { prices: Some(list), ..AccountUpdate::default() }).await.unwrap();
    let both = [submission(ledger).await, submission(ledger).await].map(|claimed| claimed.stored.key.job.to_string());
    assert_eq!(both, ["x", "y"]);
    priced(ledger).await;
    // Without a budget nobody needs a price.
    admit(ledger, "free", &[strange("x")]).await;
    let free = submission(ledger).await;
    assert_eq!((free.stored.key.to_string(), free.stored.record.credits), ("free/x".to_owned(), Credits::default()));
}

pub(crate) async fn what_is_set_aside_is_in_the_record_until_it_is_refused(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &[job("a")]).await;
    let token = new_token();
    let claimed = submission_for(ledger, &token, None, LONG).await;
    let State::Submitting { attempt } = &claimed.stored.record.state else { panic!() };
    assert_eq!((attempt.price, claimed.stored.record.credits), (PRICE, PRICE));
    assert_eq!(read(ledger, "n", "a").await.record.state, claimed.stored.record.state);
    // A change while the call is under way does not take it for spent.
    put(ledger, &put_of(&claimed.stored, None, &Record { cancelled: true, ..claimed.stored.record.clone() })).await;
    let again = read(ledger, "n", "a").await;
    assert_eq!((again.record.credits, &again.record.state), (PRICE, &claimed.stored.record.state));
    let claimed = Claimed { stored: again, ..claimed };
    refuse(ledger, &claimed).await;
    assert_eq!(read(ledger, "n", "a").await.record.credits, Credits::default());
    assert_eq!(summary(ledger, "n").await.credits, Credits::default());
}

pub(crate) async fn a_day_has_its_own_budget(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &jobs("a", 9)).await;
    submission(ledger).await;
    let budget = DailyBudget { credits: PRICE.times(2), zone: "Europe/Berlin".into() };
    let daily = Some(Some(budget.clone()));
    ledger.update_account(&AccountUpdate { daily, ..AccountUpdate::default() }).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Budget, "nobody has said when the day ends");
    let begin = async |zone: &str, from: Timestamp, until: Timestamp| {
        let day = Some(Day { zone: zone.into(), range: TimeRange { from, until } });
        ledger.update_account(&AccountUpdate { day, ..AccountUpdate::default() }).await.unwrap();
    };
    let now = ledger.info().await.unwrap().now;
    begin("UTC", now, now + LONG).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Budget, "another zone's day");
    let end = now + Duration::from_millis(700);
    begin("Europe/Berlin", now, end).await;
    let first = submission(ledger).await;
    submission(ledger).await;
    assert_eq!(hindrance(ledger, None).await, (Blocked::Budget, Some(end)));
    // The day that is counted stays until it is over.
    begin("Europe/Berlin", now, now + LONG).await;
    let today = ledger.account(0).await.unwrap().daily.unwrap();
    assert_eq!((today.budget, today.day.until, today.spent), (budget, end, PRICE.times(2)));
    refuse(ledger, &first).await;
    assert_eq!(ledger.account(0).await.unwrap().daily.unwrap().spent, PRICE);
    submission(ledger).await;
    until("the day is over", async || (ledger.info().await.unwrap().now >= end).then_some(())).await;
    begin("Europe/Berlin", end, end + LONG).await;
    submission(ledger).await;
    assert_eq!(ledger.account(0).await.unwrap().daily.unwrap().spent, PRICE);
    ledger.update_account(&AccountUpdate { daily: Some(None), ..AccountUpdate::default() }).await.unwrap();
    assert_eq!(ledger.account(0).await.unwrap().daily, None);
    for _ in 0..3 {
        submission(ledger).await;
    }
}

pub(crate) async fn prices_that_were_asked_for_stay(bench: &Bench) {
    let ledger = &bench.ledger;
    let list = |price: i64, asked| {
        let by_class = vec![("veo3/4k".to_owned(), Credits::whole(price))];
        AccountUpdate { prices: Some(PriceList { by_class, asked }), ..AccountUpdate::default() }
    };
    let price = async || ledger.account(0).await.unwrap().prices.get("veo3/4k").copied();
    for (price_of, asked, then) in [(1, false, 1), (2, false, 2), (3, true, 3), (4, false, 3), (5, true, 5)] {
        ledger.update_account(&list(price_of, asked)).await.unwrap();
        assert_eq!(price().await, Some(Credits::whole(then)));
    }
}

/// Asks for a model whose price is not in [`prices`].
fn of_model(id: &str, priority: i16, model: &str) -> NewJob {
    let NewJob { id, spec } = crate::bench::ranked(id, priority);
    NewJob { id, spec: Spec { model: model.into(), ..spec } }
}

/// A batch with room for one cheap job, whose first job is a dear one.
async fn over_budget(bench: &Bench) {
    let ledger = &bench.ledger;
    let mut list = prices();
    list.by_class.push(("veo3/720p".into(), PRICE.times(4)));
    ledger.update_account(&AccountUpdate { prices: Some(list), ..AccountUpdate::default() }).await.unwrap();
    admit(ledger, "n", &[of_model("dear", 3, "veo3"), job("cheap")]).await;
    arrange(ledger, "n", BatchUpdate { budget: Some(Some(PRICE)), ..BatchUpdate::default() }).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Budget);
}

async fn is_submitted(bench: &Bench, id: &str) {
    assert_eq!(submission(&bench.ledger).await.stored.key.job.as_str(), id);
}

pub(crate) async fn a_batch_over_budget_goes_on_once_its_dear_job_is_cancelled(bench: &Bench) {
    over_budget(bench).await;
    let dear = read(&bench.ledger, "n", "dear").await;
    put(&bench.ledger, &put_of(&dear, None, &moved(&dear.record, State::Cancelled))).await;
    is_submitted(bench, "cheap").await;
}

pub(crate) async fn a_batch_over_budget_goes_on_once_its_dear_job_waits_for_a_time(bench: &Bench) {
    over_budget(bench).await;
    let dear = read(&bench.ledger, "n", "dear").await;
    let due = Some(Timestamp::from_millis(4_000_000_000_000));
    put(&bench.ledger, &put_of(&dear, None, &moved(&dear.record, State::Queued { due }))).await;
    is_submitted(bench, "cheap").await;
}

pub(crate) async fn a_batch_over_budget_goes_on_once_a_cheap_job_comes_first(bench: &Bench) {
    over_budget(bench).await;
    let dear = read(&bench.ledger, "n", "dear").await;
    let lower = Record { priority: -3, ..dear.record.clone() };
    put(&bench.ledger, &put_of(&dear, None, &lower)).await;
    is_submitted(bench, "cheap").await;
}

pub(crate) async fn a_batch_over_budget_goes_on_once_a_cheap_job_is_admitted_before_it(bench: &Bench) {
    over_budget(bench).await;
    admit(&bench.ledger, "n", &[crate::bench::ranked("new", 9)]).await;
    is_submitted(bench, "new").await;
}

pub(crate) async fn a_batch_over_budget_goes_on_once_prices_fall(bench: &Bench) {
    over_budget(bench).await;
    let mut list = prices();
    list.by_class.push(("veo3/720p".into(), PRICE));
    bench.ledger.update_account(&AccountUpdate { prices: Some(list), ..AccountUpdate::default() }).await.unwrap();
    is_submitted(bench, "dear").await;
}

pub(crate) async fn a_doubt_that_turns_out_refused_comes_back_to_its_batch_and_its_day(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &[job("a")]).await;
    let daily = Some(Some(DailyBudget { credits: PRICE, zone: "UTC".into() }));
    ledger.update_account(&AccountUpdate { daily, ..AccountUpdate::default() }).await.unwrap();
    let now = ledger.info().await.unwrap().now;
    let day = Some(Day { zone: "UTC".into(), range: TimeRange { from: now, until: now + LONG } });
    ledger.update_account(&AccountUpdate { day, ..AccountUpdate::default() }).await.unwrap();
    let claimed = submission(ledger).await;
    let doubt = crate::bench::in_doubt(&claimed.stored);
    put(ledger, &put_of(&claimed.stored, Some(&claimed.lease), &moved(&claimed.stored.record, doubt))).await;
    let spent = async || ledger.account(0).await.unwrap().daily.unwrap().spent;
    assert_eq!((spent().await, summary(ledger, "n").await.credits), (PRICE, PRICE));
    let doubted = read(ledger, "n", "a").await;
    let refused = Record { credits: Credits::default(), ..moved(&doubted.record, State::Queued { due: None }) };
    put(ledger, &put_of(&doubted, None, &refused)).await;
    assert_eq!((spent().await, summary(ledger, "n").await.credits), (Credits::default(), Credits::default()));
    submission(ledger).await;
}

pub(crate) async fn a_job_that_waited_for_a_price_leaves_nothing_behind(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &[of_model("x", 0, "veo9")]).await;
    arrange(ledger, "n", BatchUpdate { budget: Some(Some(PRICE)), ..BatchUpdate::default() }).await;
    assert!(hindrance(ledger, None).await.1.is_some(), "it is looked at again");
    let waits = read(ledger, "n", "x").await;
    put(ledger, &put_of(&waits, None, &moved(&waits.record, State::Cancelled))).await;
    assert_eq!(hindrance(ledger, None).await, (Blocked::Work, None), "nobody waits for it any more");
    ledger.forget(Some(&batch("n"))).await.unwrap();
    priced(ledger).await;
    assert_eq!(hindrance(ledger, None).await, (Blocked::Work, None));
    while ledger.forget(None).await.unwrap() {}
    assert_eq!(ledger.batches().await.unwrap(), []);
}

pub(crate) async fn a_job_without_a_price_that_waits_for_a_time_keeps_its_wait(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &[of_model("x", 0, "veo9")]).await;
    arrange(ledger, "n", BatchUpdate { budget: Some(Some(PRICE)), ..BatchUpdate::default() }).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work, "it waits for a price");
    let job = read(ledger, "n", "x").await;
    let due = job.now + 60 * LONG;
    put(ledger, &put_of(&job, None, &moved(&job.record, State::Queued { due: Some(due) }))).await;
    // Whatever may be the end of waiting for a price.
    let mut list = prices();
    list.by_class.push(("veo9/720p".into(), PRICE));
    ledger.update_account(&AccountUpdate { prices: Some(prices()), ..AccountUpdate::default() }).await.unwrap();
    ledger.update_account(&AccountUpdate { prices: Some(list), ..AccountUpdate::default() }).await.unwrap();
    ledger.update_account(&AccountUpdate { daily: Some(None), ..AccountUpdate::default() }).await.unwrap();
    arrange(ledger, "n", BatchUpdate { budget: Some(None), ..BatchUpdate::default() }).await;
    assert_eq!(hindrance(ledger, None).await, (Blocked::Work, Some(due)));
}

pub(crate) async fn a_job_without_a_price_goes_once_no_budget_needs_one(bench: &Bench) {
    let ledger = &bench.ledger;
    priced(ledger).await;
    admit(ledger, "n", &[of_model("x", 0, "veo9")]).await;
    admit(ledger, "m", &[of_model("y", 0, "veo9")]).await;
    arrange(ledger, "n", BatchUpdate { budget: Some(Some(PRICE)), ..BatchUpdate::default() }).await;
    let daily = Some(Some(DailyBudget { credits: PRICE, zone: "UTC".into() }));
    ledger.update_account(&AccountUpdate { daily, ..AccountUpdate::default() }).await.unwrap();
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    arrange(ledger, "n", BatchUpdate { budget: Some(None), ..BatchUpdate::default() }).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work, "there is the day's still");
    ledger.update_account(&AccountUpdate { daily: Some(None), ..AccountUpdate::default() }).await.unwrap();
    let both = [submission(ledger).await, submission(ledger).await].map(|claimed| claimed.stored.key.job.to_string());
    assert!(both.contains(&"x".to_owned()) && both.contains(&"y".to_owned()), "{both:?}");
    // And where it was only a batch's.
    admit(ledger, "o", &[of_model("z", 0, "veo9")]).await;
    arrange(ledger, "o", BatchUpdate { budget: Some(Some(PRICE)), ..BatchUpdate::default() }).await;
    assert_eq!(hindrance(ledger, None).await.0, Blocked::Work);
    arrange(ledger, "o", BatchUpdate { budget: Some(None), ..BatchUpdate::default() }).await;
    assert_eq!(submission(ledger).await.stored.key.job.as_str(), "z");
}
