//! A whole ledger, exported and imported: nothing is lost on the way, and never can both submit.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use veobatch_core::{Credits, Lane, Record, State, StateName, TimeRange};
use veobatch_ledger::{
    Account, AccountUpdate, Admission, BatchFlag, BatchUpdate, Batches, Binding, DailyBudget, Day, JobFilter,
    LedgerError, LedgerUrl, Lookup, Moving, SharedLedger, Stored, SubmissionClaim, check, export,
};

use crate::bench::{
    Bench, LONG, accepted, admit, batch, claim, downloading, ending, generating, generating_job, in_doubt, job, jobs,
    key, new_token, put, put_of, ranked, read, submission, submission_for, task, token, try_submission,
};
use crate::compaction::{compaction, finish};
use crate::store_itself::{Part, overwrite};
use crate::terms::prices;

/// Every state, and what stands beside.
async fn fill(bench: &Bench) {
    let ledger = &bench.ledger;
    ledger.bind("https://api.example", &|_: &[u8]| "print".to_owned(), Binding::Bind).await.unwrap();
    let daily = DailyBudget { credits: Credits::from_millis(9_000_000), zone: "UTC".into() };
    let settings = AccountUpdate { daily: Some(Some(daily)), ..AccountUpdate::default() };
    ledger.update_account(&AccountUpdate { prices: Some(prices()), ..AccountUpdate::default() }).await.unwrap();
    admit(ledger, "Night", &[job("in-doubt"), job("Under-Way")]).await;
    let claimed = submission(ledger).await;
    put(ledger, &ending(&claimed, in_doubt(&claimed.stored))).await;
    submission_for(ledger, &token(77), None, Duration::ZERO).await;
    for id in ["generating", "downloading", "failed", "done", "compact", "late"] {
        generating_job(ledger, "day", id).await;
    }
    let moved = |stored: &Stored, state| Record { state, ..stored.record.clone() };
    let stored = read(ledger, "day", "downloading").await;
    put(ledger, &put_of(&stored, None, &moved(&stored, downloading("task-day-downloading", stored.now)))).await;
    for id in ["done", "compact", "late"] {
        let done = finish(ledger, "day", id).await;
        if id != "done" {
            assert_eq!(ledger.compact(&[compaction(&done)]).await.unwrap(), 1);
        }
    }
    // Compact once, and whole again but for its spec.
    let late = read(ledger, "day", "late").await;
    put(ledger, &put_of(&late, None, &late.record)).await;
    admit(
        ledger,
        "queue",
        &[job("plain"), ranked("first", 9), ranked("last", -3), job("later"), job("bad"), job("worse")],
    )
    .await;
    let later = read(ledger, "queue", "later").await;
    let due = Some(later.now + LONG);
    put(ledger, &put_of(&later, None, &moved(&later, State::Queued { due }))).await;
    overwrite(bench, "queue", "bad", Part::Spec, b"{\"p\":\"\xff\"}").await;
    overwrite(bench, "day", "failed", Part::Body, br#"{"s":{"dreaming":{}}}"#).await;
    ledger.page(&batch("queue"), JobFilter::All, None, 9).await.unwrap();
    ledger
        .update_batch(&batch("queue"), &BatchUpdate { weight: Some(3), priority: Some(-2), ..BatchUpdate::default() })
        .await
        .unwrap();
    ledger.update_batch(&batch("queue"), &BatchFlag::PausedBecause("a reason".into()).into()).await.unwrap();
    ledger.update_account(&settings).await.unwrap();
    let day = Day { zone: "UTC".into(), range: TimeRange { from: later.now, until: later.now + 60 * LONG } };
    ledger.update_account(&AccountUpdate { day: Some(day), ..AccountUpdate::default() }).await.unwrap();
    ledger.update_account(&AccountUpdate { poll_rate: Some(77), ..AccountUpdate::default() }).await.unwrap();
    ledger.hear(later.now).await.unwrap();
}

/// An empty ledger of the other kind.
async fn other_kind(bench: &Bench) -> Bench {
    if bench.file().is_some() { Bench::empty_redis().await } else { Bench::empty_sqlite().await }
}

async fn export_to(bench: &Bench, name: &str) -> PathBuf {
    let path = bench.directory().path().join(name);
    let mut lines = Vec::new();
    export(bench.url(), &mut lines).await.unwrap();
    fs::write(&path, lines).unwrap();
    path
}

/// What there is between the first line and the last, in an order of its own.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let all: Vec<&str> = text.lines().collect();
    let mut lines: Vec<String> = all[1..all.len() - 1].iter().map(|line| (*line).to_owned()).collect();
    lines.sort();
    lines
}

