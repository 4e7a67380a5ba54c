//! The output directory: `<output>/<batch>/<job>.mp4`, and the promise that a file there is whole and never replaced.
//!
//! Everything is first written to a part file (see `part`), synced, and then renamed in one step that fails if the name is
//! taken. Names were validated by core when they were admitted; here they are only joined.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::info;
use veobatch_core::BatchId;

use crate::options::WorkError;
use crate::runtime::disk::{Disk, sync_dir};
use crate::runtime::random;
use crate::save::part;

/// Age at which part files are removed.
pub(crate) const PART_EXPIRY: Duration = Duration::from_secs(24 * 3600);

/// Whether a file was given its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    Yes,
    /// The name is taken; the file was not moved.
    Taken,
}

/// The output directory.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    root: PathBuf,
    /// Device and inode of the directory at the start.
    identity: (u64, u64),
}

impl Output {
    /// Creates the directory if it does not exist, and checks that files can be written to it.
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

    /// Fails if this is no longer the directory that was opened. If a disk was unmounted, another directory may be in its
    /// place: nobody would expect the videos there, and they would fill another disk.
    pub(crate) fn check(&self) -> io::Result<()> {
        Disk::Output.is_there();
        let words = |what: &str| format!("the output directory {what} (is a disk not mounted?)");
        match identity(&self.root) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => {
                let hint = "restart the worker to use this one";
                Err(io::Error::other(format!("{}; {hint}", words("is not the one that was opened at the start"))))
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

    /// The folder of `batch`, created if it does not exist. The output directory itself is never created again.
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

    /// Removes part files that were not written to for [`PART_EXPIRY`].
    pub(crate) fn remove_old_parts(&self) {
        Disk::Output.is_there();
        let Ok(folders) = fs::read_dir(&self.root) else { return };
        let mut removed = 0;
        for folder in folders.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            for file in files.flatten() {
                let name = file.file_name();
                if name.to_str().is_some_and(part::is_temporary)
                    && is_expired(&file)
                    && fs::remove_file(file.path()).is_ok()
                {
                    removed += 1;
                }
            }
        }
        if removed > 0 {
            info!(removed, "removed old part files");
        }
    }
}

pub(crate) fn unusable(root: &Path, error: &io::Error) -> WorkError {
    let hint = "name another one with --output, or make it writable";
    WorkError::Directory(format!("the output directory {} cannot be used: {error} ({hint})", root.display()))
}

/// What distinguishes a directory from all others on this machine.
fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(dir).map(|data| (data.dev(), data.ino()))
}

fn is_expired(file: &fs::DirEntry) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the age of a file follows the wall clock")]
    let now = SystemTime::now();
    let age = file.metadata().and_then(|data| data.modified()).ok().and_then(|at| now.duration_since(at).ok());
    age.is_some_and(|age| age > PART_EXPIRY)
}

/// The `number`-th video (from 1) of a stem: `stem.mp4`, `stem.2.mp4` …
pub(crate) fn video(folder: &Path, stem: &str, number: usize) -> PathBuf {
    folder.join(if number == 1 { format!("{stem}.mp4") } else { format!("{stem}.{number}.mp4") })
}

/// Renames `part` to `name`, unless that is taken. Durable once the folder is synced.
///
/// A hard link fails if the name exists, on every file system that has hard links. Without them, an empty file first takes
/// the name and is then replaced by the part. A crash in between leaves an empty file, so an empty file is never taken for a
/// video.
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
}
