//! The output directory: `<output>/<batch>/<job>.mp4`, and the promise that a file there is whole and never replaced.
//!
//! Everything is first written to a part file (see `part`), synced, and then given its name in one step that fails if
//! the name is taken. Names were validated by core when they entered; here they are only joined.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tracing::info;
use veobatch_core::BatchId;
use veobatch_ledger::LedgerError;

use crate::WorkError;
use crate::journal::sync_dir;
use crate::runtime::blocking::Slow;
use crate::runtime::disk::Disk;
use crate::runtime::random;
use crate::runtime::worker::Worker;
use crate::save::part;
use crate::upkeep::PeriodicTask;
use crate::upkeep::maintenance::SHORT;

/// Part files of this age belong to nobody.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// A file's length and its SHA-256, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Whether a file got its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It has it.
    Yes,
    /// The name is taken; the file is where it was.
    Taken,
}

/// The output directory.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    root: PathBuf,
    /// Which directory that was at the start.
    identity: (u64, u64),
}

impl Output {
    /// Makes the directory if it is not there, and tries whether files can be written to it.
    pub(crate) fn open(root: &Path) -> Result<Self, WorkError> {
        let probe = root.join(format!(".veobatch-probe-{:016x}", random::bits() >> 64));
        let tried = fs::create_dir_all(root).and_then(|()| {
            Disk::Output.is_writable()?;
            Disk::Output.write(&mut File::create_new(&probe)?, b"veobatch")?;
            fs::remove_file(&probe)?;
            identity(root)
        });
        let identity = tried.map_err(|error| unusable(root, &error))?;
        Ok(Self { root: root.to_owned(), identity })
    }

    /// Fails if the directory is not the one that it was at the start. If a disk is not mounted any more, there may be
    /// another directory in its place: nobody would look for the videos there, and they would fill another disk.
    pub(crate) fn check(&self) -> io::Result<()> {
        Disk::Output.is_there();
        let words = |what: &str| format!("the output directory {what} (is a disk not mounted?)");
        match identity(&self.root) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => {
                let hint = "start the worker again if this one is meant";
                Err(io::Error::other(format!("{}; {hint}", words("is not the one that it was at the start"))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(io::Error::other(words("is gone"))),
            Err(error) => Err(error),
        }
    }

    /// Bytes that may still be written to the file system of the output directory.
    pub(crate) fn free(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(&self.root)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    /// The folder of `batch`, made if it is not there. The output directory itself is never made anew.
    pub(crate) fn folder(&self, batch: &BatchId) -> io::Result<PathBuf> {
        self.check()?;
        let folder = self.root.join(batch.as_str());
        match fs::create_dir(&folder) {
            Ok(()) => sync_dir(&self.root)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(folder)
    }

    /// Removes part files that nobody has written to for a day.
    fn tidy(&self) {
        Disk::Output.is_there();
        let Ok(folders) = fs::read_dir(&self.root) else { return };
        let mut removed = 0;
        for folder in folders.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            for file in files.flatten() {
                let name = file.file_name();
                if name.to_str().is_some_and(part::is_temporary)
                    && is_forgotten(&file)
                    && fs::remove_file(file.path()).is_ok()
                {
                    removed += 1;
                }
            }
        }
        if removed > 0 {
            info!(removed, "old part files were removed");
        }
    }
}

pub(crate) fn unusable(root: &Path, error: &io::Error) -> WorkError {
    let hint = "name another one with --output, or make it writable";
    WorkError::Directory(format!("the output directory {} cannot be used: {error} ({hint})", root.display()))
}

/// Removes what nobody needs any more from the output directory.
#[derive(Debug, Default)]
pub(crate) struct Tidy(Slow<()>);

#[async_trait]
impl PeriodicTask for Tidy {
    fn name(&self) -> &'static str {
        "remove old part files"
    }

    fn limit(&self) -> Duration {
        2 * SHORT
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        let output = worker.output.clone();
        // A large directory may take longer, and one that hangs for ever: the next turn waits for the same work.
        let done = self.0.run(SHORT, move || output.tidy()).await;
        Ok(if done.is_some() { FORGOTTEN } else { SHORT })
    }
}

/// What tells a directory from any other on this machine.
fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(dir).map(|data| (data.dev(), data.ino()))
}

fn is_forgotten(file: &fs::DirEntry) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the age of a file is told by the wall clock")]
    let now = SystemTime::now();
    let age = file.metadata().and_then(|data| data.modified()).ok().and_then(|at| now.duration_since(at).ok());
    age.is_some_and(|age| age > FORGOTTEN)
}