async fn begin(file: &Path, source: Option<&LedgerUrl>, target: &LedgerUrl) -> Result<Option<Moving>, LedgerError> {
    Moving::begin(check(file)?, source, target).await
}

async fn import(file: &Path, source: &Bench, target: &Bench) {
    begin(file, Some(source.url()), target.url()).await.unwrap().unwrap().finish(|_| ()).await.unwrap();
}

fn refused<T: std::fmt::Debug>(result: Result<T, LedgerError>, words: &str) {
    let Err(LedgerError::Transfer(why)) = result else { panic!("{result:?}") };
    assert!(why.contains(words), "{why}");
}

pub(crate) async fn everything_goes_along_to_the_other_kind_and_back(bench: &Bench) {
    fill(bench).await;
    let granted = async |ledger: &SharedLedger| ledger.info().await.unwrap().identity.grants;
    let before = granted(&bench.ledger).await;
    let there = other_kind(bench).await;
    let first = export_to(bench, "first.jsonl").await;
    assert_eq!(lines(&first), lines(&export_to(bench, "again.jsonl").await), "an export changes nothing");
    import(&first, bench, &there).await;
    let second = export_to(&there, "second.jsonl").await;
    assert_eq!(lines(&first), lines(&second));
    let back = other_kind(&there).await;
    import(&second, &there, &back).await;
    assert_eq!(lines(&first), lines(&export_to(&back, "third.jsonl").await));
    // Each move counts as a grant, on either side: whatever was copied before has fewer.
    if let Some(before) = before {
        let after = (granted(&bench.ledger).await, granted(&back.reopen().await.unwrap()).await);
        assert_eq!(after, (Some(before + 1), Some(before + 2)));
    }
}

/// What a person sees of jobs.
async fn seen(ledger: &SharedLedger, name: &str) -> Vec<(String, StateName, u64)> {
    let page = ledger.page(&batch(name), JobFilter::All, None, 100).await.unwrap();
    page.into_iter().map(|job| (job.key.job.to_string(), job.record.state.name(), job.version.0)).collect()
}

