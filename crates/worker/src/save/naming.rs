//! Which names a task's files get, and giving them.
//!
//! `<job>.mp4` if that is free or this task's own; if another task's file is there, it stays, and this task's are
//! `<job>.<task id>.mp4`. A task beside the job's own gets `<job>.stray-<task id>.mp4`, and leaves `<job>.mp4` alone. A job
//! may have such a name too: whose a file is, its sidecar tells.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use veobatch_core::{Files, SaveError, Task, TaskId, Timestamp};
use veobatch_ledger::{Fence, Stored};

use super::Saved;
use crate::failpoint::Failpoint;
use crate::journal::sync_dir;
use crate::save::fetch::{Fetched, disk};
use crate::save::output::{self, Placed, hex};
use crate::save::part::{self, Part, PartName};
use crate::save::sidecar::{self, FileEntry, Found, Sidecar};

/// Longest task id that is written out in a file's name; those seen are 36 long.
const LONGEST_ID: usize = 64;

/// One job's videos on their way to their names.
#[derive(Clone, Debug)]
pub(super) struct Saving {
    pub(super) stored: Stored,
    pub(super) task: Task,
    pub(super) fence: Fence,
    pub(super) folder: PathBuf,
    pub(super) saved_at: Timestamp,
    /// An earlier step may have left part files behind.
    pub(super) again: bool,
}

impl Saving {
    /// Where the `number`-th file is written: what an earlier step left of it, or an empty file.
    pub(super) fn part(&self, number: usize) -> Result<Part, SaveError> {
        let stem = self.first_stem();
        let (folder, fence, task) = (self.folder.clone(), self.fence.clone(), self.task.id.clone());
        let name = PartName { folder, stem, fence, number, task };
        let left = if self.again { Part::adopt(&name) } else { Ok(None) };
        left.and_then(|left| left.map_or_else(|| Part::create(name), Ok)).map_err(|error| disk(&self.folder, &error))
    }

    /// Whether it is the task of another attempt, whose video goes beside the job's own.
    fn is_stray(&self) -> bool {
        let own = self.stored.record.task();
        own.is_none_or(|own| own.id != self.task.id) && self.stored.record.stray(&self.task.id).is_some()
    }

    /// The stem that is used unless another task's file has it.
    fn first_stem(&self) -> String {
        let job = self.stored.key.job.as_str();
        if self.is_stray() { format!("{job}.stray-{}", short(&self.task.id)) } else { job.to_owned() }
    }

    /// The stems that may be used, the best first.
    fn stems(&self) -> [String; 2] {
        [self.first_stem(), format!("{}.{}", self.stored.key.job, short(&self.task.id))]
    }

    /// What a person should know about the video.
    fn remark(&self, fetched: &[Fetched]) -> Option<String> {
        // What was asked for is not known of a compact job.
        let picture = fetched.first().map(|file| file.picture).filter(|_| !self.stored.compacted);
        let picture = picture.and_then(|picture| sidecar::remark(&self.stored.spec, picture));
        let beside = self.is_stray().then(|| "paid for beside the job's own video".to_owned());
        match (beside, picture) {
            (Some(beside), Some(picture)) => Some(format!("{beside}; {picture}")),
            (beside, picture) => beside.or(picture),
        }
    }

    fn files(&self, stem: &str, names: &[String]) -> Files {
        let batch = &self.stored.key.batch;
        match u32::try_from(names.len()) {
            Ok(count) if stem == self.stored.key.job.as_str() => Files::Usual(count),
            Ok(_) | Err(_) => Files::Named(names.iter().map(|name| format!("{batch}/{name}")).collect()),
        }
    }
}

/// What an earlier step of this task saved and could not tell the ledger: whole, and as its sidecar says.
pub(super) fn already_saved(saving: &Saving) -> Result<Option<Saved>, SaveError> {
    for stem in saving.stems() {
        let found = sidecar::read(&saving.folder, &stem).map_err(|error| disk(&saving.folder, &error))?;
        if let Found::Sidecar(known) = found
            && known.task_id == saving.task.id
            && known.holds(&saving.folder).map_err(|error| disk(&saving.folder, &error))?
        {
            let names: Vec<String> = known.files.iter().map(|file| file.name.clone()).collect();
            return Ok(Some((saving.files(&stem, &names), known.remark.clone())));
        }
    }
    Ok(None)
}

/// Gives what was fetched its names, writes the sidecar, and makes both durable.
pub(super) fn move_into_place(saving: &Saving, fetched: &mut [Fetched]) -> Result<Saved, SaveError> {
    try_move_into_place(saving, fetched).map_err(|error| disk(&saving.folder, &error))
}

fn try_move_into_place(saving: &Saving, fetched: &mut [Fetched]) -> io::Result<Saved> {
    Failpoint::Whole.reached();
    let folder = &saving.folder;
    for stem in saving.stems() {
        if !is_usable(saving, &stem, fetched)? {
            continue;
        }
        let mut entries = Vec::with_capacity(fetched.len());
        for (number, file) in (1..).zip(fetched.iter_mut()) {
            let path = output::video(folder, &stem, number);
            take(&file.part.path(), &path)?;
            file.part.remove_checkpoint();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            Failpoint::Named.reached();
            entries.push(FileEntry::new(name, &file.url, &file.content, file.picture));
        }
        sync_dir(folder)?;
        let remark = saving.remark(fetched);
        let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        let sidecar = Sidecar::new(&saving.stored, &saving.task, saving.saved_at, entries, remark.clone());
        if sidecar.write(folder, &stem, &saving.fence)? == Placed::Taken {
            return Err(io::Error::other(format!("{stem}.json appeared meanwhile")));
        }
        sync_dir(folder)?;
        Failpoint::Saved.reached();
        if saving.again {
            part::remove_all(folder, &saving.first_stem());
        }
        return Ok((saving.files(&stem, &names), remark));
    }
    Err(io::Error::other(format!("the names of job {} are taken by other files", saving.stored.key)))
}

/// Whether all of the stem's names are free, or hold what was just fetched.
fn is_usable(saving: &Saving, stem: &str, fetched: &[Fetched]) -> io::Result<bool> {
    match sidecar::read(&saving.folder, stem)? {
        Found::Nothing => {}
        Found::Sidecar(known) if known.task_id == saving.task.id => {}
        Found::Sidecar(_) | Found::Stranger => return Ok(false),
    }
    for (number, file) in (1..).zip(fetched) {
        let there = output::content(&output::video(&saving.folder, stem, number))?;
        // An empty file is what a crash between taking a name and filling it leaves.
        if there.is_some_and(|there| there.bytes > 0 && there != file.content) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A task id as part of a file's name: whole, unless it is so long that the name might not fit.
fn short(task: &TaskId) -> String {
    let text = task.as_str();
    if text.len() <= LONGEST_ID {
        return text.to_owned();
    }
    let mut digest = hex(Sha256::new_with_prefix(text));
    digest.truncate(LONGEST_ID / 2);
    digest
}

/// Gives `part` the name `path`, which is free, empty, or holds the same bytes already.
fn take(part: &Path, path: &Path) -> io::Result<()> {
    match output::place(part, path)? {
        Placed::Yes => Ok(()),
        Placed::Taken if fs::metadata(path)?.len() == 0 => fs::rename(part, path),
        Placed::Taken => fs::remove_file(part),
    }
}

#[cfg(test)]
#[path = "naming/tests.rs"]
mod tests;
