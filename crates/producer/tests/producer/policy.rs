//! What files say anew of how to work at known jobs; and what another program would make of what they leave out.

use std::sync::Arc;

use veobatch_core::{
    AspectRatio, BatchId, Credits, Event, Files as Written, PollPolicy, Prices, Record, Resolution, State, Task,
    TaskId, Timestamp,
};
use veobatch_ledger::{
    Change, Compaction, JobFilter, JobRef, NoRetry, Nonce, Put, SharedLedger, SqliteLedger, Stored, change,
};
use veobatch_producer::{Defaults, PolicyChange, Source, admit, check, check_with, compare, restate};

use crate::files::Files;

async fn ledger(files: &Files) -> SharedLedger {
    let Source::File(path) = files.path("ledger.db") else { panic!() };
    Arc::new(SqliteLedger::open(&path).await.unwrap())
}

async fn jobs(ledger: &SharedLedger) -> Vec<Stored> {
    ledger.page(&BatchId::parse("a").unwrap(), JobFilter::All, None, 1000).await.unwrap()
}

fn change_of(field: &'static str, from: i64, to: i64, jobs: u64) -> PolicyChange {
    PolicyChange { field, from, to, jobs }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_says_anew_is_foreseen_set_once_and_adds_nothing() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let lines = |more: &str| (0..900).fold(String::new(), |all, n| all + &format!("{{\"prompt\":\"p{n}\"{more}}}\n"));
    admit(&ledger, check(&[files.write("a.jsonl", lines(""))]).unwrap(), None, |_| ()).await.unwrap();
    let one = &jobs(&ledger).await[7];
    let by_hand = Event::Prioritize(10);
    let order = Change { event: &by_hand, lease: None, settle: None, jitter: 0.5, policy: &PollPolicy::default() };
    change(&*ledger, one.clone(), &order, &mut NoRetry).await.unwrap();

    let again = files.write("a.jsonl", lines(",\"max_attempts\":2,\"priority\":3") + "{\"prompt\":\"new\"}\n");
    let comparison = compare(&*ledger, &check(std::slice::from_ref(&again)).unwrap()).await.unwrap();
    let batch = &comparison.batches[0];
    let expected =
        [change_of("max_attempts", 1, 2, 900), change_of("priority", 0, 3, 899), change_of("priority", 10, 3, 1)];
    assert_eq!((batch.new, batch.known, batch.policy.as_slice()), (1, 900, expected.as_slice()));
    assert!(jobs(&ledger).await.iter().all(|job| job.record.max_attempts == 1), "looking sets nothing");
    let admitted = admit(&ledger, check(std::slice::from_ref(&again)).unwrap(), None, |_| ()).await.unwrap();
    assert_eq!((admitted[0].new, admitted[0].policy.as_slice()), (1, expected.as_slice()));
    let stored = jobs(&ledger).await;
    assert!(stored[..900].iter().all(|job| (job.record.max_attempts, job.record.priority) == (2, 3)));
    // Said once, it is not said anew again.
    let checked = check(std::slice::from_ref(&again)).unwrap();
    assert!(compare(&*ledger, &checked).await.unwrap().batches[0].policy.is_empty());
    assert!(restate(&*ledger, &checked).await.unwrap().is_empty());
    assert!(admit(&ledger, checked, None, |_| ()).await.unwrap()[0].policy.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn known_jobs_are_worked_at_as_the_file_says_also_with_a_limit_or_without_new_ones() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let text = |defaults: &str| format!("defaults: {{{defaults}}}\njobs: [{{id: x, prompt: x}}, y, z]\n");
    let first = check(&[files.write("a.yaml", text(""))]).unwrap();
    admit(&ledger, first, Some(2), |_| ()).await.unwrap();
    let again = check(&[files.write("a.yaml", text("max_attempts: 2"))]).unwrap();
    let admitted = admit(&ledger, again, Some(0), |_| ()).await.unwrap();
    assert_eq!((admitted[0].new, &admitted[0].policy), (0, &vec![change_of("max_attempts", 1, 2, 2)]));
    let back = check(&[files.write("a.yaml", text("priority: 4"))]).unwrap();
    let set = restate(&*ledger, &back).await.unwrap();
    assert_eq!(set[0].1, [change_of("max_attempts", 2, 1, 2), change_of("priority", 0, 4, 2)]);
    assert_eq!(jobs(&ledger).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_sets_nothing_and_never_is_one_of_how_to_work() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let text = |more: &str, prompt: &str| {
        format!("defaults: {{{more}}}\njobs: [{{id: x, prompt: x}}, {{id: y, prompt: {prompt}}}]\n")
    };
    admit(&ledger, check(&[files.write("a.yaml", text("", "y"))]).unwrap(), None, |_| ()).await.unwrap();
    let other = check(&[files.write("a.yaml", text("max_attempts: 2", "other"))]).unwrap();
    let told = compare(&*ledger, &other).await.unwrap().conflicts.to_string();
    assert!(told.contains("this id exists in batch a with another prompt"), "{told}");
    assert!(!told.contains("max_attempts"), "{told}");
    admit(&ledger, other, None, |_| ()).await.unwrap_err();
    assert!(jobs(&ledger).await.iter().all(|job| job.record.max_attempts == 1));
}

/// A later program, whose defaults for new files are others.
fn tomorrow() -> Defaults {
    Defaults { model: "veo9".into(), aspect_ratio: AspectRatio::Portrait, resolution: Resolution::P1080 }
}

/// Brings a job to its end and makes it compact, so that only a digest of its content is left.
async fn finish(ledger: &SharedLedger, stored: &Stored) {
    let task = Task { id: TaskId::parse("t").unwrap(), attempt: 1, at: Timestamp::from_millis(7) };
    let record = Record { state: State::Done { task, files: Written::Usual(1) }, ..stored.record.clone() };
    let (job, nonce): (JobRef, _) = (stored.job, Nonce::random());
    let (body, facets) = (record.body(), record.facets());
    let version = stored.version;
    let put = Put { job, version, fence: None, nonce, body, facets, task: None, settle: None, spec: None };
    let version = ledger.put(&put).await.unwrap();
    let body = record.compact().unwrap();
    assert_eq!(ledger.compact(&[Compaction { job, version, body }]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_default_of_the_program_changes_no_known_job_no_digest_and_no_price() {
    let files = Files::new();
    let ledger = ledger(&files).await;
    let lines = "{\"prompt\":\"x\"}\n{\"id\":\"y\",\"prompt\":\"y\"}\n{\"prompt\":\"z\",\"model\":\"veo9\"}\n";
    let file = files.write("a.jsonl", lines);
    admit(&ledger, check(std::slice::from_ref(&file)).unwrap(), None, |_| ()).await.unwrap();
    let before = jobs(&ledger).await;
    finish(&ledger, &before[1]).await;

    // The same file in the hands of tomorrow's program: all is known, and is what it was.
    let checked = check_with(std::slice::from_ref(&file), tomorrow()).unwrap();
    let comparison = compare(&*ledger, &checked).await.unwrap();
    assert_eq!((comparison.batches[0].new, comparison.batches[0].known), (0, 3));
    assert!(comparison.conflicts.is_empty() && comparison.batches[0].policy.is_empty());
    assert_eq!(admit(&ledger, checked, None, |_| ()).await.unwrap()[0].new, 0);
    let after = jobs(&ledger).await;
    for n in [0, 2] {
        assert_eq!(
            (&after[n].spec, &after[n].record, after[n].version),
            (&before[n].spec, &before[n].record, before[n].version)
        );
        assert_eq!(after[n].spec.price_class(), before[n].spec.price_class());
    }
    assert_eq!(after[0].spec.price_class(), "veo3_fast/720p");

    // What is new there is made as that program makes it, stays so, and is known to every other program.
    let longer = files.write("a.jsonl", format!("{lines}{{\"prompt\":\"w\"}}\n"));
    let checked = check_with(std::slice::from_ref(&longer), tomorrow()).unwrap();
    let estimate = compare(&*ledger, &checked).await.unwrap().estimate(&Prices::default());
    assert_eq!((estimate.credits, estimate.unpriced["veo9"]), (Credits::default(), 1));
    assert_eq!(admit(&ledger, checked, None, |_| ()).await.unwrap()[0].new, 1);
    let new = jobs(&ledger).await.remove(3);
    assert_eq!((new.spec.price_class().as_str(), new.spec.aspect_ratio), ("veo9/1080p", AspectRatio::Portrait));
    assert_eq!(new.record.resolution, Resolution::P1080);
    for defaults in [Defaults::default(), tomorrow(), Defaults { model: "veo10".into(), ..tomorrow() }] {
        let checked = check_with(std::slice::from_ref(&longer), defaults).unwrap();
        let comparison = compare(&*ledger, &checked).await.unwrap();
        assert_eq!((comparison.batches[0].new, comparison.batches[0].known), (0, 4));
        assert!(comparison.conflicts.is_empty());
        admit(&ledger, checked, None, |_| ()).await.unwrap();
        assert_eq!(jobs(&ledger).await.remove(3).spec, new.spec);
    }
    // It is still what it was when its file says how to work at it.
    let worked = files.write("a.jsonl", format!("{lines}{{\"prompt\":\"w\",\"max_attempts\":2}}\n"));
    let set = restate(&*ledger, &check(&[worked]).unwrap()).await.unwrap();
    assert_eq!(set[0].1, [change_of("max_attempts", 1, 2, 1)]);
    let worked = jobs(&ledger).await.remove(3).spec;
    assert_eq!((worked.price_class(), worked.content()), (new.spec.price_class(), new.spec.content()));
}
