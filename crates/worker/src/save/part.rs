//! A file that is being downloaded: `.<stem>.<fence>.part`, and beside it a checkpoint from which a later step can resume.
//!
//! ```text
//! write ─▶ sync and checkpoint, every 4 MiB and when interrupted ─▶ adopted by a later step ─▶ … ─▶ complete ─▶ renamed
//! ```
//!
//! The fence in the name tells which step a part belongs to, and the part is locked while that step writes it: two steps never
//! write the same file. What a dead or ended step left behind is adopted, by this process or another, by locking the part and
//! renaming it to the new fence: of several that try, one succeeds. Where files cannot be locked, nothing is adopted. A
//! checkpoint vouches for what was synced before it was written, and for its hash; anything beyond it, or with another hash,
//! is not trusted.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::{debug, warn};
use veobatch_api::redact;
use veobatch_core::TaskId;
use veobatch_ledger::Fence;

use crate::runtime::disk::Disk;
use crate::save::content::{Content, content, digest, hex};

/// Bytes between two checkpoints: at most so much is lost with a process or machine.
const CHECKPOINT_EVERY: u64 = 4 * 1024 * 1024;

const PART: &str = ".part";
const CHECKPOINT: &str = ".checkpoint";
/// A sidecar that is being written.
const SIDECAR_PART: &str = ".json.part";

/// Where a step writes one file, and for which task.
#[derive(Clone, Debug)]
pub(crate) struct PartName {
    pub(crate) folder: PathBuf,
    /// The final name, without number and extension.
    pub(crate) stem: String,
    pub(crate) fence: Fence,
    /// From 1.
    pub(crate) number: usize,
    pub(crate) task: TaskId,
}

impl PartName {
    fn path(&self, ending: &str) -> PathBuf {
        let number = if self.number == 1 { String::new() } else { format!(".{}", self.number) };
        self.folder.join(format!(".{}.{}{number}{ending}", self.stem, self.fence))
    }
}

/// Where the bytes come from, as far as the host tells: shows whether the rest still belongs to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The link without its secrets.
    link: String,
    /// Identifies this very content at the host: a strong `ETag`, else `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validator: Option<String>,
    /// The length of the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
}

impl Source {
    pub(crate) fn new(link: &str, validator: Option<String>, total: Option<u64>) -> Self {
        Self { link: redact(link), validator, total }
    }

    /// The validator for requesting the rest from `link`. A date distinguishes two versions of one link, an `ETag` two
    /// contents at any link.
    pub(crate) fn validator_for(&self, link: &str) -> Option<&str> {
        let is_tag = |validator: &&str| validator.starts_with('"');
        self.validator.as_deref().filter(|validator| is_tag(validator) || self.link == redact(link))
    }
}

/// What is stored beside a part.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    task: TaskId,
    source: Source,
    bytes: u64,
    sha256: String,
}

/// A part that this step writes; locked until dropped.
#[derive(Debug)]
pub(crate) struct Part {
    name: PartName,
    source: Source,
    file: File,
    sha256: Sha256,
    bytes: u64,
    /// How many bytes the checkpoint vouches for; `None` if there is no checkpoint.
    checkpointed: Option<u64>,
    is_adopted: bool,
}

impl Part {
    /// An empty part.
    pub(crate) fn create(name: PartName) -> io::Result<Self> {
        Disk::Output.is_writable()?;
        let file = File::create(name.path(PART))?;
        if let Err(error) = file.try_lock() {
            debug!(%error, "a part file cannot be locked, so it cannot be adopted either");
        }
        let source = Source::default();
        Ok(Self { name, source, file, sha256: Sha256::new(), bytes: 0, checkpointed: None, is_adopted: false })
    }

    /// What an earlier step of the same task left of this file, now under this step's name; `None` if there is nothing to
    /// resume.
    pub(crate) fn adopt(name: &PartName) -> io::Result<Option<Self>> {
        let mut best: Option<(PathBuf, Checkpoint)> = None;
        for entry in fs::read_dir(&name.folder)?.flatten() {
            let is_one =
                entry.file_name().to_str().is_some_and(|found| is_part_of(found, &name.stem, name.number, CHECKPOINT));
            let checkpoint = is_one
                .then(|| read_checkpoint(&entry.path()))
                .flatten()
                .filter(|checkpoint| checkpoint.task == name.task);
            let more = |checkpoint: &Checkpoint| best.as_ref().is_none_or(|(_, best)| checkpoint.bytes > best.bytes);
            if let Some(checkpoint) = checkpoint.filter(more) {
                best = Some((entry.path(), checkpoint));
            }
        }
        let Some((path, checkpoint)) = best else { return Ok(None) };
        match take_over(name, &path, checkpoint) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The content so far.
    pub(crate) fn content(&self) -> Content {
        Content { bytes: self.bytes, sha256: hex(self.sha256.clone()) }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the file is complete.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes > 0 && self.source.total == Some(self.bytes)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.name.path(PART)
    }

    /// What follows comes from `source`.
    pub(crate) fn continue_from(&mut self, source: Source) {
        self.source = source;
    }

    /// Discards the content: the file starts over.
    pub(crate) fn start_over(&mut self) -> io::Result<()> {
        self.remove_checkpoint();
        self.file.set_len(0)?;
        self.file.rewind()?;
        (self.sha256, self.bytes, self.is_adopted) = (Sha256::new(), 0, false);
        Ok(())
    }

    /// Appends `chunk`.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        Disk::Output.write(&mut self.file, chunk)?;
        self.sha256.update(chunk);
        self.bytes += chunk.len() as u64;
        if self.bytes - self.checkpointed.unwrap_or_default() >= CHECKPOINT_EVERY { self.keep() } else { Ok(()) }
    }

