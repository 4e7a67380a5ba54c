//! Settled payments of the last month, kept in case the ledger is restored from a backup or emptied.
//!
//! A journal that ends becomes history as it is, if something in it was paid for: 500 bytes per submission. Its file name
//! contains the ledger's id. It is not read in normal operation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::debug;
use veobatch_ledger::LedgerId;

use super::SUFFIX;
use super::line::{Finding, findings};
use crate::runtime::disk::{Disk, sync_dir};

/// How long history is kept: twice as long as the service keeps a video. What an older backup has forgotten, only the sidecars
/// know.
pub(crate) const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const HISTORY: &str = "history-";

/// Turns the journal `path` into history of `ledger`.
pub(super) fn retire(path: &Path, ledger: &LedgerId) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    Disk::State.is_writable()?;
    fs::rename(path, name(dir, ledger, path))?;
    sync_dir(dir)
}

/// The name that `path`, a journal or another ledger's history, gets as history of `ledger`.
pub(super) fn name(dir: &Path, ledger: &LedgerId, path: &Path) -> PathBuf {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let unique = stem.rsplit('-').next().unwrap_or(stem);
    dir.join(format!("{HISTORY}{ledger}-{unique}{SUFFIX}"))
}

/// The histories in `dir` and their ledgers, oldest first.
pub(super) fn all(dir: &Path) -> io::Result<Vec<(LedgerId, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let named = name.to_str().and_then(|name| name.strip_prefix(HISTORY)?.strip_suffix(SUFFIX)?.split_once('-'));
        if let Some(ledger) = named.and_then(|(ledger, _)| LedgerId::parse(ledger)) {
            found.push((entry.metadata()?.modified()?, ledger, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, ledger, path)| (ledger, path)).collect())
}

/// What `ledger` paid for, as far as its history in `dir` goes back, newest last.
pub(crate) fn of(dir: &Path, ledger: &LedgerId) -> io::Result<Vec<Finding>> {
    let mut paid = Vec::new();
    for (_, path) in all(dir)?.iter().filter(|(of, _)| of == ledger) {
        paid.extend(findings(&fs::read(path)?).paid());
    }
    Ok(paid)
}

/// Removes what is older than [`KEEP`], of this ledger only.
pub(crate) fn prune(dir: &Path, ledger: &LedgerId, now: SystemTime) {
    let Ok(all) = all(dir) else { return };
    for (_, path) in all.iter().filter(|(of, _)| of == ledger) {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEEP));
        if is_old && fs::remove_file(path).is_ok() {
            debug!(history = %path.display(), "removed old history");
        }
    }
}

#[cfg(test)]
mod tests {
    use veobatch_api::wall_clock;
    use veobatch_core::{BatchId, JobId, JobKey, Outcome, TaskId, Token};
    use veobatch_ledger::Identity;

    use super::super::Journal;
    use super::*;

    fn key() -> JobKey {
        JobKey { batch: BatchId::parse("b").unwrap(), job: JobId::parse("j").unwrap() }
    }

    async fn pay(dir: &Path, of: &Identity, n: u128) {
        let journal = Journal::start(dir, of, false).unwrap();
        let token = Token::from_bits(n);
        journal.sending(&token, &key(), None).await.unwrap();
        let task = TaskId::parse(&format!("task-{n}")).unwrap();
        journal.answer(&token, &Outcome::Accepted(task)).await.unwrap();
        journal.settled(&token).await.unwrap();
        journal.finish().unwrap();
    }

    #[tokio::test]
    async fn what_was_paid_for_is_kept_for_a_month_and_another_ledgers_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = || Identity { id: LedgerId::random().unwrap(), grants: None, is_copy: false };
        let (own, other) = (ledger(), ledger());
        for (of, n) in [(&own, 1), (&other, 2), (&own, 3)] {
            pay(dir.path(), of, n).await;
        }
        let tokens = |of: &Identity| {
            let paid = super::of(dir.path(), &of.id).unwrap();
            let mut tokens: Vec<_> = paid.iter().map(|finding| finding.token().clone()).collect();
            tokens.sort();
            tokens
        };
        assert_eq!(tokens(&own), [Token::from_bits(1), Token::from_bits(3)]);
        prune(dir.path(), &own.id, wall_clock() + KEEP / 2);
        assert_eq!(tokens(&own).len(), 2);
        prune(dir.path(), &own.id, wall_clock() + KEEP * 2);
        assert_eq!((tokens(&own).len(), tokens(&other).len()), (0, 1));
    }

    #[tokio::test]
    async fn a_journal_in_which_nothing_was_paid_for_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::start(
            dir.path(),
            &Identity { id: LedgerId::random().unwrap(), grants: None, is_copy: false },
            false,
        );
        let journal = journal.unwrap();
        let token = Token::from_bits(1);
        journal.sending(&token, &key(), None).await.unwrap();
        journal.answer(&token, &Outcome::NotSent("no network".to_owned())).await.unwrap();
        journal.settled(&token).await.unwrap();
        journal.finish().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
