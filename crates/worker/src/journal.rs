//! The journal of paid calls on this machine's disk: what this process was about to pay for, and what came of it.
//!
//! ```text
//! claiming ─▶ (granted) ─▶ sending ══▶ answer ─▶ settled
//!                          fsync   pay  fsync
//! ```
//!
//! One locked file per process. A journal that is not locked belongs to a process that is gone, and is replayed: an answer
//! that the ledger does not have is stored; an attempt that was claimed and provably not sent goes back to the queue; one
//! that was being sent stays in doubt. The ledger is the truth, the journal is only evidence: losing a journal costs
//! certainty, never money.
//!
//! A ledger that may go back in time (a Redis that crashed, or was replaced by its replica) may forget what was stored in
//! it: what may have been paid for is kept for [`KEEP`], and replayed when the ledger recovers. Any ledger may also be
//! restored from a backup, or emptied: what was paid for is kept on disk for [`history::KEEP`].
//!
//! | file in the state directory | content | removed |
//! |---|---|---|
//! | `journal-….jsonl` | the journal of one process | when its process ends: becomes history, if anything in it was paid for |
//! | `history-<ledger>-….jsonl` | a journal that has ended | after [`history::KEEP`], only by workers of the same ledger |
//! | `ledger-<ledger>.json` | how many submissions that ledger had granted ([`high_water`]) | never |
//!
//! Every line names its ledger. Payments of another ledger are no evidence for this one: its journals are left alone, unless a
//! person adopts them.

pub(crate) mod carry;
pub(crate) mod high_water;
pub(crate) mod history;
pub(crate) mod line;
pub(crate) mod others;
pub(crate) mod replay;
pub(crate) mod restored;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use veobatch_core::{JobKey, Outcome, Token};
use veobatch_ledger::{Identity, LedgerId};

use crate::runtime::disk::{Disk, sync_dir};
use crate::runtime::{blocking, random};
use high_water::HighWater;
use line::{Finding, Line, finding};

/// Size, in bytes, at which a journal is rewritten with what is still open.
const REWRITE_AT: u64 = 1 << 20;

/// How long settled attempts are kept for replay: far longer than a server lags behind its replica or its disk.
/// At two submissions per second these are 7,200 attempts, 2 MB.
pub(crate) const KEEP: Duration = Duration::from_secs(60 * 60);

/// The journal of this process.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Shared>);

/// Where journals are kept, and of which ledger.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) ledger: LedgerId,
    /// The ledger may go back in time by itself.
    pub(crate) keeps_settled: bool,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    /// The mark of the ledger's grants, if the ledger counts them.
    high_water: Option<HighWater>,
    written: Mutex<Written>,
    /// Number of lines that are certainly on disk. Locked while syncing: whoever waits for it may find its line there already.
    synced: Mutex<u64>,
}

#[derive(Debug)]
struct Written {
    file: File,
    path: PathBuf,
    lines: u64,
    bytes: u64,
    rewrite_at: u64,
    /// A write or a sync failed: the content of the file is unknown, so it is no longer used.
    broken: bool,
    /// The lines of attempts that are not settled.
    open: BTreeMap<Token, Vec<Line>>,
    /// The lines of recently settled attempts that may have been paid for.
    settled: VecDeque<(Instant, Vec<Line>)>,
    /// The file has settled attempts that may have been paid for.
    has_paid: bool,
}

impl Journal {
    /// Starts this process's journal in `dir`, which is created if it does not exist. `keeps_settled`: the ledger may go back
    /// in time by itself, so its count of grants proves nothing.
    pub(crate) fn start(dir: &Path, of: &Identity, keeps_settled: bool) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let grants = of.grants.filter(|_| !keeps_settled);
        let high_water = grants.map(|grants| HighWater::start(dir, &of.id, grants)).transpose()?;
        let (file, path) = create(dir)?;
        sync_dir(dir)?;
        let written = Written {
            file,
            path,
            lines: 0,
            bytes: 0,
            rewrite_at: REWRITE_AT,
            broken: false,
            open: BTreeMap::new(),
            settled: VecDeque::new(),
            has_paid: false,
        };
        let place = Place { dir: dir.to_owned(), ledger: of.id.clone(), keeps_settled };
        let (written, synced) = (Mutex::new(written), Mutex::new(0));
        Ok(Self(Arc::new(Shared { place, high_water, written, synced })))
    }

    /// Whether the ledger may go back in time.
    pub(crate) fn keeps_settled(&self) -> bool {
        self.0.place.keeps_settled
    }

    /// What this process recently stored in the ledger, or is storing, and may have been paid for. Does not include calls
    /// without an answer yet: this process will store their outcome.
    pub(crate) fn recent(&self) -> Vec<Finding> {
        let written = self.0.written();
        let told = written.settled.iter().filter_map(|(_, lines)| Some(finding(lines.first()?.token(), lines)));
        let open = written.open.iter().map(|(token, lines)| finding(token, lines));
        let answered = open.filter(|finding| matches!(finding, Finding::Answered { .. }));
        told.chain(answered.filter_map(Finding::if_paid)).collect()
    }

    /// Where the journals of this machine are, and of which ledger this one is.
    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    /// `token` is about to be used for a claim.
    pub(crate) async fn claiming(&self, token: &Token) -> io::Result<()> {
        self.write(Line::Claiming(token.clone()), false).await
    }

    /// The paid call of `token` is about to be made; the ledger has made `grants` so far. On disk when this returns `Ok`;
    /// otherwise the call must not be made.
    pub(crate) async fn sending(&self, token: &Token, job: &JobKey, grants: Option<u64>) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        let raise = move || match (&shared.high_water, grants) {
            (Some(high_water), Some(grants)) => high_water.raise(grants),
            (Some(_) | None, _) => Ok(()),
        };
        blocking::run(raise).await.flatten()?;
        self.write(Line::Sending { token: token.clone(), job: job.clone() }, true).await
    }

    /// How the paid call of `token` ended. On disk when this returns `Ok`.
    pub(crate) async fn answer(&self, token: &Token, outcome: &Outcome) -> io::Result<()> {
        self.write(Line::Answer { token: token.clone(), outcome: outcome.clone() }, true).await
    }

    /// The ledger knows everything about `token`.
    pub(crate) async fn settled(&self, token: &Token) -> io::Result<()> {
        self.write(Line::Settled(token.clone()), false).await
    }

    /// Ends the journal, unless something in it is open or may have to be replayed soon.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let written = self.0.written();
        Disk::State.is_writable()?;
        if written.open.is_empty() && written.settled.is_empty() { self.0.place.end(&written) } else { Ok(()) }
    }

    /// The file, and how many of its lines certainly survive a power cut.
    #[cfg(test)]
    pub(crate) fn on_disk(&self) -> (PathBuf, u64) {
        (self.0.written().path.clone(), *self.0.synced.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn write(&self, line: Line, durable: bool) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        let done = blocking::run(move || {
            let number = shared.append(line)?;
            if durable { shared.sync(number) } else { Ok(()) }
        });
        done.await.flatten()
    }
}

