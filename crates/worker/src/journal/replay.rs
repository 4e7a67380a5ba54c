//! Replays the journals of processes that are gone: reads them, stores what they know in the ledger, and removes them.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tracing::{info, info_span, warn};
use veobatch_api::wall_clock;
use veobatch_core::{JobKey, Outcome, PollPolicy};
use veobatch_ledger::{Arrival, Changed, GateReport, Ledger, LedgerError, LedgerId, Lookup, Settle};

use super::line::{Finding, Findings, Line, findings};
use super::{Journal, KEEP, PREFIX, Place, SUFFIX, history};
use crate::runtime::backoff::Backoff;
use crate::runtime::blocking;
use crate::runtime::changes::{Evidence, log, record_outcome};
use crate::runtime::disk::Disk;

/// The journal of a process that is gone; locked, so that no other process replays it.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) path: PathBuf,
    pub(super) findings: Findings,
    file: File,
}

/// The result of a replay.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The ledger has everything, except for what is about jobs that this program cannot read.
    pub(crate) all: bool,
    /// There is such a job: replaying again helps only with another version of the program.
    pub(crate) unreadable: bool,
    /// Jobs that were or may have been paid for, which the ledger did not know.
    pub(crate) moved: BTreeSet<JobKey>,
    /// Jobs that were or may have been paid for and are not in the ledger.
    pub(crate) gone: BTreeSet<JobKey>,
}

impl Replayed {
    pub(crate) fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Nothing has to be replayed again.
    pub(crate) fn is_whole(&self) -> bool {
        self.all && !self.unreadable
    }

    pub(crate) fn and(&mut self, other: Self) {
        self.all &= other.all;
        self.unreadable |= other.unreadable;
        self.moved.extend(other.moved);
        self.gone.extend(other.gone);
    }
}

/// How much is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayScope {
    /// What the ledger may not have.
    Open,
    /// Also what was stored before, by this process too: the ledger may have gone back in time.
    Everything,
}

/// Replays every journal of this ledger in the directory whose process is gone. What the ledger cannot store now stays for
/// next time. Removes history that is too old.
///
/// # Errors
/// If the directory cannot be read, or its file system has no locks: then dead and living processes look the same.
pub(crate) async fn replay(
    journal: &Journal,
    scope: ReplayScope,
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    backoff: &mut Backoff,
) -> io::Result<Replayed> {
    let mut replayed = match scope {
        ReplayScope::Open => Replayed::everything(),
        ReplayScope::Everything => replay_findings(ledger, policy, &journal.recent(), backoff).await,
    };
    let place = journal.place();
    replayed.and(replay_left(place, scope, ledger, policy, backoff).await?);
    let at = place.clone();
    blocking::run(move || history::prune(&at.dir, &at.ledger, wall_clock())).await?;
    Ok(replayed)
}

/// Like [`replay`], for a process without a journal of its own.
pub(crate) async fn replay_left(
    place: &Place,
    scope: ReplayScope,
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    backoff: &mut Backoff,
) -> io::Result<Replayed> {
    let mut all = Replayed::everything();
    let at = place.clone();
    let left = blocking::run(move || left_in(&at.dir, |of| of.is_none_or(|of| *of == at.ledger))).await.flatten()?;
    for mut left in left {
        let mut replayed = match scope {
            ReplayScope::Open => Replayed::everything(),
            ReplayScope::Everything => replay_findings(ledger, policy, &left.findings.settled, backoff).await,
        };
        replayed.and(replay_findings(ledger, policy, &left.findings.open, backoff).await);
        if !replayed.is_whole() {
            warn!(journal = %left.path.display(), "a journal could not be replayed completely; it is kept");
        } else if let Err(error) = left.done_with(place) {
            warn!(%error, journal = %left.path.display(), "a replayed journal could not be removed");
        }
        all.and(replayed);
    }
    Ok(all)
}

