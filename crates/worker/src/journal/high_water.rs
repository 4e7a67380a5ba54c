//! A high-water mark in the state directory: how many submissions the ledger has granted, as far as this machine knows.
//!
//! It is on disk before each paid call, so it never lags behind a payment. A ledger that has granted fewer is an older copy,
//! restored from a backup, and does not know what was paid for since.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use veobatch_ledger::LedgerId;

use crate::runtime::disk::{Disk, sync_dir};

/// The mark of one ledger, while a worker raises it.
#[derive(Debug)]
pub(crate) struct HighWater {
    ledger: LedgerId,
    /// Locked while syncing: whoever waits for it may find a higher mark there already.
    marked: Mutex<Marked>,
}

#[derive(Debug)]
struct Marked {
    file: File,
    grants: u64,
}

#[derive(Deserialize)]
struct Stored {
    ledger: LedgerId,
    grants: u64,
}

impl HighWater {
    /// The mark of `ledger` in `dir`; 0 if there is none.
    pub(crate) fn read(dir: &Path, ledger: &LedgerId) -> io::Result<u64> {
        let path = path(dir, ledger);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<Stored>(&text) {
            Ok(stored) if stored.ledger == *ledger => Ok(stored.grants),
            Ok(_) | Err(_) => Err(io::Error::other(format!("{} is damaged", path.display()))),
        }
    }

    /// Opens or creates the mark, and raises it to `grants`.
    pub(super) fn start(dir: &Path, ledger: &LedgerId, grants: u64) -> io::Result<Self> {
        let known = Self::read(dir, ledger)?;
        let path = path(dir, ledger);
        let file = match File::options().write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path, &line(ledger, known))?,
            opened => opened?,
        };
        let mark = Self { ledger: ledger.clone(), marked: Mutex::new(Marked { file, grants: known }) };
        mark.raise(grants)?;
        Ok(mark)
    }

    /// On disk when this returns `Ok`: the ledger has granted at least so many.
    pub(super) fn raise(&self, grants: u64) -> io::Result<()> {
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        if marked.grants >= grants {
            return Ok(());
        }
        // Overwritten in place with the same length: only digits change, and a full disk does not matter.
        marked.file.rewind()?;
        Disk::State.write(&mut marked.file, &line(&self.ledger, grants))?;
        Disk::State.sync_data(&marked.file)?;
        marked.grants = grants;
        Ok(())
    }
}

/// Creates a file that gets its name once its content is on disk.
fn create(path: &Path, text: &[u8]) -> io::Result<File> {
    let fresh = path.with_extension("new");
    Disk::State.is_writable()?;
    let mut file = File::create(&fresh)?;
    Disk::State.write(&mut file, text)?;
    Disk::State.sync(&file)?;
    fs::rename(&fresh, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(file)
}

fn path(dir: &Path, ledger: &LedgerId) -> PathBuf {
    dir.join(format!("ledger-{ledger}.json"))
}

/// Always has the same length.
fn line(ledger: &LedgerId, grants: u64) -> Vec<u8> {
    format!("{{\"ledger\":\"{ledger}\",\"grants\":{grants:20}}}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::disk::fault::{self, Fault};

    #[test]
    fn a_mark_is_raised_and_never_lowered_and_a_damaged_one_is_not_taken_for_none() {
        let (dir, ledger) = (tempfile::tempdir().unwrap(), LedgerId::random().unwrap());
        let read = || HighWater::read(dir.path(), &ledger).unwrap();
        assert_eq!(read(), 0);
        let mark = HighWater::start(dir.path(), &ledger, 3).unwrap();
        assert_eq!(read(), 3);
        mark.raise(12).unwrap();
        mark.raise(9).unwrap();
        assert_eq!(read(), 12);
        drop(HighWater::start(dir.path(), &ledger, 7).unwrap());
        assert_eq!(read(), 12);
        assert_eq!(HighWater::read(dir.path(), &LedgerId::random().unwrap()).unwrap(), 0, "of another ledger");
        fs::write(path(dir.path(), &ledger), "{\"ledger").unwrap();
        HighWater::read(dir.path(), &ledger).unwrap_err();
    }

    #[test]
    fn a_mark_that_is_not_on_disk_for_certain_is_not_raised() {
        let (dir, ledger) = (tempfile::tempdir().unwrap(), LedgerId::random().unwrap());
        let mark = HighWater::start(dir.path(), &ledger, 0).unwrap();
        fault::set(Some(Box::new(|_| Some(Fault::Sync))));
        let (first, second) = (mark.raise(1), mark.raise(1));
        fault::set(None);
        assert!(first.is_err() && second.is_err());
        mark.raise(1).unwrap();
    }
}
