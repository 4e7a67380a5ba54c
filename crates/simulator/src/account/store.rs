//! What the service never forgets: an append-only file of JSON lines, replayed at the start.
//!
//! Each line is written with one call before the answer that depends on it is sent, so that a killed process forgets
//! nothing that anybody was told. It is not forced to the disk: a power cut may lose the last moments. A torn last line
//! is what a kill leaves; it is cut off at the start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::account::task::Task;
use crate::video::shape::Resolution;

/// The file's name if the store is given as a folder.
const FILE_NAME: &str = "simulator.jsonl";

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "entry")]
pub(crate) enum StoredEvent {
    /// A submission was accepted and charged.
    Accepted(Box<Task>),
    /// A submission was turned away, with this code (0: no answer).
    TurnedAway { submission: u64, at_ms: u64, code: u16 },
    /// A better version was asked for.
    Upgraded { task: String, upgrade: Upgraded },
}

/// A better version of a task's video.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Upgraded {
    pub(crate) resolution: Resolution,
    pub(crate) asked_ms: u64,
    /// When it is there; `None` if never.
    pub(crate) ready_ms: Option<u64>,
    pub(crate) price: u64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Store(File);

impl Store {
    /// Opens the store at `path` (a file, or a folder that holds it), and returns what it remembers.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<StoredEvent>)> {
        let path = file_of(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let entries = lines.map(serde_json::from_slice).collect::<Result<Vec<StoredEvent>, _>>()?;
        let end = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok((Self(file), entries))
    }

    /// Remembers an entry. After an error nothing of it is remembered, as far as the disk allows.
    pub(crate) fn append(&mut self, entry: &StoredEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let before = self.0.stream_position()?;
        self.0.write_all(&line).inspect_err(|_| {
            let _ = self.0.set_len(before).and_then(|()| self.0.seek(SeekFrom::Start(before)));
        })
    }
}

fn file_of(path: &Path) -> PathBuf {
    let is_folder = path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/');
    if is_folder { path.join(FILE_NAME) } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(submission: u64) -> StoredEvent {
        StoredEvent::TurnedAway { submission, at_ms: 5, code: 429 }
    }

    fn remembered(path: &Path) -> Vec<u64> {
        let number = |entry: &StoredEvent| match entry {
            StoredEvent::TurnedAway { submission, .. } => *submission,
            StoredEvent::Accepted(task) => task.submission,
            StoredEvent::Upgraded { .. } => 0,
        };
        Store::open(path).unwrap().1.iter().map(number).collect()
    }

    #[test]
    fn a_torn_last_line_is_forgotten_and_the_file_goes_on_behind_the_whole_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/tasks.jsonl");
        Store::open(&path).unwrap().0.append(&turned(1)).unwrap();
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(br#"{"entry":"turned_away","submi"#).unwrap();
        let (mut store, entries) = Store::open(&path).unwrap();
        assert_eq!(entries.len(), 1);
        store.append(&turned(2)).unwrap();
        drop(store);
        assert_eq!(remembered(&path), [1, 2]);
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_and_not_a_loss() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.jsonl");
        std::fs::write(&path, "{\"entry\":\"nonsense\"}\n{}\n").unwrap();
        assert!(Store::open(&path).is_err());
    }

    #[test]
    fn a_folder_holds_the_file() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path()).unwrap().0.append(&turned(3)).unwrap();
        assert_eq!(remembered(&folder.path().join(FILE_NAME)), [3]);
    }
}
