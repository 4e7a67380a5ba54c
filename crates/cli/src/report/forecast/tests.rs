use std::collections::BTreeMap;
use std::sync::Arc;

use veobatch_core::{Event, JobId, JobKey, Spec, Start};
use veobatch_ledger::{Admission, Lookup, NewJob, SqliteLedger};

use super::text::closed;
use super::*;
use crate::session::orders::{Order, order};

fn at(text: &str) -> Timestamp {
    Start::parse(text).unwrap().at()
}

fn batch(name: &str, queued: u64, schedule: &str) -> BatchSummary {
    BatchSummary {
        batch: BatchId::parse(name).unwrap(),
        counts: BTreeMap::from([(StateName::Queued, queued)]),
        paused: false,
        paused_because: None,
        cancelling: false,
        created: Timestamp::default(),
        rested: None,
        terms: BatchSettings { schedule: schedule.to_owned(), ..BatchSettings::default() },
        credits: Credits::default(),
    }
}

fn forecasts(now: &str, batches: Vec<BatchSummary>) -> Forecasts {
    Forecasts { batches, now: at(now), ..Forecasts::usual() }
}

#[test]
fn what_a_video_usually_takes_is_of_all_kinds_that_were_seen() {
    let table = |seconds: u64, count: u64| {
        let mut table = Durations::default();
        for _ in 0..count {
            table.add(Duration::from_secs(seconds));
        }
        table
    };
    let kind = |name: &str| VideoKind::from_stored(name.to_owned());
    let known = [(kind("a"), table(150, 200)), (kind("b"), table(50, 200)), (kind("c"), Durations::default())];
    let all = typical(&known).unwrap().as_secs();
    assert!((95..=105).contains(&all), "{all}");
    assert_eq!(typical(&known[2..]), None);
}

const NIGHT: &str = "window 22:00-06:00 Europe/Berlin";

#[test]
fn how_much_fits_into_the_night_is_told_in_the_words_of_its_zone() {
    let night = batch("night", 50_000, NIGHT);
    let forecasts = forecasts("2026-11-23T17:00:00Z", vec![night.clone(), batch("small", 1_000, "")]);
    assert_eq!(
        forecasts.known(&night).unwrap().words(),
        "night: about 31,000 of 50,000 jobs fit into tonight's window (22:00-06:00 Europe/Berlin), at 20 per 10 s and 100 \
         in flight; estimated finish: 25 Nov, 02:46 Europe/Berlin"
    );
    let few = batch("few", 10, NIGHT);
    let words = forecasts.known(&few).unwrap().words();
    assert!(
        words.contains("all of 10 jobs fit into tonight's window") && words.contains("estimated finish: 23 Nov, 22:01"),
        "{words}"
    );
    let json = forecasts.known(&night).unwrap().document();
    assert_eq!((json["fits"].as_u64(), json["opens"].as_str()), (Some(31_000), Some("2026-11-23T21:00:00Z")));
}

#[test]
fn a_closed_window_is_told_while_it_is_waited_for() {
    let (day, night) = (at("2026-11-23T17:00:00Z"), at("2026-11-23T22:00:00Z"));
    let both = [batch("open", 5, ""), batch("night", 5, NIGHT)];
    let words = "night: nothing is submitted before 23 Nov, 22:00 Europe/Berlin";
    assert_eq!(closed(&both, day).as_deref(), Some(words));
    assert_eq!(closed(&both, night), None);
    assert_eq!(closed(&[batch("night", 0, NIGHT), batch("t", 5, "cron 0 22 * * * UTC since 0")], day), None);
}

#[test]
fn what_is_asked_for_a_new_batch_counts() {
    let forecasts = forecasts("2026-11-23T23:00:00Z", vec![batch("night", 5, "")]);
    let window = veobatch_producer::Setting::parse("22:00-06:00 Europe/Berlin", veobatch_core::Window::parse).unwrap();
    let asked = BatchOptions { window, ..BatchOptions::default() };
    let words = forecasts.with(&BatchId::parse("night").unwrap(), 5, None, &asked).unwrap().words();
    assert!(words.contains("all of 10 jobs fit into the current window"), "{words}");
    let open = forecasts.with(&BatchId::parse("other").unwrap(), 5, None, &BatchOptions::default()).unwrap();
    assert_eq!(
        open.words(),
        "other: 5 jobs to submit, at 20 per 10 s and 100 in flight; estimated finish: 23 Nov, 23:01 UTC"
    );
    assert_eq!(open.document()["closes"], Value::Null);
}

