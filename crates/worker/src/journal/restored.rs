//! Recognises a ledger that was restored from a backup: it does not know what was paid for since, and would pay again.
//!
//! ```text
//! granted by the ledger < high-water mark of the state directory
//!    ─▶ replay journals, history and sidecars ─▶ a person agrees ─▶ it counts as many grants ─▶ submit
//! ```
//!
//! Nothing is submitted until a person agrees. What the ledger knows is followed and saved.

mod sidecars;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use tracing::warn;
use veobatch_core::BatchId;
use veobatch_ledger::{AccountUpdate, Ledger, LedgerError};

use crate::journal::Place;
use crate::journal::high_water::HighWater;
use crate::journal::history;
use crate::journal::replay::{ReplayScope, Replayed, replay_findings, replay_left};
use crate::runtime::backoff::Backoff;
use crate::runtime::blocking;
use crate::{Options, WorkError};

/// What is known about a ledger that is older than this machine's last payment with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Submissions that the ledger has granted.
    pub grants: u64,
    /// Submissions that it had granted, as far as this machine knows.
    pub known: u64,
    /// It was imported from an export of a ledger that is lost.
    pub is_copy: bool,
    /// Jobs of which it learned now that they were or may have been paid for.
    pub told: u64,
    /// Jobs that were paid for and are not in it, by batch.
    pub missing: BTreeMap<BatchId, u64>,
    state_dir: PathBuf,
}

/// Checks whether the ledger was restored from a backup; if it was, replays everything that this machine knows about its
/// payments, and returns the result. Submits nothing, and may be repeated.
///
/// # Errors
/// If the state or output directory cannot be read, or the ledger does not store what is replayed.
pub async fn reconcile(ledger: &dyn Ledger, options: &Options) -> Result<Option<Restored>, WorkError> {
    let identity = ledger.info().await?.identity;
    let unusable = |error: &dyn fmt::Display| unusable(&options.state_dir, error);
    let known = match identity.grants {
        Some(_) => HighWater::read(&options.state_dir, &identity.id).map_err(|error| unusable(&error))?,
        None => 0,
    };
    let (grants, is_copy) = (identity.grants.unwrap_or_default(), identity.is_copy);
    if known <= grants && !is_copy {
        return Ok(None);
    }
    let place = Place { dir: options.state_dir.clone(), ledger: identity.id, keeps_settled: false };
    let mut backoff = Backoff::until(CancellationToken::new());
    let policy = &options.policy;
    let mut told = replay_left(&place, ReplayScope::Everything, ledger, policy, &mut backoff)
        .await
        .map_err(|error| unusable(&error))?;
    let past = blocking::run(move || history::of(&place.dir, &place.ledger)).await.flatten();
    told.and(replay_findings(ledger, policy, &past.map_err(|error| unusable(&error))?, &mut backoff).await);
    told.and(sidecars::replay(ledger, policy, &options.output, &mut backoff).await?);
    if !told.all {
        let words = "it did not take everything that the journals know of paid calls";
        return Err(LedgerError::Unavailable(words.to_owned()).into());
    }
    let Replayed { moved, gone, .. } = told;
    let mut missing: BTreeMap<BatchId, u64> = BTreeMap::new();
    for job in &gone {
        *missing.entry(job.batch.clone()).or_default() += 1;
    }
    let state_dir = options.state_dir.clone();
    Ok(Some(Restored { grants, known, is_copy, told: moved.len() as u64, missing, state_dir }))
}

/// Why this worker may not submit, if so.
pub(crate) async fn hold(ledger: &dyn Ledger, options: &Options) -> Result<Option<String>, WorkError> {
    let Some(restored) = reconcile(ledger, options).await? else { return Ok(None) };
    let words = restored.in_short();
    if options.past.accept_restored {
        warn!("{words}; it was told what is known, and a person agreed to go on");
        // From now on an older copy of the ledger is recognised by its count again.
        let accept_restored = Some(restored.known);
        ledger.update_account(&AccountUpdate { accept_restored, ..AccountUpdate::default() }).await?;
        return Ok(None);
    }
    Ok(Some(format!("{words} (to go on, start again with --accept-restored-ledger)")))
}

pub(crate) fn unusable(state_dir: &Path, error: &dyn fmt::Display) -> WorkError {
    let dir = state_dir.display();
    WorkError::Directory(format!(
        "the state directory {dir} cannot be used: {error} (name another one with --state-dir)"
    ))
}

impl Restored {
    fn in_short(&self) -> String {
        let Self { grants, known, is_copy, state_dir, .. } = self;
        let dir = state_dir.display();
        if *is_copy {
            return "this ledger was imported from an export of one that is lost: it does not know what was paid for after the \
                    export"
                .to_owned();
        }
        format!(
            "this ledger is an older copy, probably restored from a backup, or its jobs were moved by `ledger import`: it has \
             made {grants} submissions, and {dir} knows of {known}"
        )
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.told;
        write!(f, "{}. It was told what journals and sidecars know: {told} jobs were paid for since", self.in_short())?;
        if self.missing.is_empty() {
            return Ok(());
        }
        let batches: Vec<String> = self.missing.iter().map(|(batch, jobs)| format!("{batch}: {jobs}")).collect();
        write!(
            f,
            ". It does not know {} jobs that were paid for ({}): enqueue their files before anything is submitted, or they \
             are paid for again",
            self.missing.values().sum::<u64>(),
            batches.join(", ")
        )
    }
}
