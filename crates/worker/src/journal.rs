//! The journal of paid calls: what this process was about to do with money, on this machine's disk.
//!
//! ```text
//! claiming ─▶ (granted) ─▶ sending ══▶ answer ─▶ settled
//!                          fsync   pay  fsync
//! ```
//!
//! One locked file a process. Whoever finds one that is not locked knows that its process is gone, and replays it: an
//! answer that the ledger was not told is told; an attempt that was claimed and provably not sent goes back to the
//! queue; one that was being sent stays in doubt. The ledger is the truth, this is only its evidence: a journal that is
//! lost costs certainty, never money.
//!
//! A ledger that may go back in time (a Redis that crashed, or was replaced by its replica) may forget what it was told:
//! what may have been paid for is remembered for [`KEEP`], and told again when the ledger says that it recovers.

pub(crate) mod line;
pub(crate) mod replay;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use veobatch_core::{JobKey, Outcome, Token};

use crate::disk::Disk;
use crate::{blocking, random};
use line::{Finding, Line, finding};

/// A journal that has grown beyond this is rewritten with what is still open.
const REWRITE_AT: u64 = 1 << 20;

/// How long what the ledger was told is remembered: far longer than a server lags behind its replica or its disk.
/// At two submissions a second these are 7,200 attempts, 2 MB.
pub(crate) const KEEP: Duration = Duration::from_secs(60 * 60);

/// The journal of this process.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    keeps_told: bool,
    written: Mutex<Written>,
    /// How many lines are on disk for certain. Held while syncing: whoever waits for it may find its line there already.
    synced: Mutex<u64>,
}

#[derive(Debug)]
struct Written {
    file: File,
    path: PathBuf,
    lines: u64,
    bytes: u64,
    rewrite_at: u64,
    /// A write or a sync failed: what is in the file is not known, so it is not relied on any more.
    broken: bool,
    /// The lines of attempts that are not settled.
    open: BTreeMap<Token, Vec<Line>>,
    /// The lines of attempts that were settled lately and may have been paid for.
    told: VecDeque<(Instant, Vec<Line>)>,
}

impl Journal {
    /// Starts this process's journal in `dir`, which is made if it is not there. `keeps_told`: the ledger may go back in
    /// time.
    pub(crate) fn start(dir: &Path, keeps_told: bool) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let (file, path) = create(dir)?;
        sync_dir(dir)?;
        let (open, told) = (BTreeMap::new(), VecDeque::new());
        let written = Written { file, path, lines: 0, bytes: 0, rewrite_at: REWRITE_AT, broken: false, open, told };
        let (written, synced) = (Mutex::new(written), Mutex::new(0));
        Ok(Self(Arc::new(Shared { dir: dir.to_owned(), keeps_told, written, synced })))
    }

    /// Whether the ledger may go back in time.
    pub(crate) fn keeps_told(&self) -> bool {
        self.0.keeps_told
    }

    /// What this process told the ledger lately, or is telling it, and may have been paid for. A call that has no answer
    /// yet is not among it: its worker tells.
    pub(crate) fn told(&self) -> Vec<Finding> {
        let written = self.0.written();
        let told = written.told.iter().filter_map(|(_, lines)| Some(finding(lines.first()?.token(), lines)));
        let open = written.open.iter().map(|(token, lines)| finding(token, lines));
        let answered = open.filter(|finding| matches!(finding, Finding::Answered { .. }));
        told.chain(answered.filter_map(Finding::into_told)).collect()
    }

    /// Where the journals of this machine are.
    pub(crate) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Says that `token` is about to be claimed with.
    pub(crate) async fn claiming(&self, token: &Token) -> io::Result<()> {
        self.write(Line::Claiming(token.clone()), false).await
    }

    /// Says that the paid call of `token` is about to be made. On disk when this returns `Ok`; else it must not be made.
    pub(crate) async fn sending(&self, token: &Token, job: &JobKey) -> io::Result<()> {
        self.write(Line::Sending { token: token.clone(), job: job.clone() }, true).await
    }

    /// Says how the paid call of `token` ended. On disk when this returns `Ok`.
    pub(crate) async fn answer(&self, token: &Token, outcome: &Outcome) -> io::Result<()> {
        self.write(Line::Answer { token: token.clone(), outcome: outcome.clone() }, true).await
    }

    /// Says that the ledger knows all there is to know about `token`.
    pub(crate) async fn settled(&self, token: &Token) -> io::Result<()> {
        self.write(Line::Settled(token.clone()), false).await
    }

    /// Removes the journal if nothing in it is open or worth remembering.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let written = self.0.written();
        Disk::State.is_writable()?;
        if written.open.is_empty() && written.told.is_empty() { fs::remove_file(&written.path) } else { Ok(()) }
    }

    /// The file, and how many of its lines are certain to outlive a power cut.
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