#[test]
fn the_pace_that_is_named_is_the_one_that_is_reckoned_with() {
    let words = |line: &str| {
        let crate::commands::Command::Check(check) = crate::args::parse(line).unwrap().command else { panic!() };
        let forecasts = forecasts("2026-11-23T23:00:00Z", Vec::new()).paced(&check.pace);
        forecasts.with(&BatchId::parse("few").unwrap(), 100, None, &BatchOptions::default()).unwrap().words()
    };
    let told = words("check few.yaml --rate 1/10s --max-in-flight 3");
    assert!(told.contains("at 1 per 10 s and 3 in flight; estimated finish: 23 Nov, 23:51"), "{told}");
    assert!(words("check few.yaml --rate 2/s").contains("at 2 per 1 s and 100 in flight"));
    assert!(words("check few.yaml --max-in-flight 3").contains("at 20 per 10 s and 3 in flight"));
}

#[test]
fn a_budget_that_ends_before_the_jobs_do_is_told() {
    let used = Credits::whole(1_250);
    let known = BatchSummary { credits: used, ..batch("night", 90, "") };
    let mut forecasts = forecasts("2026-11-23T23:00:00Z", vec![known.clone()]);
    let budget = veobatch_producer::Setting::Set(Credits::whole(5_000));
    let asked = BatchOptions { budget, ..BatchOptions::default() };
    let with = |forecasts: &Forecasts, name: &str, asked: &BatchOptions| {
        let expected = forecasts.with(&BatchId::parse(name).unwrap(), 10, Some(Credits::whole(60)), asked).unwrap();
        (expected.words(), expected.document()["affordable"].as_u64())
    };
    let left = "; the rest of its budget of 5,000 credits covers about 62 of them";
    let (words, jobs) = with(&forecasts, "night", &asked);
    assert!(words.ends_with(left) && jobs == Some(62), "{words}");
    for (name, asked) in [("night", &BatchOptions::default()), ("other", &asked)] {
        let (words, jobs) = with(&forecasts, name, asked);
        assert!(!words.contains("budget") && jobs.is_none(), "{words}");
    }
    // As `status` has it: a budget of its own, and the price of its next job, if that is known.
    let terms = BatchSettings { budget: Some(Credits::whole(5_000)), ..BatchSettings::default() };
    let known = BatchSummary { terms, ..known };
    assert!(!forecasts.known(&known).unwrap().words().contains("budget"));
    forecasts.next.insert("night".to_owned(), Credits::whole(60));
    assert!(forecasts.known(&known).unwrap().words().ends_with(left));
    assert!(
        forecasts
            .known(&BatchSummary { credits: Credits::default(), ..known })
            .unwrap()
            .words()
            .ends_with("83 of them")
    );
}

#[tokio::test]
async fn batches_at_rest_cost_no_forecast_anything_unless_they_are_named() {
    let ledger = SqliteLedger::in_memory(Arc::new(|| Timestamp::from_millis(1_000_000))).unwrap();
    let (admission, job) = (Admission::random(), JobId::parse("1").unwrap());
    let [rested, moving] = ["rested", "moving"].map(|name| BatchId::parse(name).unwrap());
    for batch in [&rested, &moving] {
        ledger.stage(&admission, batch, &[NewJob { id: job.clone(), spec: Spec::default() }]).await.unwrap();
    }
    ledger.publish(&admission, &[rested.clone(), moving], None).await.unwrap();
    let stored = ledger.find(Lookup::Name(&JobKey { batch: rested.clone(), job })).await.unwrap().unwrap();
    order(&ledger, stored, Order::all(&Event::Cancel)).await.unwrap();
    for (named, all) in [(&[][..], &["moving"][..]), (&[rested], &["moving", "rested"])] {
        let forecasts = Forecasts::of(&ledger, named).await.unwrap();
        let names: Vec<&str> = forecasts.batches.iter().map(|batch| batch.batch.as_str()).collect();
        assert_eq!(names, all);
    }
}

#[test]
fn a_template_tells_its_next_run() {
    let mut forecasts = forecasts("2026-11-23T12:00:00Z", Vec::new());
    let template = |queued| batch("t", queued, "cron 0 22 * * 1-5 Europe/Berlin since 0");
    let words = |batch: &BatchSummary| forecasts.known(batch).unwrap().words();
    assert_eq!(
        words(&template(3)),
        "t: recurring (0 22 * * 1-5 Europe/Berlin): next run 23 Nov, 22:00 Europe/Berlin, with 3 jobs"
    );
    assert!(words(&template(0)).contains("ended"));
    let terms = BatchSettings { budget: Some(Credits::whole(100)), ..template(3).terms };
    let limited = BatchSummary { terms, credits: Credits::whole(99), ..template(3) };
    forecasts.next.insert("t".to_owned(), Credits::whole(60));
    let words = forecasts.known(&limited).unwrap().words();
    assert!(words.ends_with("with 3 jobs; its budget of 100 credits covers about 1 of them"), "{words}");
    let words = |batch: &BatchSummary| forecasts.known(batch).unwrap().words();
    assert!(words(&BatchSummary { paused: true, ..template(3) }).contains("paused"));
}