/// Stores findings in the ledger, newest first: a ledger that went back in time has forgotten what it knew for the shortest time,
/// and it waits only for a minute and a half. Ends with the first finding that the ledger does not take, unless that is about a
/// job which this program cannot read.
pub(crate) async fn replay_findings(
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    findings: &[Finding],
    backoff: &mut Backoff,
) -> Replayed {
    let mut replayed = Replayed::everything();
    for finding in findings.iter().rev() {
        match replay_one(ledger, policy, finding, backoff, &mut replayed).await {
            Ok(()) => {}
            Err(error @ LedgerError::Unreadable { .. }) => {
                warn!(%error, "a journal entry could not be replayed");
                replayed.unreadable = true;
            }
            Err(error) => {
                warn!(%error, "a journal could not be replayed");
                replayed.all = false;
                break;
            }
        }
    }
    replayed
}

async fn replay_one(
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    finding: &Finding,
    backoff: &mut Backoff,
    all: &mut Replayed,
) -> Result<(), LedgerError> {
    let (token, job, outcome, arrival) = match finding {
        // A ledger that went back in time may have the job in its queue again: this keeps it from being paid for
        // again.
        Finding::Interrupted { token, job } => {
            let outcome = Outcome::Unknown("its worker was interrupted during the paid call".to_owned());
            (token, Some(job.clone()), outcome, Arrival::Unknown)
        }
        Finding::Answered { token, job, outcome } => (token, job.clone(), outcome.clone(), Arrival::Unknown),
        Finding::NeverSent(token) => {
            let outcome = Outcome::NotSent("its worker stopped before anything was sent".to_owned());
            (token, None, outcome, Arrival::Never)
        }
    };
    let Some(key) = (match job {
        Some(key) => Some(key),
        None => ledger.owner(Lookup::Token(token)).await?,
    }) else {
        return Ok(());
    };
    if let Outcome::Accepted(task) = &outcome
        && ledger.owner(Lookup::Task(task)).await?.as_ref() == Some(&key)
    {
        return Ok(());
    }
    let Some(stored) = ledger.find(Lookup::Name(&key)).await? else {
        warn!(job = %key, "a journal names a job that is gone");
        all.gone.insert(key);
        return Ok(());
    };
    let settle = Settle { token: token.clone(), arrival, gate: GateReport::Silent };
    let evidence = Evidence { token, outcome, settle: Some(settle), lease: None };
    let changed = record_outcome(ledger, policy, stored, evidence, backoff).await?;
    if matches!(changed, Changed::Moved { .. }) {
        all.moved.insert(key.clone());
    }
    info_span!("journal", batch = %key.batch, job = %key.job).in_scope(|| {
        info!("replayed from a journal");
        log(&Ok(changed));
    });
    Ok(())
}

impl Left {
    /// Everything in it was replayed: it ends, or stays while it may have to be told again.
    fn done_with(&mut self, place: &Place) -> io::Result<()> {
        let age = self.file.metadata()?.modified()?.elapsed().unwrap_or_default();
        let mut paid = self.findings.settled.iter().chain(&self.findings.open).cloned();
        let has_paid = paid.any(|finding| finding.if_paid().is_some());
        if !has_paid {
            Disk::State.is_writable()?;
            return fs::remove_file(&self.path);
        }
        if !place.keeps_settled || age >= KEEP {
            return history::retire(&self.path, &place.ledger);
        }
        let settled: Vec<u8> = self
            .findings
            .open
            .iter()
            .flat_map(|of| Line::Settled(of.token().clone()).to_bytes(&place.ledger))
            .collect();
        if settled.is_empty() {
            return Ok(());
        }
        // The first line break ends a truncated line.
        Disk::State.write(&mut self.file, &[b"\n", settled.as_slice()].concat())
    }
}

/// The journals in `dir` of processes that are gone, for the `wanted` ledgers; `None` is a journal that names none.
pub(super) fn left_in(dir: &Path, wanted: impl Fn(Option<&LedgerId>) -> bool) -> io::Result<Vec<Left>> {
    let mut left = Vec::new();
    let mut paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            left.extend(take(path)?.filter(|left| wanted(left.findings.ledger.as_ref())));
        }
    }
    Ok(left)
}

fn take(path: PathBuf) -> io::Result<Option<Left>> {
    let mut file = match File::options().read(true).append(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // A living process removes its file before it unlocks it: a file without a name was replaced by another.
    if !path.exists() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some(Left { findings: findings(&text), path, file }))
}