pub(crate) async fn what_was_imported_is_worked_on_as_before(bench: &Bench) {
    fill(bench).await;
    let there = other_kind(bench).await;
    import(&export_to(bench, "all.jsonl").await, bench, &there).await;
    let (old, new) = (&bench.ledger, &there.reopen().await.unwrap());
    assert_eq!(old.info().await.unwrap().identity.id, new.info().await.unwrap().identity.id);
    assert!(matches!(
        new.bind("https://api.example", &|_: &[u8]| "other".to_owned(), Binding::Bind).await,
        Err(LedgerError::Bound { .. })
    ));
    new.bind("https://api.example", &|_: &[u8]| "print".to_owned(), Binding::Bind).await.unwrap();
    for name in ["Night", "day", "queue"] {
        assert_eq!(seen(old, name).await, seen(new, name).await, "{name}");
    }
    let summary =
        |ledger: SharedLedger| async move { ledger.list(&Batches::All { after: None, limit: 9 }).await.unwrap() };
    assert_eq!(summary(old.clone()).await, summary(new.clone()).await);
    let account = new.account(0).await.unwrap();
    // Each kind tells the next slot to its own fraction of a millisecond.
    let Account { now, calendar, next_slot, .. } = account;
    let before = Account { now, calendar, next_slot, moved_to: None, ..old.account(0).await.unwrap() };
    assert_eq!(before, account);
    // Who was cut off is found, its attempt is known, and nobody gets that grant again.
    assert_eq!(new.owner(Lookup::Token(&token(77))).await.unwrap(), Some(key("Night", "Under-Way")));
    let again = new.claim_submission(&token(77), None, LONG, LONG).await;
    assert!(matches!(again, Err(LedgerError::LostLease)), "{again:?}");
    let mut followed = Vec::new();
    for _ in 0..2 {
        followed.push(claim(new, Lane::Follow, LONG).await.stored.key.job.to_string());
    }
    followed.sort();
    assert_eq!(followed, ["Under-Way", "generating"]);
    assert_eq!(claim(new, Lane::Save, LONG).await.stored.key, key("day", "downloading"));
    // Tasks are taken, and finished jobs are known by their content.
    assert_eq!(new.owner(Lookup::Task(&task("task-day-compact"))).await.unwrap(), Some(key("day", "compact")));
    let plain = read(new, "queue", "plain").await;
    let mut taken =
        put_of(&plain, None, &Record { state: generating("task-day-done", plain.now), ..plain.record.clone() });
    taken.task = Some(task("task-day-done"));
    assert!(matches!(new.put(&taken).await, Err(LedgerError::TaskTaken { .. })));
    let staged = admit(new, "day", &[job("compact"), job("late"), job("done"), job("new")]).await;
    assert_eq!((staged.known, staged.new, staged.conflicts.len()), (3, 1, 0));
    let other = ranked("compact", 0);
    let other = veobatch_ledger::NewJob { spec: veobatch_core::Spec { prompt: "other".into(), ..other.spec }, ..other };
    assert_eq!(new.compare(&batch("day"), &[other]).await.unwrap().conflicts.len(), 1);
    assert_eq!(new.unreadable(9).await.unwrap().len(), 2);
    // The queue goes on, in its order.
    assert!(
        matches!(try_submission(new).await, SubmissionClaim::Granted(claimed) if claimed.stored.key == key("day", "new"))
    );
    new.update_batch(&batch("queue"), &BatchFlag::Paused(false).into()).await.unwrap();
    for id in ["first", "plain", "worse", "last"] {
        assert_eq!(submission(new).await.stored.key, key("queue", id));
    }
}

pub(crate) async fn a_moved_ledger_changes_no_more_and_can_be_read(bench: &Bench) {
    let (ledger, there) = (&bench.ledger, other_kind(bench).await);
    let stored = generating_job(ledger, "n", "a").await;
    admit(ledger, "n", &[job("b")]).await;
    let held = claim(ledger, Lane::Follow, Duration::ZERO).await;
    let record = Record { state: downloading("task-n-a", stored.now), ..held.stored.record.clone() };
    put(ledger, &put_of(&held.stored, Some(&held.lease), &record)).await;
    let saving = claim(ledger, Lane::Save, Duration::ZERO).await;
    let file = export_to(bench, "all.jsonl").await;
    import(&file, bench, &there).await;

    let to = there.url().shown();
    let moved = |error: LedgerError| matches!(error, LedgerError::Moved { to: said } if said == to);
    assert!(moved(ledger.claim_submission(&new_token(), None, LONG, LONG).await.unwrap_err()));
    assert!(moved(ledger.claim(Lane::Follow, 1, LONG).await.unwrap_err()));
    assert!(moved(ledger.claim_upgrade(&saving.lease, &new_token(), None).await.unwrap_err()));
    assert!(moved(ledger.put(&put_of(&saving.stored, Some(&saving.lease), &record)).await.unwrap_err()));
    assert!(moved(ledger.stage(&Admission::random(), &batch("n"), &jobs("c", 1)).await.unwrap_err()));
    assert!(moved(ledger.update_batch(&batch("n"), &BatchFlag::Paused(true).into()).await.unwrap_err()));
    assert!(moved(ledger.update_batch(&batch("n"), &BatchUpdate::default()).await.unwrap_err()));
    assert!(moved(
        ledger.update_account(&AccountUpdate { max_in_flight: Some(1), ..AccountUpdate::default() }).await.unwrap_err()
    ));
    assert!(moved(
        ledger.update_account(&AccountUpdate { poll_rate: Some(1), ..AccountUpdate::default() }).await.unwrap_err()
    ));
    assert!(moved(ledger.forget(Some(&batch("n"))).await.unwrap_err()));
    let second = bench.reopen().await.unwrap();
    assert!(moved(second.bind("https://x", &|_: &[u8]| "key".to_owned(), Binding::Bind).await.unwrap_err()));
    assert!(moved(second.bind("https://x", &|_: &[u8]| "key".to_owned(), Binding::Check).await.unwrap_err()));
    for ledger in [ledger, &second] {
        assert_eq!(seen(ledger, "n").await.len(), 2);
        assert_eq!(ledger.batches().await.unwrap()[0].total(), 2);
        assert_eq!(ledger.account(0).await.unwrap().moved_to.as_deref(), Some(to.as_str()));
        assert!(ledger.account(0).await.is_ok() && ledger.unreadable(9).await.unwrap().is_empty());
    }
    let mut lines = Vec::new();
    assert!(moved(export(bench.url(), &mut lines).await.unwrap_err()));
}

