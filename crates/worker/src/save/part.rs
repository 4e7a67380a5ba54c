//! A file on its way: `.<stem>.<fence>.part`, and beside it what a later step needs to go on with it, its *checkpoint*.
//!
//! ```text
//! write ─▶ sync and checkpoint, every 4 MiB and when it breaks off ─▶ adopted by a later step ─▶ … ─▶ whole ─▶ gets its name
//! ```
//!
//! The fence in its name says whose a part is, and a part is locked as long as somebody writes it: two steps never write
//! the same file. What a dead or ended step left is adopted, by this process or another, by locking it and renaming it
//! to one's own fence: of several that try, one succeeds. Where files cannot be locked nothing is adopted. A checkpoint vouches
//! for what was synced before it was written, and for its hash; whatever lies behind that, or has another hash, is not
//! trusted.

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
use crate::save::output::{Content, digest, hex};

/// So much of a download may be lost with its process or its machine.
const CHECKPOINT_EVERY: u64 = 4 * 1024 * 1024;

const PART: &str = ".part";
const CHECKPOINT: &str = ".checkpoint";
/// A sidecar on its way.
const SIDECAR_PART: &str = ".json.part";

/// Where one file of a step is written, and for which task.
#[derive(Clone, Debug)]
pub(crate) struct PartName {
    pub(crate) folder: PathBuf,
    /// What the file is to be called, without its number and ending.
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

/// Where the bytes come from, as far as the host said it: what tells whether the rest still belongs to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The link without its secrets.
    link: String,
    /// The host's word for this very content: a strong `ETag`, else `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validator: Option<String>,
    /// The length of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
}

impl Source {
    pub(crate) fn new(link: &str, validator: Option<String>, total: Option<u64>) -> Self {
        Self { link: redact(link), validator, total }
    }

    /// What to hold the file at `link` against before its rest is asked for. A date tells two versions of one link
    /// apart, an `ETag` two contents wherever they are.
    pub(crate) fn validator_for(&self, link: &str) -> Option<&str> {
        let is_tag = |validator: &&str| validator.starts_with('"');
        self.validator.as_deref().filter(|validator| is_tag(validator) || self.link == redact(link))
    }
}

/// What is written beside a part.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    task: TaskId,
    source: Source,
    bytes: u64,
    sha256: String,
}

/// A part that this step writes; locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Part {
    name: PartName,
    source: Source,
    file: File,
    sha256: Sha256,
    bytes: u64,
    /// So many of them the checkpoint vouches for; none: there is no checkpoint.
    checkpointed: Option<u64>,
    is_adopted: bool,
}

impl Part {
    /// An empty one.
    pub(crate) fn create(name: PartName) -> io::Result<Self> {
        Disk::Output.is_writable()?;
        let file = File::create(name.path(PART))?;
        if let Err(error) = file.try_lock() {
            debug!(%error, "a part file cannot be locked, so it cannot be adopted either");
        }
        let source = Source::default();
        Ok(Self { name, source, file, sha256: Sha256::new(), bytes: 0, checkpointed: None, is_adopted: false })
    }

    /// What an earlier step of the same task left of this file, now in this step's name; `None` if there is nothing to
    /// go on with.
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

    /// How many bytes are there.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is there, as it was written.
    pub(crate) fn content(&self) -> Content {
        Content { bytes: self.bytes, sha256: hex(self.sha256.clone()) }
    }

    /// Where they came from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Whether they are all there are.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes > 0 && self.source.total == Some(self.bytes)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.name.path(PART)
    }

    /// What follows comes from `source`.
    pub(crate) fn goes_on(&mut self, source: Source) {
        self.source = source;
    }

    /// Forgets what is there: the file starts over.
    pub(crate) fn start_over(&mut self) -> io::Result<()> {
        self.remove_checkpoint();
        self.file.set_len(0)?;
        self.file.rewind()?;
        (self.sha256, self.bytes, self.is_adopted) = (Sha256::new(), 0, false);
        Ok(())
    }

    /// Takes what comes next.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        Disk::Output.write(&mut self.file, chunk)?;
        self.sha256.update(chunk);
        self.bytes += chunk.len() as u64;
        if self.bytes - self.checkpointed.unwrap_or_default() >= CHECKPOINT_EVERY { self.keep() } else { Ok(()) }
    }

    /// Makes what is there durable, and adoptable by a later step.
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

    /// Nothing more comes: makes the file durable and says what it is. If others wrote to it before, it is read again
    /// as a whole.
    pub(crate) fn seal(&mut self) -> io::Result<Content> {
        Disk::Output.sync(&self.file)?;
        let content = self.content();
        if self.is_adopted && crate::save::output::content(&self.path())?.as_ref() != Some(&content) {
            return Err(io::Error::other("the part file was changed by somebody else"));
        }
        Ok(content)
    }

    /// Removes it; a full disk is no place for leftovers.
    pub(crate) fn discard(mut self) {
        drop(fs::remove_file(self.path()));
        self.remove_checkpoint();
    }

    /// To be called once the file has its name: what the checkpoint said is no longer of use.
    pub(crate) fn remove_checkpoint(&mut self) {
        if self.checkpointed.take().is_some() {
            drop(fs::remove_file(self.name.path(CHECKPOINT)));
        }
    }
}

/// Makes the part beside the checkpoint at `path` this step's own, if nobody writes it any more and it is as the checkpoint says.
fn take_over(name: &PartName, path: &Path, checkpoint: Checkpoint) -> io::Result<Option<Part>> {
    let old = path.with_extension(PART.trim_start_matches('.'));
    let mut file = File::options().read(true).write(true).open(&old)?;
    if let Err(error) = file.try_lock() {
        debug!(%error, "somebody may still be writing an earlier part file: starting anew");
        return Ok(None);
    }
    let (read, sha256) = digest((&mut file).take(checkpoint.bytes))?;
    if read != checkpoint.bytes || hex(sha256.clone()) != checkpoint.sha256 {
        warn!("an earlier part file is not what its checkpoint says: starting anew");
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

/// Whether a file of this name is passing.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && (name.ends_with(PART) || name.ends_with(CHECKPOINT))
}

fn is_left_of(name: &str, stem: &str) -> bool {
    [PART, CHECKPOINT, SIDECAR_PART].into_iter().any(|ending| number_of(name, stem, ending).is_some())
}

fn is_part_of(name: &str, stem: &str, number: usize, ending: &str) -> bool {
    number_of(name, stem, ending) == Some(number)
}

/// The number in `.<stem>.<fence><ending>` or `.<stem>.<fence>.<number><ending>`; `None` for another stem whose name begins
/// like this one.
fn number_of(name: &str, stem: &str, ending: &str) -> Option<usize> {
    let rest = name.strip_prefix('.')?.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(ending)?;
    let (fence, number) = rest.split_once('.').unwrap_or((rest, "1"));
    // 64 random bits, and on Redis which of the claims of one call it was.
    let is_fence = fence.len() >= 16 && fence.bytes().all(|byte| byte.is_ascii_hexdigit());
    number.parse().ok().filter(|_| is_fence && number.len() < 4)
}

#[cfg(test)]
#[path = "part/tests.rs"]
mod tests;