impl Shared {
    /// Appends `line`; returns its number.
    fn append(&self, line: Line) -> io::Result<u64> {
        let mut written = self.written();
        let stored = self.store(&mut written, &line);
        // What the ledger knows is not open any more, also if it could not be written down.
        if stored.is_ok() || matches!(line, Line::Settled(_)) {
            self.take_down(&mut written, line);
        }
        stored.map(|()| written.lines)
    }

    fn store(&self, written: &mut Written, line: &Line) -> io::Result<()> {
        if written.broken || written.bytes > written.rewrite_at {
            self.rewrite(written)?;
        }
        let bytes = line.to_bytes();
        if let Err(error) = Disk::State.write(&mut written.file, &bytes) {
            written.broken = true;
            return Err(error);
        }
        written.bytes += bytes.len() as u64;
        written.lines += 1;
        Ok(())
    }

    /// Keeps what is open, and what is worth remembering.
    fn take_down(&self, written: &mut Written, line: Line) {
        let Line::Settled(token) = &line else {
            written.open.entry(line.token().clone()).or_default().push(line);
            return;
        };
        let mut lines = written.open.remove(token).unwrap_or_default();
        if self.keeps_told && finding(token, &lines).into_told().is_some() {
            lines.push(line);
            written.told.push_back((Instant::now(), lines));
        }
        while written.told.front().is_some_and(|(at, _)| at.elapsed() > KEEP) {
            written.told.pop_front();
        }
    }