/// The `number`-th video (from 1) of a stem: `stem.mp4`, `stem.2.mp4` …
pub(crate) fn video(folder: &Path, stem: &str, number: usize) -> PathBuf {
    folder.join(if number == 1 { format!("{stem}.mp4") } else { format!("{stem}.{number}.mp4") })
}

/// Gives `part` its `name`, unless that is taken. Durable once the folder is synced.
///
/// A hard link fails if the name exists, on every file system that has hard links. Where there are none, the name is
/// first taken by an empty file, which the part then replaces; an empty file is what a crash in between leaves, so one is
/// never taken for a video.
pub(crate) fn place(part: &Path, name: &Path) -> io::Result<Placed> {
    Disk::Output.is_writable()?;
    match fs::hard_link(part, name) {
        Ok(()) => {
            fs::remove_file(part)?;
            Ok(Placed::Yes)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Placed::Taken),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) => place_without_links(part, name),
    }
}

fn place_without_links(part: &Path, name: &Path) -> io::Result<Placed> {
    match File::create_new(name) {
        Ok(_) => fs::rename(part, name).map(|()| Placed::Yes),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Placed::Taken),
        Err(error) => Err(error),
    }
}

/// What is at `path`; `None` if nothing is.
pub(crate) fn content(path: &Path) -> io::Result<Option<Content>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (bytes, sha256) = digest(file)?;
    Ok(Some(Content { bytes, sha256: hex(sha256) }))
}

/// Reads all there is: its length and digest.
pub(crate) fn digest(mut from: impl Read) -> io::Result<(u64, Sha256)> {
    let (mut sha256, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, sha256));
        }
        bytes += count as u64;
        sha256.update(buffer.get(..count).unwrap_or_default());
    }
}

/// A finished digest in lower-case hexadecimal digits.
pub(crate) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_never_gets_a_name_that_is_taken() {
        for place in [place, place_without_links] {
            let dir = tempfile::tempdir().unwrap();
            let (part, name) = (dir.path().join(".a.part"), dir.path().join("a.mp4"));
            fs::write(&part, "ours").unwrap();
            assert_eq!(place(&part, &name).unwrap(), Placed::Yes);
            assert!(!part.exists());
            fs::write(&part, "another").unwrap();
            assert_eq!(place(&part, &name).unwrap(), Placed::Taken);
            assert_eq!(fs::read(&name).unwrap(), b"ours");
            assert!(part.exists());
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_found_out_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Output::open(&file.join("videos")), Err(WorkError::Directory(_))));
        assert!(Output::open(&dir.path().join("new/videos")).is_ok());
    }

    #[test]
    fn a_vanished_output_directory_is_not_made_anew_and_another_one_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::open(&dir.path().join("videos")).unwrap();
        let batch = BatchId::parse("b").unwrap();
        assert!(output.folder(&batch).is_ok());
        fs::rename(dir.path().join("videos"), dir.path().join("elsewhere")).unwrap();
        assert!(output.folder(&batch).unwrap_err().to_string().contains("is gone"));
        fs::create_dir(dir.path().join("videos")).unwrap();
        assert!(output.folder(&batch).unwrap_err().to_string().contains("at the start"));
        assert_eq!(fs::read_dir(dir.path().join("videos")).unwrap().count(), 0);
        fs::remove_dir(dir.path().join("videos")).unwrap();
        fs::rename(dir.path().join("elsewhere"), dir.path().join("videos")).unwrap();
        assert!(output.folder(&batch).is_ok());
    }

    #[test]
    fn content_is_told_by_length_and_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(content(&path).unwrap(), None);
        fs::write(&path, "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        assert_eq!(content(&path).unwrap(), Some(Content { bytes: 3, sha256 }));
    }
}
