//! Journals of other ledgers in the same state directory: left alone, reported, and adopted if a person says so.
//!
//! They belong to another queue or file that shares the directory, or to this very ledger before it was emptied or created
//! again. Only a person knows which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use veobatch_core::{BatchId, PollPolicy};
use veobatch_ledger::{Ledger, LedgerId};

use super::line::{Finding, findings};
use super::replay::{Left, Replayed, left_in, replay_findings};
use super::{Place, history};
use crate::runtime::backoff::Backoff;
use crate::runtime::blocking;
use crate::runtime::disk::{Disk, sync_dir};

/// What the journals of another ledger hold.
#[derive(Debug, Default)]
struct Other {
    journals: usize,
    submissions: usize,
    batches: BTreeSet<BatchId>,
}

/// Warns which other ledgers have journals here, and what to do.
pub(crate) async fn warn_of(place: &Place) -> io::Result<()> {
    let at = place.clone();
    let others = blocking::run(move || others(&at)).await.flatten()?;
    for (ledger, other) in others {
        let Other { journals, submissions, batches } = other;
        let names: Vec<&str> = batches.iter().take(MAX_NAMES).map(BatchId::as_str).collect();
        let more = if batches.len() > MAX_NAMES { ", …" } else { "" };
        warn!(
            "{} has {journals} journals of another ledger ({ledger}): {submissions} submissions that were or may have been paid \
             for, in batches {}{more}. They are left alone. If this ledger replaced that one (it was emptied or created \
             again), stop, enqueue those batches again and start with --adopt-journals; otherwise they are paid for again. \
             If not, give each ledger its own directory with --state-dir",
            place.dir.display(),
            names.join(", "),
        );
    }
    Ok(())
}

/// Batches named in the warning.
const MAX_NAMES: usize = 5;

fn others(place: &Place) -> io::Result<BTreeMap<LedgerId, Other>> {
    let mut others: BTreeMap<LedgerId, Other> = BTreeMap::new();
    for (ledger, _, paid) in foreign(place)? {
        let other = others.entry(ledger).or_default();
        other.journals += 1;
        other.submissions += paid.len();
        other.batches.extend(paid.iter().filter_map(Finding::job).map(|job| job.batch.clone()));
    }
    Ok(others)
}

/// The files of other ledgers, left by processes that are gone, in which something was paid for.
fn foreign(place: &Place) -> io::Result<Vec<(LedgerId, Kept, Vec<Finding>)>> {
    let mut found = Vec::new();
    for (ledger, path) in history::all(&place.dir)?.into_iter().filter(|(of, _)| *of != place.ledger) {
        let paid = findings(&fs::read(&path)?).paid().collect();
        found.push((ledger, Kept::History(path), paid));
    }
    for mut left in left_in(&place.dir, |of| of.is_some_and(|of| *of != place.ledger))? {
        let Some(ledger) = left.findings.ledger.clone() else { continue };
        let paid = std::mem::take(&mut left.findings).paid().collect();
        found.push((ledger, Kept::Journal(left), paid));
    }
    found.retain(|(_, _, paid): &(_, _, Vec<Finding>)| !paid.is_empty());
    Ok(found)
}

/// A file of another ledger. A journal is locked, so that no other process replays it meanwhile.
#[derive(Debug)]
enum Kept {
    History(PathBuf),
    Journal(Left),
}

impl Kept {
    fn path(&self) -> &Path {
        match self {
            Self::History(path) => path,
            Self::Journal(left) => &left.path,
        }
    }
}

