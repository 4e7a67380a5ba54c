//! The processes that are running, with what the simulation sees of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use veobatch_core::Token;

use crate::callback::Receiver;
use crate::journal::Journal;
use crate::journal::line::Line as JournalLine;
use crate::options::Stop;

/// A process. The first is the environment, which is never killed.
pub(crate) type Owner = u32;

pub(crate) const ENVIRONMENT: Owner = 0;

/// A running process: its state directory, its journal once it has one, and how it is told to stop.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) state_dir: PathBuf,
    pub(crate) journal: Option<Journal>,
    pub(crate) receiver: Option<Arc<Receiver>>,
    pub(crate) stop: Stop,
}

/// All running processes.
#[derive(Debug, Default)]
pub(crate) struct Processes(pub(crate) Mutex<BTreeMap<Owner, Process>>);

impl Processes {
    /// Whether the journal of `owner`, as a power cut would leave it, says that it is about to pay for `token`.
    pub(crate) fn is_written_down(&self, owner: Owner, token: &Token) -> bool {
        let processes = self.0.lock().unwrap();
        let Some(journal) = processes.get(&owner).and_then(|process| process.journal.as_ref()) else { return false };
        let (path, lines) = journal.on_disk();
        let text = fs::read(path).unwrap_or_default();
        let safe = text.split(|byte| *byte == b'\n').take(usize::try_from(lines).unwrap());
        let mut lines = safe.filter_map(JournalLine::parse).map(|(line, _)| line);
        lines.any(|line| matches!(line, JournalLine::Sending { token: of, .. } if of == *token))
    }

    /// The processes that have started, and their receivers of callbacks.
    pub(crate) fn working(&self) -> Vec<(Owner, Option<Arc<Receiver>>)> {
        let processes = self.0.lock().unwrap();
        let started = processes.iter().filter(|(_, process)| process.journal.is_some());
        started.map(|(owner, process)| (*owner, process.receiver.clone())).collect()
    }
}