pub(crate) async fn a_ledger_that_changed_since_its_export_is_not_moved(bench: &Bench) {
    let (ledger, there) = (&bench.ledger, other_kind(bench).await);
    admit(ledger, "n", &jobs("a", 2)).await;
    let file = export_to(bench, "all.jsonl").await;
    submission_and_end(ledger).await;
    refused(begin(&file, Some(bench.url()), there.url()).await, "changed since");
    submission_and_end(ledger).await;
    // Nothing is begun either.
    admit(&there.reopen().await.unwrap(), "n", &jobs("a", 1)).await;
}

/// A submission that is paid for, with nobody holding anything afterwards.
async fn submission_and_end(ledger: &SharedLedger) {
    let claimed = submission(ledger).await;
    let task = format!("task-{}", claimed.stored.key.job);
    put(ledger, &ending(&claimed, generating(&task, claimed.stored.now))).await;
}

/// Admits a job while the first line is written.
struct Disturber<'a> {
    ledger: Option<&'a SharedLedger>,
    lines: Vec<u8>,
}

impl std::io::Write for Disturber<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(ledger) = self.ledger.take() {
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(admit(ledger, "n", &jobs("late", 1)));
            });
        }
        self.lines.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) async fn an_export_is_as_of_one_moment_or_refused(bench: &Bench) {
    admit(&bench.ledger, "n", &jobs("a", 2)).await;
    let mut disturber = Disturber { ledger: Some(&bench.ledger), lines: Vec::new() };
    let exported = export(bench.url(), &mut disturber).await;
    if bench.file().is_some() {
        assert_eq!(exported.unwrap().jobs, 2, "the third came later");
    } else {
        refused(exported, "changed while it was exported");
    }
}

pub(crate) async fn a_ledger_that_somebody_works_on_is_not_moved(bench: &Bench) {
    let (ledger, there) = (&bench.ledger, other_kind(bench).await);
    admit(ledger, "n", &jobs("a", 2)).await;
    let place = ledger.start_worker().await.unwrap();
    let claimed = submission(ledger).await;
    let file = export_to(bench, "all.jsonl").await;
    refused(begin(&file, Some(bench.url()), there.url()).await, "work");
    put(ledger, &ending(&claimed, generating("task", claimed.stored.now))).await;
    drop(place);
    import(&export_to(bench, "later.jsonl").await, bench, &there).await;
}

pub(crate) async fn only_an_empty_ledger_is_imported_to(bench: &Bench) {
    let (ledger, there) = (&bench.ledger, other_kind(bench).await);
    admit(ledger, "n", &jobs("a", 2)).await;
    let file = export_to(bench, "all.jsonl").await;
    let target = there.reopen().await.unwrap();
    admit(&target, "other", &jobs("a", 1)).await;
    refused(begin(&file, Some(bench.url()), there.url()).await, "empty");
    refused(begin(&file, Some(bench.url()), bench.url()).await, "empty");
    submission(ledger).await;
    let bound = other_kind(bench).await;
    bound.reopen().await.unwrap().bind("https://x", &|_: &[u8]| "key".to_owned(), Binding::Bind).await.unwrap();
    let file = export_to(bench, "later.jsonl").await;
    refused(begin(&file, None, bound.url()).await, "empty");
}