/// Replays the journals of other ledgers and this ledger's own history, because a person says that all of them are about this
/// ledger. A file that was replayed completely becomes its own history; one about unknown jobs stays as it is.
pub(crate) async fn adopt(
    place: &Place,
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    backoff: &mut Backoff,
) -> io::Result<Replayed> {
    let at = place.clone();
    let (own, foreign) =
        blocking::run(move || Ok((history::of(&at.dir, &at.ledger)?, foreign(&at)?))).await.flatten()?;
    let mut all = replay_findings(ledger, policy, &own, backoff).await;
    for (_, kept, paid) in foreign {
        let told = replay_findings(ledger, policy, &paid, backoff).await;
        if told.is_whole() && told.gone.is_empty() {
            info!(journal = %kept.path().display(), "adopted a journal");
            let at = place.clone();
            blocking::run(move || take_over(&at, &kept, &paid)).await.flatten()?;
        }
        all.and(told);
    }
    if !all.gone.is_empty() {
        let batches: BTreeSet<&str> = all.gone.iter().map(|job| job.batch.as_str()).collect();
        let batches: Vec<&str> = batches.into_iter().collect();
        warn!(
            jobs = all.gone.len(),
            "journals name submitted jobs that this ledger does not know, in batches {}: enqueue their files, and start with \
             --adopt-journals again",
            batches.join(", ")
        );
    }
    Ok(all)
}

