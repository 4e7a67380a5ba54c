//! Checked jobs on their way into a ledger: all or none, once, in order.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::files::Files;
use veobatch_core::{BatchId, BatchSettings, Credits, Prices, Schedule, Window};
use veobatch_ledger::{BatchUpdate, JobFilter, SharedLedger, SqliteLedger};
use veobatch_producer::{
    AdmitError, BatchOptions, Compared, Setting, Source, admit, check, compare, compare_first, update_batch,
    update_batches,
};

async fn ledger(files: &Files) -> SharedLedger {
    let Source::File(path) = files.path("ledger.db") else { panic!() };
    Arc::new(SqliteLedger::open(&path).await.unwrap())
}

/// The prompts of a batch's published jobs, in order.
async fn prompts(ledger: &SharedLedger, batch: &str) -> Vec<String> {
    let batch = BatchId::parse(batch).unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.page(&batch, JobFilter::All, after.as_ref(), 1000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.key.job.clone());
        all.extend(page.into_iter().map(|stored| stored.spec.prompt));
    }
}

fn lines(numbers: impl IntoIterator<Item = u32>) -> String {
    numbers.into_iter().fold(String::new(), |lines, n| lines + &format!("{{\"prompt\":\"p{n}\"}}\n"))
}

fn expected(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("p{n}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_admitted_twice_adds_nothing_and_keeps_its_order() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let source = files.write("a.jsonl", lines(0..2500));
    for (new, known) in [(2500, 0), (0, 2500)] {
        let seen = Cell::new(0);
        let admitted =
            admit(&ledger, check(std::slice::from_ref(&source)).unwrap(), None, |n| seen.set(n)).await.unwrap();
        assert_eq!((admitted[0].new, admitted[0].known, seen.get()), (new, known, 2500));
        assert_eq!(prompts(&ledger, "a").await, expected(0..2500));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_lines_inserted_at_the_top_add_ten() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    admit(&ledger, check(&[files.write("a.jsonl", lines(10..500))]).unwrap(), None, |_| ()).await.unwrap();
    let checked = check(&[files.write("a.jsonl", lines(0..500))]).unwrap();
    let comparison = compare(&*ledger, &checked).await.unwrap();
    assert_eq!((comparison.batches[0].new, comparison.batches[0].known), (10, 490));
    assert_eq!(comparison.estimate(&Prices::default()).credits, Credits::whole(600));
    let admitted = admit(&ledger, checked, None, |_| ()).await.unwrap();
    assert_eq!((admitted[0].new, admitted[0].known), (10, 490));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_id_with_other_content_is_told_with_its_place_and_nothing_is_visible() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let first = files.write("a.jsonl", "{\"id\":\"one\",\"prompt\":\"x\"}\n");
    admit(&ledger, check(&[first]).unwrap(), None, |_| ()).await.unwrap();
    let changed =
        files.write("a.jsonl", "{\"prompt\":\"new\"}\n{\"id\":\"one\",\"prompt\":\"y\"}\n{\"prompt\":\"z\"}\n");
    let other = files.write("b.jsonl", "{\"prompt\":\"b\"}\n");
    let checked = check(&[other, changed]).unwrap();
    let told = compare(&*ledger, &checked).await.unwrap().conflicts.to_string();
    let Err(AdmitError::Conflicts(conflicts)) = admit(&ledger, checked, None, |_| ()).await else { panic!() };
    assert_eq!(conflicts.to_string(), told);
    assert!(told.contains("a.jsonl:2:7: this id exists in batch a with another prompt: \"one\""), "{told}");
    assert_eq!(prompts(&ledger, "a").await, ["x"]);
    assert_eq!(ledger.batches().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_admits_the_first_new_jobs_in_order_and_known_ones_do_not_count() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let source = files.write("a.jsonl", lines(0..600));
    let other = files.write("b.yaml", "batch: b\ndefaults: {model: veo3}\njobs: [last]\n");
    let sources = [source, other];
    for (limit, new, total) in [(3, 3, 3), (250, 250, 253), (340, 340, 593), (8, 7, 600)] {
        let checked = check(&sources).unwrap();
        let comparison = compare_first(&*ledger, &checked, Some(limit)).await.unwrap();
        assert_eq!(comparison.admitted(), limit);
        let cost = Credits::whole(i64::try_from(60 * new).unwrap() + if limit > new { 250 } else { 0 });
        assert_eq!(comparison.estimate(&Prices::default()).credits, cost);
        let [first, second] = comparison.batches.as_slice() else { panic!() };
        assert_eq!((first.admitted, second.admitted), (new, limit - new));
        let each = |batch: &Compared| batch.estimate(&Prices::default()).each();
        let dear = (limit > new).then_some(Credits::whole(250));
        assert_eq!((each(first), each(second)), (Some(Credits::whole(60)), dear));
        let admitted = admit(&ledger, checked, Some(limit), |_| ()).await.unwrap();
        assert_eq!((admitted[0].new, admitted[1].new), (new, limit - new));
        assert_eq!(prompts(&ledger, "a").await, expected(0..total));
    }
    assert_eq!(prompts(&ledger, "b").await, ["last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_admissions_to_one_batch_take_turns() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let (one, two) = (files.write("a.jsonl", lines(0..3000)), files.write("b.yaml", "batch: a\njobs: [x, y]\n"));
    let (one, two) = (check(&[one]).unwrap(), check(&[two]).unwrap());
    let (one, two) = tokio::join!(admit(&ledger, one, None, |_| ()), admit(&ledger, two, None, |_| ()));
    assert_eq!((one.unwrap()[0].new, two.unwrap()[0].new), (3000, 2));
    assert_eq!(prompts(&ledger, "a").await.len(), 3002);
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_hold_with_the_first_job_and_change_only_as_far_as_they_are_named() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let text = |top: &str, jobs: &str| format!("batch: night\n{top}\njobs: [{jobs}]\n");
    let terms = async || ledger.batches().await.unwrap().remove(0).terms;
    let first = files.write("a.yaml", text("weight: 3\nbudget: 600\nwindow: 22:00-06:00 Europe/Berlin", "a"));
    let admitted = admit(&ledger, check(&[first]).unwrap(), None, |_| ()).await.unwrap();
    let words = ["weight 3 (was 1)", "budget 600 (was none)", "window 22:00-06:00 Europe/Berlin (was none)"];
    assert_eq!(admitted[0].settings, words);
    let now = ledger.info().await.unwrap().now;
    let before = terms().await;
    let schedule = Schedule::parse("window 22:00-06:00 Europe/Berlin").unwrap();
    assert_eq!((before.weight, before.budget, before.schedule), (3, Some(Credits::whole(600)), schedule.to_string()));
    assert_eq!(before.range, schedule.open_range(now));
    // Nothing new, and other terms: only those that are named.
    let again = check(&[files.write("a.yaml", text("priority: 5\nwindow: none", "a"))]).unwrap();
    let updated = update_batches(&*ledger, &again).await.unwrap();
    assert_eq!(updated[0].changes, ["priority 5 (was 0)", "window none (was 22:00-06:00 Europe/Berlin)"]);
    assert!(update_batches(&*ledger, &again).await.unwrap().is_empty());
    assert!(admit(&ledger, again, None, |_| ()).await.unwrap()[0].settings.is_empty());
    let after = BatchSettings { weight: 3, priority: 5, budget: Some(Credits::whole(600)), ..BatchSettings::default() };
    assert_eq!(terms().await, after);
    // A file that says nothing of them leaves them alone; a batch that is not there gets none.
    let silent = check(&[files.write("a.yaml", text("", "a, b"))]).unwrap();
    assert!(admit(&ledger, silent, None, |_| ()).await.unwrap()[0].settings.is_empty());
    assert_eq!(terms().await, after);
    let other = check(&[files.write("b.yaml", "weight: 9\njobs: [c]\n")]).unwrap();
    assert!(update_batches(&*ledger, &other).await.unwrap().is_empty());
}

/// Otherwise that run would be due again, and paid for again if it was forgotten meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_does_not_undo_the_run_that_a_worker_makes_meanwhile() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let file = files.write("a.yaml", "batch: daily\ncron: 0 22 * * * UTC\njobs: [a]\n");
    admit(&ledger, check(&[file]).unwrap(), None, |_| ()).await.unwrap();
    let terms = async || ledger.batches().await.unwrap().remove(0).terms;
    let (batch, read, now) = (BatchId::parse("daily").unwrap(), terms().await, ledger.info().await.unwrap().now);
    // A worker has dealt with the instants of the next two days.
    let later = now + Duration::from_secs(2 * 24 * 3600);
    let schedule = Schedule::parse(&read.schedule).unwrap();
    let advanced = Schedule { cron: schedule.cron.map(|cron| cron.since(later)), ..schedule }.to_string();
    assert_ne!(advanced, read.schedule);
    let advance = BatchUpdate { schedule: Some(advanced.clone()), ..BatchUpdate::default() };
    ledger.update_batch(&batch, &advance).await.unwrap();

    let window = Setting::Set(Window::parse("22:00-06:00 UTC").unwrap());
    let asked = BatchOptions { window, weight: Some(3), ..BatchOptions::default() };
    let changes = update_batch(&*ledger, &batch, &read, &asked, now).await.unwrap();
    assert_eq!(changes, ["weight 3 (was 1)", "window 22:00-06:00 UTC (was none)"]);
    let after = terms().await;
    let (is, was) = (Schedule::parse(&after.schedule).unwrap(), Schedule::parse(&advanced).unwrap());
    assert_eq!((is.cron, is.window.is_some(), after.weight), (was.cron, true, 3));
}
