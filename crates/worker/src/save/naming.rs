//! Which names a task's files get, and moving them there.
//!
//! `<job>.mp4` if that is free or belongs to this task. If another task's file is there, it stays, and this task's file is
//! `<job>.<task id>.mp4`. A stray's file is `<job>.stray-<task id>.mp4`; it never takes `<job>.mp4`. Since a job may have such
//! a name too, the sidecar tells to which task a file belongs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use veobatch_core::{Files, SaveError, Task, TaskId, Timestamp};
use veobatch_ledger::{Fence, Stored};

use crate::failpoint::Failpoint;
use crate::runtime::disk::sync_dir;
use crate::save::content::{content, hex};
use crate::save::fetch::{Fetched, disk};
use crate::save::output::{self, Placed};
use crate::save::part::{self, Part, PartName};
use crate::save::sidecar::{self, FileEntry, Found, Sidecar};

/// Longest task id that is used whole in a file name; those seen have 36 characters.
const MAX_ID_LENGTH: usize = 64;

/// What was saved, and a remark for people.
pub(super) type Saved = (Files, Option<String>);

/// The videos of one task that are being saved.
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
    /// The part file of the `number`-th video: what an earlier step left of it, or an empty file.
    pub(super) fn part(&self, number: usize) -> Result<Part, SaveError> {
        let stem = self.first_stem();
        let (folder, fence, task) = (self.folder.clone(), self.fence.clone(), self.task.id.clone());
        let name = PartName { folder, stem, fence, number, task };
        let left = if self.again { Part::adopt(&name) } else { Ok(None) };
        left.and_then(|left| left.map_or_else(|| Part::create(name), Ok)).map_err(|error| disk(&self.folder, &error))
    }

    /// Whether this is the task of another attempt, whose video is saved beside the job's own.
    fn is_stray(&self) -> bool {
        let own = self.stored.record.task();
        own.is_none_or(|own| own.id != self.task.id) && self.stored.record.stray(&self.task.id).is_some()
    }

    /// The stem that is used unless another task's file has it.
    fn first_stem(&self) -> String {
        let job = self.stored.key.job.as_str();
        if self.is_stray() { format!("{job}.stray-{}", short(&self.task.id)) } else { job.to_owned() }
    }

    /// The stems that may be used, in order of preference.
    fn stems(&self) -> [String; 2] {
        [self.first_stem(), format!("{}.{}", self.stored.key.job, short(&self.task.id))]
    }

    /// A remark about the video for people.
    fn remark(&self, fetched: &[Fetched]) -> Option<String> {
        // A compact job no longer knows what was requested.
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

/// What an earlier step of this task saved but could not report to the ledger, if it matches its sidecar.
pub(super) fn already_saved(saving: &Saving) -> Result<Option<Saved>, SaveError> {
    for stem in saving.stems() {
        let found = sidecar::read(&saving.folder, &stem).map_err(|error| disk(&saving.folder, &error))?;
        if let Found::Sidecar(known) = found
            && known.task_id == saving.task.id
            && known.matches(&saving.folder).map_err(|error| disk(&saving.folder, &error))?
        {
            let names: Vec<String> = known.files.iter().map(|file| file.name.clone()).collect();
            return Ok(Some((saving.files(&stem, &names), known.remark.clone())));
        }
    }
    Ok(None)
}

/// Moves the fetched files to their names, writes the sidecar, and makes both durable.
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
            return Err(io::Error::other(format!("{stem}.json was created by somebody else")));
        }
        sync_dir(folder)?;
        Failpoint::Saved.reached();
        if saving.again {
            part::remove_all(folder, &saving.first_stem());
        }
        return Ok((saving.files(&stem, &names), remark));
    }
    Err(io::Error::other(format!("the names for job {} are taken by other files", saving.stored.key)))
}

/// Whether all names of the stem are free, or hold what was just fetched.
fn is_usable(saving: &Saving, stem: &str, fetched: &[Fetched]) -> io::Result<bool> {
    match sidecar::read(&saving.folder, stem)? {
        Found::Nothing => {}
        Found::Sidecar(known) if known.task_id == saving.task.id => {}
        Found::Sidecar(_) | Found::Other => return Ok(false),
    }
    for (number, file) in (1..).zip(fetched) {
        let there = content(&output::video(&saving.folder, stem, number))?;
        // A crash between taking a name and filling it leaves an empty file.
        if there.is_some_and(|there| there.bytes > 0 && there != file.content) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A task id as part of a file name: whole, unless the name might become too long.
fn short(task: &TaskId) -> String {
    let text = task.as_str();
    if text.len() <= MAX_ID_LENGTH {
        return text.to_owned();
    }
    let mut digest = hex(Sha256::new_with_prefix(text));
    digest.truncate(MAX_ID_LENGTH / 2);
    digest
}

/// Renames `part` to `path`, which is free, empty, or holds the same bytes already.
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