/// Turns `kept` into this ledger's own history, and removes it once that is on disk.
fn take_over(place: &Place, kept: &Kept, paid: &[Finding]) -> io::Result<()> {
    let own = history::name(&place.dir, &place.ledger, kept.path());
    let fresh = own.with_extension("adopted a journal");
    let text: Vec<u8> = paid.iter().flat_map(Finding::to_lines).flat_map(|line| line.to_bytes(&place.ledger)).collect();
    Disk::State.is_writable()?;
    let mut file = File::create(&fresh)?;
    Disk::State.write(&mut file, &text)?;
    Disk::State.sync(&file)?;
    fs::rename(&fresh, &own)?;
    sync_dir(&place.dir)?;
    fs::remove_file(kept.path())?;
    sync_dir(&place.dir)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;
    use veobatch_core::{JobId, JobKey, Outcome, Spec, StateName, TaskId, Timestamp, Token};
    use veobatch_ledger::{Admission, Identity, Lookup, NewJob, SqliteLedger};

    use super::super::Journal;
    use super::super::replay::{ReplayScope, replay_left};
    use super::*;

    /// A ledger with the jobs `garden/1` and `garden/2`.
    async fn ledger() -> (SqliteLedger, LedgerId) {
        let ledger = SqliteLedger::in_memory(Arc::new(|| Timestamp::from_millis(1_000_000))).unwrap();
        let (garden, admission) = (BatchId::parse("garden").unwrap(), Admission::random());
        let job = |n: &str| NewJob { id: JobId::parse(n).unwrap(), spec: Spec { prompt: n.into(), ..Spec::default() } };
        ledger.stage(&admission, &garden, &[job("1"), job("2")]).await.unwrap();
        ledger.publish(&admission, &[garden], None).await.unwrap();
        let id = ledger.info().await.unwrap().identity.id;
        (ledger, id)
    }

    fn place(dir: &Path, ledger: &LedgerId) -> Place {
        Place { dir: dir.to_owned(), ledger: ledger.clone(), keeps_settled: false }
    }

    fn key(batch: &str, job: &str) -> JobKey {
        JobKey { batch: BatchId::parse(batch).unwrap(), job: JobId::parse(job).unwrap() }
    }

    /// What a process leaves that was killed before it could tell its ledger that `job` was accepted.
    async fn killed(dir: &Path, ledger: &LedgerId, job: &JobKey) -> (Journal, Token) {
        let journal =
            Journal::start(dir, &Identity { id: ledger.clone(), grants: None, is_copy: false }, false).unwrap();
        let token = Token::from_bits(u128::from(job.job.as_str().as_bytes()[0]));
        journal.sending(&token, job, None).await.unwrap();
        let task = TaskId::parse(&format!("task-{}", job.job)).unwrap();
        journal.answer(&token, &Outcome::Accepted(task)).await.unwrap();
        (journal, token)
    }

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn state(ledger: &SqliteLedger, job: &JobKey) -> StateName {
        ledger.find(Lookup::Name(job)).await.unwrap().unwrap().record.state.name()
    }

    #[tokio::test]
    async fn a_journal_of_another_ledger_is_left_alone_until_a_person_has_it_adopted() {
        let dir = tempfile::tempdir().unwrap();
        let ((ledger, own), other) = (ledger().await, LedgerId::random().unwrap());
        let (mine, theirs) = (key("garden", "1"), key("garden", "2"));
        killed(dir.path(), &own, &mine).await;
        killed(dir.path(), &other, &theirs).await;
        let (place, policy) = (place(dir.path(), &own), PollPolicy::default());
        let mut backoff = Backoff::until(CancellationToken::new());
        let told = replay_left(&place, ReplayScope::Everything, &ledger, &policy, &mut backoff).await.unwrap();
        assert_eq!(told.moved, [mine.clone()].into());
        assert_eq!(state(&ledger, &theirs).await, StateName::Queued);
        let known = others(&place).unwrap();
        assert_eq!((known.len(), known[&other].journals, known[&other].submissions), (1, 1, 1));
        assert!(names(dir.path()).iter().any(|name| name.starts_with("journal-")), "it is not deleted");

        let told = adopt(&place, &ledger, &policy, &mut backoff).await.unwrap();
        assert_eq!(told.moved, [theirs.clone()].into());
        assert_eq!(state(&ledger, &theirs).await, StateName::Generating);
        assert!(others(&place).unwrap().is_empty());
        let mut paid: Vec<_> =
            history::of(dir.path(), &own).unwrap().into_iter().filter_map(|paid| paid.job().cloned()).collect();
        paid.sort();
        assert_eq!(paid, [mine, theirs], "it is this ledger's own from now on");
        assert_eq!(names(dir.path()).len(), 2);
    }

    #[tokio::test]
    async fn what_another_ledger_was_told_by_a_process_that_ended_is_adopted_too() {
        let dir = tempfile::tempdir().unwrap();
        let ((ledger, own), other) = (ledger().await, LedgerId::random().unwrap());
        let (mine, theirs) = (key("garden", "1"), key("garden", "2"));
        for (of, job) in [(&own, &mine), (&other, &theirs)] {
            let (journal, token) = killed(dir.path(), of, job).await;
            journal.settled(&token).await.unwrap();
            journal.finish().unwrap();
        }
        let place = place(dir.path(), &own);
        assert_eq!(others(&place).unwrap()[&other].submissions, 1);
        let mut backoff = Backoff::until(CancellationToken::new());
        let told = adopt(&place, &ledger, &PollPolicy::default(), &mut backoff).await.unwrap();
        assert_eq!(told.moved, [mine, theirs].into(), "and what this one was told before, should it be emptied");
        assert!(others(&place).unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_journal_that_names_no_ledger_is_of_the_one_that_is_opened_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, own) = ledger().await;
        let line = r#"{"sending":{"token":"00000000000000000000000000000001","job":{"batch":"garden","job":"1"}}}"#;
        fs::write(dir.path().join("journal-1.jsonl"), format!("{line}\n")).unwrap();
        let mut backoff = Backoff::until(CancellationToken::new());
        let (place, policy) = (place(dir.path(), &own), PollPolicy::default());
        let told = replay_left(&place, ReplayScope::Open, &ledger, &policy, &mut backoff).await.unwrap();
        assert_eq!(told.moved, [key("garden", "1")].into());
        assert_eq!(state(&ledger, &key("garden", "1")).await, StateName::InDoubt);
    }

    #[tokio::test]
    async fn what_tells_of_unknown_jobs_stays_for_when_they_are_enqueued() {
        let dir = tempfile::tempdir().unwrap();
        let ((ledger, own), other) = (ledger().await, LedgerId::random().unwrap());
        killed(dir.path(), &other, &key("night", "1")).await;
        let mut backoff = Backoff::until(CancellationToken::new());
        let told = adopt(&place(dir.path(), &own), &ledger, &PollPolicy::default(), &mut backoff).await.unwrap();
        assert_eq!(told.gone, [key("night", "1")].into());
        assert_eq!(others(&place(dir.path(), &own)).unwrap().len(), 1);
    }
}