    /// Makes the content durable, so that a later step can resume.
    pub(crate) fn keep(&mut self) -> io::Result<()> {
        if self.bytes == 0 || self.checkpointed == Some(self.bytes) {
            return Ok(());
        }
        Disk::Output.sync(&self.file)?;
        let Content { bytes, sha256 } = self.content();
        let checkpoint = Checkpoint { task: self.name.task.clone(), source: self.source.clone(), bytes, sha256 };
        let checkpoint = serde_json::to_vec(&checkpoint).map_err(io::Error::other)?;
        Disk::Output.write(&mut File::create(self.name.path(CHECKPOINT))?, &checkpoint)?;
        self.checkpointed = Some(self.bytes);
        Ok(())
    }

    /// Makes the complete file durable and returns its content. If other steps wrote a part of it, the whole file is read
    /// again.
    pub(crate) fn seal(&mut self) -> io::Result<Content> {
        Disk::Output.sync(&self.file)?;
        let written = self.content();
        if self.is_adopted && content(&self.path())?.as_ref() != Some(&written) {
            return Err(io::Error::other("the part file was changed by somebody else"));
        }
        Ok(written)
    }

    /// Removes the part and its checkpoint.
    pub(crate) fn discard(mut self) {
        drop(fs::remove_file(self.path()));
        self.remove_checkpoint();
    }

    /// To be called once the file was renamed: the checkpoint is no longer needed.
    pub(crate) fn remove_checkpoint(&mut self) {
        if self.checkpointed.take().is_some() {
            drop(fs::remove_file(self.name.path(CHECKPOINT)));
        }
    }
}

/// Adopts the part beside the checkpoint at `path`, if nobody writes it any more and it matches the checkpoint.
fn take_over(name: &PartName, path: &Path, checkpoint: Checkpoint) -> io::Result<Option<Part>> {
    let old = path.with_extension(PART.trim_start_matches('.'));
    let mut file = File::options().read(true).write(true).open(&old)?;
    if let Err(error) = file.try_lock() {
        debug!(%error, "an earlier part file may still be written: starting over");
        return Ok(None);
    }
    let (read, sha256) = digest((&mut file).take(checkpoint.bytes))?;
    if read != checkpoint.bytes || hex(sha256.clone()) != checkpoint.sha256 {
        warn!("an earlier part file does not match its checkpoint: starting over");
        return Ok(None);
    }
    Disk::Output.is_writable()?;
    fs::rename(&old, name.path(PART))?;
    file.set_len(checkpoint.bytes)?;
    file.seek(SeekFrom::Start(checkpoint.bytes))?;
    let Checkpoint { source, bytes, .. } = checkpoint;
    let mut part = Part { name: name.clone(), source, file, sha256, bytes, checkpointed: None, is_adopted: true };
    part.keep()?;
    drop(fs::remove_file(path));
    Ok(Some(part))
}

fn read_checkpoint(path: &Path) -> Option<Checkpoint> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Removes what earlier steps of `stem` left behind.
pub(crate) fn remove_all(folder: &Path, stem: &str) {
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files.flatten() {
        if file.file_name().to_str().is_some_and(|name| is_left_of(name, stem))
            && let Err(error) = fs::remove_file(file.path())
        {
            warn!(%error, "an old part file could not be removed");
        }
    }
}

/// Whether a file of this name is temporary.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && (name.ends_with(PART) || name.ends_with(CHECKPOINT))
}

fn is_left_of(name: &str, stem: &str) -> bool {
    [PART, CHECKPOINT, SIDECAR_PART].into_iter().any(|ending| number_of(name, stem, ending).is_some())
}

fn is_part_of(name: &str, stem: &str, number: usize, ending: &str) -> bool {
    number_of(name, stem, ending) == Some(number)
}

/// The number in `.<stem>.<fence><ending>` or `.<stem>.<fence>.<number><ending>`; `None` for another stem that begins like
/// this one.
fn number_of(name: &str, stem: &str, ending: &str) -> Option<usize> {
    let rest = name.strip_prefix('.')?.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(ending)?;
    let (fence, number) = rest.split_once('.').unwrap_or((rest, "1"));
    // 64 random bits; on Redis followed by the index of the claim within its call.
    let is_fence = fence.len() >= 16 && fence.bytes().all(|byte| byte.is_ascii_hexdigit());
    number.parse().ok().filter(|_| is_fence && number.len() < 4)
}

#[cfg(test)]
#[path = "part/tests.rs"]
mod tests;
