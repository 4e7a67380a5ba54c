//! Copies the journals of a ledger whose jobs are moved to another one, so that they can be replayed there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use veobatch_ledger::LedgerId;

use super::high_water::HighWater;
use super::replay::left_in;
use super::{PREFIX, SUFFIX, history};
use crate::runtime::disk::{Disk, sync_dir};

/// Copies the journals and the history of `ledger` from the state directory `from` to `to`, and returns their number. On disk
/// when this returns `Ok`; repeating it copies them again. `grants` is the number of submissions that the ledger has granted,
/// if it counts them; it is stored in `from`, so that an older copy of the ledger is recognised.
///
/// # Errors
/// If a process still writes a journal in `from`, or a directory cannot be used.
pub fn carry_journals(from: &Path, to: &Path, ledger: &LedgerId, grants: Option<u64>) -> io::Result<usize> {
    if let Some(grants) = grants {
        fs::create_dir_all(from)?;
        HighWater::start(from, ledger, grants)?;
    }
    if !from.exists() {
        return Ok(0);
    }
    refuse_living(from)?;
    fs::create_dir_all(to)?;
    if from.canonicalize()? == to.canonicalize()? {
        return Ok(0);
    }
    let left = left_in(from, |of| of.is_none_or(|of| of == ledger))?;
    let past = history::all(from)?.into_iter().filter(|(of, _)| of == ledger).map(|(_, path)| path);
    let paths: Vec<PathBuf> = left.iter().map(|left| left.path.clone()).chain(past).collect();
    for path in &paths {
        copy(path, to)?;
    }
    sync_dir(to)?;
    Ok(paths.len())
}

/// Fails if a process still writes a journal there: what it writes from now on would not be copied.
fn refuse_living(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            match File::open(&path)?.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let words = format!("{} is being written: stop the worker that writes it", path.display());
                    return Err(io::Error::other(words));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Copies `path` to `to`; the copy gets its name once it is complete.
fn copy(path: &Path, to: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let (own, fresh) = (to.join(name), to.join(name).with_extension("carried"));
    Disk::State.is_writable()?;
    let mut file = File::create(&fresh)?;
    Disk::State.write(&mut file, &fs::read(path)?)?;
    Disk::State.sync(&file)?;
    fs::rename(fresh, own)
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchId, JobId, JobKey, Token};
    use veobatch_ledger::Identity;

    use super::super::Journal;
    use super::*;

    #[tokio::test]
    async fn journals_of_the_ledger_go_along_and_no_others() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |id: &LedgerId| Identity { id: id.clone(), grants: None, is_copy: false };
        let (own, other) = (LedgerId::random().unwrap(), LedgerId::random().unwrap());
        let key = JobKey { batch: BatchId::parse("b").unwrap(), job: JobId::parse("j").unwrap() };
        for (n, id) in [(1, &own), (2, &other)] {
            let journal = Journal::start(old.path(), &of(id), false).unwrap();
            journal.sending(&Token::from_bits(n), &key, None).await.unwrap();
        }
        let living = Journal::start(old.path(), &of(&own), false).unwrap();
        let refused = carry_journals(old.path(), new.path(), &own, None).unwrap_err();
        assert!(refused.to_string().contains("stop the worker"), "{refused}");
        drop(living);

        // The third is one that holds nothing.
        assert_eq!(carry_journals(old.path(), new.path(), &own, Some(7)).unwrap(), 2);
        assert_eq!(carry_journals(old.path(), new.path(), &own, Some(7)).unwrap(), 2, "repeating it does no harm");
        let left = left_in(new.path(), |_| true).unwrap();
        let tokens: Vec<_> = left.iter().flat_map(|left| &left.findings.open).map(|of| of.token().clone()).collect();
        drop(left);
        assert_eq!(tokens, [Token::from_bits(1)]);
        assert_eq!(HighWater::read(old.path(), &own).unwrap(), 7);
        assert_eq!(carry_journals(new.path(), new.path(), &own, None).unwrap(), 0, "they are there already");
    }
}