pub(crate) async fn a_file_that_is_cut_off_or_edited_is_refused(bench: &Bench) {
    fill(bench).await;
    let whole = fs::read(export_to(bench, "all.jsonl").await).unwrap();
    let path = bench.directory().path().join("other.jsonl");
    let checked = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        check(&path)
    };
    checked(&whole).unwrap();
    for cut in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        assert!(matches!(checked(&whole[..cut]), Err(LedgerError::Transfer(_))), "{cut} bytes");
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    for left_out in 0..lines.len() {
        let rest = [&lines[..left_out], &lines[left_out + 1..]].concat().concat();
        assert!(matches!(checked(&rest), Err(LedgerError::Transfer(_))), "line {left_out}");
    }
    let text = String::from_utf8(whole.clone()).unwrap();
    refused(checked(text.replacen("generating", "generatinh", 1).as_bytes()), "changed since it was written");
    refused(checked(text.replacen("\"veobatch_ledger\":1", "\"veobatch_ledger\":2", 1).as_bytes()), "newer");
    refused(checked(text.replacen("{\"batch\":{", "{\"batch\":{\"mood\":1,", 1).as_bytes()), "mood");
    refused(checked(&[&whole[..], b"\n"].concat()), "behind the end");
}

pub(crate) async fn an_import_that_was_cut_off_goes_on_and_nothing_else_uses_its_target(bench: &Bench) {
    let there = other_kind(bench).await;
    bench.ledger.bind("https://api.example", &|_: &[u8]| "print".to_owned(), Binding::Bind).await.unwrap();
    admit(&bench.ledger, "n", &jobs("a", 700)).await;
    let file = export_to(bench, "all.jsonl").await;
    let early = there.reopen().await.unwrap();
    let slow = begin(&file, Some(bench.url()), there.url()).await.unwrap().unwrap();
    for _ in 0..3 {
        assert!(matches!(there.reopen().await, Err(LedgerError::Importing)));
        // Whoever opened it before comes too late.
        let bound = early.bind("https://other.example", &|_: &[u8]| "other".to_owned(), Binding::Bind).await;
        assert!(matches!(bound, Err(LedgerError::Importing)), "{bound:?}");
        assert!(matches!(
            early.stage(&Admission::random(), &batch("x"), &jobs("x", 1)).await,
            Err(LedgerError::Importing)
        ));
        let stopped = begin(&file, Some(bench.url()), there.url()).await.unwrap().unwrap();
        let mut chunks = 0;
        let dies = move |_| {
            chunks += 1;
            assert!(chunks < 2, "killed here");
        };
        // On a task of its own, because it dies.
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(stopped.finish(dies));
        assert!(tasks.join_next().await.unwrap().is_err());
    }
    // It began before the others, and adds what they did not.
    slow.finish(|_| ()).await.unwrap();
    assert!(begin(&file, Some(bench.url()), there.url()).await.unwrap().is_none(), "it is done");
    let ledger = there.reopen().await.unwrap();
    ledger.bind("https://api.example", &|_: &[u8]| "print".to_owned(), Binding::Bind).await.unwrap();
    assert_eq!(ledger.batches().await.unwrap()[0].count(StateName::Queued), 700);
    assert_eq!(lines(&file), lines(&export_to(&there, "again.jsonl").await));
}

pub(crate) async fn of_two_files_one_is_imported_and_nothing_is_exported_on_the_way(bench: &Bench) {
    let (there, second) = (other_kind(bench).await, other_kind(bench).await);
    for (bench, count) in [(bench, 300), (&second, 2)] {
        admit(&bench.ledger, "n", &jobs("a", count)).await;
    }
    let (file, other) = (export_to(bench, "all.jsonl").await, export_to(&second, "all.jsonl").await);
    // As long as nothing of it is there, another one takes its place.
    let early = begin(&other, Some(second.url()), there.url()).await.unwrap().unwrap();
    let stopped = begin(&file, Some(bench.url()), there.url()).await.unwrap().unwrap();
    refused(early.finish(|_| ()).await, "another import");
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(stopped.finish(|_| panic!("killed here")));
    assert!(tasks.join_next().await.unwrap().is_err());

    refused(begin(&other, Some(second.url()), there.url()).await, "the import of another file");
    assert!(matches!(export(there.url(), &mut Vec::new()).await, Err(LedgerError::Importing)));
    import(&file, bench, &there).await;
    refused(begin(&other, Some(second.url()), there.url()).await, "in use");
    assert_eq!(there.reopen().await.unwrap().batches().await.unwrap()[0].total(), 300);
}

