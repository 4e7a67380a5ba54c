//! What dead processes left behind: their journals are read, told to the ledger, and removed.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tracing::{info, info_span, warn};
use veobatch_core::{JobKey, Outcome, Policy, Token};
use veobatch_ledger::{Arrival, GateReport, Ledger, LedgerError, Settle};

use super::line::{Finding, Findings, Line, findings};
use super::{Journal, KEEP, PREFIX, SUFFIX};
use crate::blocking;
use crate::disk::Disk;
use crate::evidence::{Evidence, bring};
use crate::patience::Patience;
use crate::worker::log;

/// The journal of a process that is gone; locked by us, so that nobody else replays it.
#[derive(Debug)]
struct Left {
    path: PathBuf,
    findings: Findings,
    file: File,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// What the ledger may not know.
    New,
    /// Also what it was told before, by this process too: it may have gone back in time.
    Again,
}

/// Replays every journal in the directory whose process is gone. What the ledger cannot be told now stays for next time;
/// `false` says that there is some.
///
/// # Errors
/// If the directory cannot be read, or its file system knows no locks: then nobody could tell the dead from the living.
pub(crate) async fn replay(
    journal: &Journal,
    telling: Telling,
    ledger: &dyn Ledger,
    policy: &Policy,
    patience: &mut Patience,
) -> io::Result<bool> {
    let mut all = telling == Telling::New || tell_all(ledger, policy, &journal.told(), patience).await != Told::NotAll;
    let dir = journal.dir().to_owned();
    let left = blocking::run(move || left_in(&dir)).await.flatten()?;
    for mut left in left {
        let again = match telling {
            Telling::New => Told::All,
            Telling::Again => tell_all(ledger, policy, &left.findings.told, patience).await,
        };
        let told = [again, tell_all(ledger, policy, &left.findings.open, patience).await];
        all &= !told.contains(&Told::NotAll);
        if told != [Told::All; 2] {
            warn!(journal = %left.path.display(), "a journal could not be replayed wholly; it is kept");
        } else if let Err(error) = left.done_with(journal.keeps_told()) {
            warn!(%error, journal = %left.path.display(), "a replayed journal could not be removed");
        }
    }
    Ok(all)
}

/// What came of telling several things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    All,
    /// The others are of jobs that this program cannot read: telling again helps only once another one does.
    WhatCanBeRead,
    NotAll,
}

/// Tells the ledger, the newest first: what a ledger that went back has forgotten is what it knew for the shortest time, and
/// it waits for a minute and a half only.
async fn tell_all(ledger: &dyn Ledger, policy: &Policy, findings: &[Finding], patience: &mut Patience) -> Told {
    let mut all = Told::All;
    for finding in findings.iter().rev() {
        match tell(ledger, policy, finding, patience).await {
            Ok(()) => {}
            Err(error @ LedgerError::Unreadable { .. }) => {
                warn!(%error, "the ledger could not be told what a journal says of a job");
                all = Told::WhatCanBeRead;
            }
            Err(error) => {
                warn!(%error, "the ledger did not take what a journal says");
                return Told::NotAll;
            }
        }
    }
    all
}

async fn tell(
    ledger: &dyn Ledger,
    policy: &Policy,
    finding: &Finding,
    patience: &mut Patience,
) -> Result<(), LedgerError> {
    let (token, job, outcome, arrival) = match finding {
        // A ledger that went back in time may have the job in its queue again: then this is what keeps it from being
        // paid for a second time.
        Finding::CutOff { token, job } => {
            let outcome = Outcome::Unknown("its worker was cut off during the paid call".to_owned());
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
        None => ledger.find_token(token).await?,
    }) else {
        return Ok(());
    };
    if let Outcome::Accepted(task) = &outcome
        && ledger.find_task(task).await?.as_ref() == Some(&key)
    {
        return Ok(());
    }
    told(ledger, policy, &key, token, outcome, arrival, patience).await
}

async fn told(
    ledger: &dyn Ledger,
    policy: &Policy,
    key: &JobKey,
    token: &Token,
    outcome: Outcome,
    arrival: Arrival,
    patience: &mut Patience,
) -> Result<(), LedgerError> {
    let Some(stored) = ledger.read(key).await? else {
        warn!(job = %key, "a journal speaks of a job that is gone");
        return Ok(());
    };
    let settle = Settle { token: token.clone(), arrival, gate: GateReport::Silent };
    let evidence = Evidence { token, outcome, settle: Some(settle), lease: None };
    let changed = bring(ledger, policy, stored, evidence, patience).await?;
    info_span!("journal", batch = %key.batch, job = %key.job).in_scope(|| {
        info!("replayed from a journal");
        log(&Ok(changed));
    });
    Ok(())
}

impl Left {
    /// Everything in it was told: it goes, or stays while it is worth remembering.
    fn done_with(&mut self, keeps_told: bool) -> io::Result<()> {
        let age = self.file.metadata()?.modified()?.elapsed().unwrap_or_default();
        let paid = self.findings.told.iter().chain(&self.findings.open);
        let is_worth = keeps_told && age < KEEP && paid.cloned().any(|finding| finding.into_told().is_some());
        if !is_worth {
            Disk::State.is_writable()?;
            return fs::remove_file(&self.path);
        }
        let settled: Vec<u8> =
            self.findings.open.iter().flat_map(|of| Line::Settled(of.token().clone()).to_bytes()).collect();
        if settled.is_empty() {
            return Ok(());
        }
        // The first line break ends a line that was torn.
        Disk::State.write(&mut self.file, &[b"\n", settled.as_slice()].concat())
    }
}

/// The journals in `dir` whose process is gone.
fn left_in(dir: &Path) -> io::Result<Vec<Left>> {
    let mut left = Vec::new();
    let mut paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            left.extend(take(path)?);
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
    // A living process removes its file before it lets go of it: one that has no name any more was replaced by another.
    if !path.exists() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some(Left { findings: findings(&text), path, file }))
}
