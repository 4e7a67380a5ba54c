//! The end of a process: its futures are dropped, then its lock; and perhaps what was not synced is lost.

use std::fs;
use std::path::Path;

use veobatch_core::Outcome;

use super::state::SimState;
use super::state::processes::Owner;
use crate::journal::line::Line as JournalLine;

/// `owner` was killed; `fall` drops what is left of it.
pub(super) fn killed(state: &SimState, owner: Owner, fall: impl FnOnce()) {
    state.say(|| format!("p{owner} is killed"));
    state.count_kill();
    falls(state, owner, fall);
    state.gone(owner, true);
}

/// `owner` came to its own end.
pub(super) fn ended(state: &SimState, owner: Owner) {
    falls(state, owner, || {});
    state.gone(owner, false);
}

/// The end of a killed process: its futures go, then its lock; and perhaps what was not synced.
fn falls(state: &SimState, owner: Owner, fall: impl FnOnce()) {
    let process = state.processes.0.lock().unwrap().remove(&owner);
    fall();
    let Some(process) = process else { return };
    if let Some(journal) = &process.journal
        && state.chance(state.faults().power)
    {
        let (path, lines) = journal.on_disk();
        cut(state, &path, usize::try_from(lines).unwrap());
    }
    remember(state, &process.state_dir);
}

/// The power fails: what was not synced is lost, but perhaps for the beginning of it.
fn cut(state: &SimState, path: &Path, lines: usize) {
    let Ok(text) = fs::read(path) else { return };
    let safe: usize = text.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum();
    let kept = safe + state.below((text.len() - safe) as u64 + 1) as usize;
    state.say(|| format!("the power fails: {} of {} bytes of a journal are left", kept, text.len()));
    fs::write(path, &text[..kept]).unwrap();
}

/// What the journals of a machine know of accepted tasks: from now on nobody may forget it.
fn remember(state: &SimState, state_dir: &Path) {
    let Ok(files) = fs::read_dir(state_dir) else { return };
    for file in files.flatten() {
        let text = fs::read(file.path()).unwrap_or_default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Some((JournalLine::Answer { outcome: Outcome::Accepted(task), .. }, _)) = JournalLine::parse(line) {
                state.service.lock().unwrap().journaled.insert(task);
            }
        }
    }
}