pub(crate) async fn another_import_takes_over_until_the_source_was_given_up(bench: &Bench) {
    let (one, two, three) = (other_kind(bench).await, other_kind(bench).await, other_kind(bench).await);
    admit(&bench.ledger, "n", &jobs("a", 2)).await;
    let file = export_to(bench, "all.jsonl").await;
    let slow = begin(&file, Some(bench.url()), one.url()).await.unwrap().unwrap();
    import(&file, bench, &two).await;
    refused(slow.finish(|_| ()).await, "taken over");
    assert!(matches!(one.reopen().await, Err(LedgerError::Importing)), "it has all jobs, and may never submit them");
    refused(begin(&file, Some(bench.url()), one.url()).await, &two.url().shown());
    refused(begin(&file, Some(bench.url()), three.url()).await, &two.url().shown());
    admit(&three.reopen().await.unwrap(), "n", &jobs("a", 1)).await;
    submission(&two.reopen().await.unwrap()).await;
}

pub(crate) async fn without_its_source_an_import_is_a_copy_until_a_person_agreed(bench: &Bench) {
    let there = other_kind(bench).await;
    admit(&bench.ledger, "n", &jobs("a", 2)).await;
    submission_and_end(&bench.ledger).await;
    let file = export_to(bench, "all.jsonl").await;
    begin(&file, None, there.url()).await.unwrap().unwrap().finish(|_| ()).await.unwrap();
    let ledger = there.reopen().await.unwrap();
    assert!(ledger.info().await.unwrap().identity.is_copy);
    assert!(there.reopen().await.unwrap().info().await.unwrap().identity.is_copy, "asking changes nothing");
    assert!(!accepted(&*ledger, 1).await.is_copy);
    assert!(!there.reopen().await.unwrap().info().await.unwrap().identity.is_copy);
    let own = bench.ledger.info().await.unwrap().identity;
    assert!(!own.is_copy, "its source knows nothing of it");
}

pub(crate) async fn what_is_being_admitted_is_left_out(bench: &Bench) {
    let (ledger, there) = (&bench.ledger, other_kind(bench).await);
    admit(ledger, "n", &jobs("a", 2)).await;
    let admission = Admission::random();
    ledger.stage(&admission, &batch("n"), &jobs("b", 3)).await.unwrap();
    ledger.stage(&admission, &batch("new"), &jobs("b", 4)).await.unwrap();
    let mut sink = Vec::new();
    let exported = export(bench.url(), &mut sink).await.unwrap();
    assert_eq!((exported.batches, exported.jobs, exported.left_out), (1, 2, 7));
    import(&export_to(bench, "all.jsonl").await, bench, &there).await;
    let ledger = there.reopen().await.unwrap();
    assert_eq!(ledger.batches().await.unwrap()[0].total(), 2);
    assert_eq!(admit(&ledger, "n", &jobs("b", 3)).await.new, 3);
}

/// Where the source's clock is ahead, nothing becomes due later than it would have been there.
pub(crate) async fn times_of_a_clock_that_was_ahead_delay_nothing(bench: &Bench) {
    let (ledger, there) = (&bench.ledger, other_kind(bench).await);
    let stored = generating_job(ledger, "n", "a").await;
    let hours = stored.now + 2 * 60 * LONG;
    put(ledger, &put_of(&stored, None, &Record { state: generating("task-n-a", hours), ..stored.record.clone() }))
        .await;
    let file = export_to(bench, "all.jsonl").await;
    // As if it had been exported two hours later by its clock.
    let text = fs::read_to_string(&file).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let mut header: serde_json::Value = serde_json::from_str(first).unwrap();
    header["time"] = serde_json::json!(hours.as_millis());
    let before = format!("{header}\n{}", &rest[..=rest.trim_end().rfind('\n').unwrap()]);
    let mut end: serde_json::Value = serde_json::from_str(rest.trim_end().rsplit('\n').next().unwrap()).unwrap();
    let digest: String = sha256(before.as_bytes());
    end["end"]["sha256"] = serde_json::json!(digest);
    fs::write(&file, format!("{before}{end}\n")).unwrap();
    import(&file, bench, &there).await;
    assert_eq!(claim(&there.reopen().await.unwrap(), Lane::Follow, LONG).await.stored.key, key("n", "a"));
}

#[expect(clippy::format_collect, reason = "short")]
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