    /// Returns once line `number` is on disk; one sync serves all that were written before it began.
    ///
    /// A sync that failed is the last one of its file: the system may have forgotten what it could not write, and would
    /// call the next one a success. Whoever waits here finds that out under the same lock, and is refused.
    fn sync(&self, number: u64) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= number {
            return Ok(());
        }
        let (file, lines) = {
            let written = self.written();
            if written.broken {
                return Err(io::Error::other("the journal failed and is not written anew yet"));
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

    /// Goes over to a new file that holds what is open and what is remembered. The old one goes, still locked, once the new one is on disk: at
    /// no time does an unlocked file lack a line that another one has.
    fn rewrite(&self, written: &mut Written) -> io::Result<()> {
        let (mut file, path) = create(&self.dir)?;
        let told = written.told.iter().flat_map(|(_, lines)| lines);
        let text: Vec<u8> = told.chain(written.open.values().flatten()).flat_map(Line::to_bytes).collect();
        let stored = Disk::State
            .write(&mut file, &text)
            .and_then(|()| Disk::State.sync(&file))
            .and_then(|()| sync_dir(&self.dir));
        if let Err(error) = stored.and_then(|()| fs::remove_file(&written.path)) {
            // Nothing refers to the new one yet.
            drop(fs::remove_file(&path));
            return Err(error);
        }
        written.bytes = text.len() as u64;
        written.rewrite_at = REWRITE_AT.max(2 * written.bytes);
        written.broken = false;
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
    // Locked before it has its name: nobody ever sees it unlocked and empty.
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

/// Makes the names in `dir` durable, where the system can.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchId, JobId};

    use super::line::{Finding, findings};
    use super::*;
    use crate::blocking::on_the_spot;
    use crate::disk::fault::{self, Fault};

    fn journals(dir: &Path) -> Vec<PathBuf> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn key() -> JobKey {
        JobKey { batch: BatchId::parse("b").unwrap(), job: JobId::parse("j").unwrap() }
    }

    #[tokio::test]
    async fn a_journal_that_grew_is_rewritten_with_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::start(dir.path(), false).unwrap();
        let open = Token::from_bits(7);
        journal.sending(&open, &key()).await.unwrap();
        journal.0.written().rewrite_at = 1000;
        for n in 100..150 {
            let token = Token::from_bits(n);
            journal.claiming(&token).await.unwrap();
            journal.settled(&token).await.unwrap();
        }
        journal.0.written().broken = true;
        journal.settled(&Token::from_bits(9)).await.unwrap();
        let [path] = journals(dir.path()).try_into().unwrap();
        let text = fs::read(path).unwrap();
        assert_eq!(findings(&text).open, [Finding::CutOff { token: open.clone(), job: key() }]);
        assert!(text.len() < 300);
        journal.settled(&open).await.unwrap();
        journal.finish().unwrap();
        assert_eq!(journals(dir.path()).len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_ledger_was_told_is_remembered_for_an_hour_where_it_may_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::start(dir.path(), true).unwrap();
        let paid = async |n: u128| {
            let token = Token::from_bits(n);
            journal.sending(&token, &key()).await.unwrap();
            journal.answer(&token, &Outcome::Unknown("reset".to_owned())).await.unwrap();
            journal.settled(&token).await.unwrap();
        };
        paid(1).await;
        journal.0.written().broken = true;
        tokio::time::advance(KEEP / 2).await;
        paid(2).await;
        assert_eq!(journal.told().len(), 2);
        journal.finish().unwrap();
        let [path] = journals(dir.path()).try_into().unwrap();
        assert_eq!(findings(&fs::read(path).unwrap()).told, journal.told());

        tokio::time::advance(KEEP * 2 / 3).await;
        paid(3).await;
        assert_eq!(
            journal.told().iter().map(Finding::token).collect::<Vec<_>>(),
            [&Token::from_bits(2), &Token::from_bits(3)]
        );
    }

    #[tokio::test]
    async fn what_the_ledger_was_told_is_remembered_and_not_open_though_the_disk_was_full() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::start(dir.path(), true).unwrap();
        let (token, next) = (Token::from_bits(7), Token::from_bits(8));
        on_the_spot::set(true);
        journal.sending(&token, &key()).await.unwrap();
        fault::set(Some(Box::new(|_| Some(Fault::Full(5)))));
        journal.settled(&token).await.unwrap_err();
        journal.sending(&next, &key()).await.unwrap_err();
        fault::set(None);
        assert_eq!(journal.told(), [Finding::CutOff { token: token.clone(), job: key() }]);
        journal.claiming(&next).await.unwrap();
        on_the_spot::set(false);
        let [path] = journals(dir.path()).try_into().unwrap();
        let found = findings(&fs::read(path).unwrap());
        assert_eq!((found.told, found.open), (journal.told(), vec![Finding::NeverSent(next)]));
    }

    /// The first of two that wait for the disk is told that its sync failed. The system has forgotten both lines by then, and
    /// has nothing left to fail about.
    #[tokio::test]
    async fn after_a_sync_that_failed_nothing_is_called_durable_until_it_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::start(dir.path(), false).unwrap();
        let (one, two, three) = (Token::from_bits(1), Token::from_bits(2), Token::from_bits(3));
        let sending = |token: &Token| Line::Sending { token: token.clone(), job: key() };
        let (first, second) = (journal.0.append(sending(&one)).unwrap(), journal.0.append(sending(&two)).unwrap());
        fault::set(Some(Box::new(|_| Some(Fault::Sync))));
        journal.0.sync(first).unwrap_err();
        fault::set(None);
        journal.0.sync(second).unwrap_err();
        journal.0.sync(first).unwrap_err();

        let old = journal.on_disk().0;
        journal.sending(&three, &key()).await.unwrap();
        let (path, lines) = journal.on_disk();
        assert_ne!(path, old, "a file whose sync failed is not written to again");
        let open = findings(&fs::read(path).unwrap()).open;
        assert_eq!(open, [one, two, three].map(|token| Finding::CutOff { token, job: key() }));
        assert_eq!(lines, 3);
    }

    #[tokio::test]
    async fn the_journal_of_a_process_is_locked_while_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::start(dir.path(), false).unwrap();
        let [path] = journals(dir.path()).try_into().unwrap();
        let second = File::options().append(true).open(path).unwrap();
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(journal);
        assert!(second.try_lock().is_ok());
    }
}