impl Place {
    /// A file that is no longer written: becomes history, or is removed.
    fn end(&self, written: &Written) -> io::Result<()> {
        if written.has_paid { history::retire(&written.path, &self.ledger) } else { fs::remove_file(&written.path) }
    }
}

impl Shared {
    /// Appends `line`; returns its number.
    fn append(&self, line: Line) -> io::Result<u64> {
        let mut written = self.written();
        let stored = self.store(&mut written, &line);
        // What the ledger knows is no longer open, even if that could not be written.
        if stored.is_ok() || matches!(line, Line::Settled(_)) {
            self.track(&mut written, line);
        }
        stored.map(|()| written.lines)
    }

    fn store(&self, written: &mut Written, line: &Line) -> io::Result<()> {
        if written.broken || written.bytes > written.rewrite_at {
            self.rewrite(written)?;
        }
        let bytes = line.to_bytes(&self.place.ledger);
        if let Err(error) = Disk::State.write(&mut written.file, &bytes) {
            written.broken = true;
            return Err(error);
        }
        written.bytes += bytes.len() as u64;
        written.lines += 1;
        Ok(())
    }

    /// Keeps track of open and recently settled attempts.
    fn track(&self, written: &mut Written, line: Line) {
        let Line::Settled(token) = &line else {
            written.open.entry(line.token().clone()).or_default().push(line);
            return;
        };
        let mut lines = written.open.remove(token).unwrap_or_default();
        if finding(token, &lines).if_paid().is_some() {
            written.has_paid = true;
            if self.place.keeps_settled {
                lines.push(line);
                written.settled.push_back((Instant::now(), lines));
            }
        }
        while written.settled.front().is_some_and(|(at, _)| at.elapsed() > KEEP) {
            written.settled.pop_front();
        }
    }

    /// Returns once line `number` is on disk; one sync serves all lines that were written before it began.
    ///
    /// After a failed sync the file is not synced again: the system may have dropped what it could not write, and would
    /// report the next sync as a success. Whoever waits here sees that under the same lock, and fails too.
    fn sync(&self, number: u64) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= number {
            return Ok(());
        }
        let (file, lines) = {
            let written = self.written();
            if written.broken {
                return Err(io::Error::other("the journal failed and was not rewritten yet"));
            }
            (written.file.try_clone(), written.lines)
        };
        if let Err(error) = file.and_then(|file| Disk::State.sync_data(&file)) {
            self.written().broken = true;
            return Err(error);
        }
        *synced = lines;
        Ok(())
    }

    /// Switches to a new file with the open and the recently settled attempts. The old file ends, still locked, once the new
    /// one is on disk: an unlocked journal never lacks a line that another one has.
    fn rewrite(&self, written: &mut Written) -> io::Result<()> {
        let Place { dir, ledger, .. } = &self.place;
        let (mut file, path) = create(dir)?;
        let told = written.settled.iter().flat_map(|(_, lines)| lines);
        let lines = told.chain(written.open.values().flatten());
        let text: Vec<u8> = lines.flat_map(|line| line.to_bytes(ledger)).collect();
        let stored =
            Disk::State.write(&mut file, &text).and_then(|()| Disk::State.sync(&file)).and_then(|()| sync_dir(dir));
        if let Err(error) = stored.and_then(|()| self.place.end(written)) {
            // Nothing refers to the new file yet.
            drop(fs::remove_file(&path));
            return Err(error);
        }
        written.bytes = text.len() as u64;
        written.rewrite_at = REWRITE_AT.max(2 * written.bytes);
        written.broken = false;
        written.has_paid = !written.settled.is_empty();
        (written.file, written.path) = (file, path);
        Ok(())
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new, locked, empty file in `dir`.
fn create(dir: &Path) -> io::Result<(File, PathBuf)> {
    Disk::State.is_writable()?;
    let path = dir.join(format!("{PREFIX}{:032x}{SUFFIX}", random::bits()));
    // Locked before it is renamed: nobody ever sees it unlocked and empty.
    let fresh = path.with_extension("new");
    let file = File::options().append(true).create_new(true).open(&fresh)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => return Err(io::Error::other("a new journal is locked already")),
    }
    fs::rename(&fresh, &path)?;
    Ok((file, path))
}

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".jsonl";

#[cfg(test)]
mod tests;
