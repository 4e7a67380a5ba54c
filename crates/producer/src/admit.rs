//! Admission: all checked jobs are staged in bounded chunks, where nobody sees them, and then shown at once.
//!
//! ```text
//! spool ──▶ chunks of 400 ──▶ stage (the first of a batch alone, then three in flight) ──▶ update, restate ──▶ publish
//!                                          ╰── a conflict, an error: abandon, nothing was visible
//! ```
//!
//! Repeating an admission adds nothing: known ids are left as they are.

pub(crate) mod chunks;
pub(crate) mod compare;
pub(crate) mod error;
pub(crate) mod restate;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use veobatch_core::BatchId;
use veobatch_ledger::{Admission, Known, Ledger, LedgerError, NewJob, STAGING_TIMEOUT, SharedLedger, Staged};

use self::chunks::{Chunk, IN_FLIGHT, chunks};
use self::compare::{explain, new_among, new_in};
use self::error::AdmitError;
use self::restate::{PolicyChange, restate};
use crate::check::checked::Checked;
use crate::problem::Problems;
use crate::update::update_batches_with;

/// How long another admission of the same batch is waited for: until it would be taken for dead, and a little.
const PATIENCE: Duration = Duration::from_secs(STAGING_TIMEOUT.as_secs() + 15);

/// Between two tries of what is busy or cannot be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// Tries of one admission that is dropped by others, and of one publication that gets no answer.
const TRIES: usize = 3;

/// What became of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Admitted {
    /// The batch.
    pub batch: BatchId,
    /// Jobs that were added.
    pub new: u64,
    /// Jobs that the ledger had already.
    pub known: u64,
    /// What of its settings was changed, in words.
    pub settings: Vec<String>,
    /// What was set for known jobs, of how to work at them.
    pub policy: Vec<PolicyChange>,
}

/// Adds the jobs to the ledger, all or none of them; those it knows already are left as they are. Before the first of them
/// is visible, the settings of their batches become what is asked for them ([`update_batch`](crate::update_batch)), and what the files say anew of
/// how to work at known jobs is set ([`crate::admit::restate()`]).
///
/// With a `limit`, only the first so many *new* jobs are added. `progress` is told how many jobs were dealt with.
///
/// # Errors
/// See [`AdmitError`]: nothing is visible then, and the same call may be repeated.
pub async fn admit(
    ledger: &SharedLedger,
    checked: Checked,
    limit: Option<u64>,
    progress: impl Fn(u64),
) -> Result<Vec<Admitted>, AdmitError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(ledger, &checked, limit, &progress).await {
            Err(AdmitError::Ledger(LedgerError::Dropped)) if tries < TRIES => {
                tracing::warn!("another admission took this one for dead; starting again");
            }
            result => return result,
        }
    }
}

async fn attempt(
    ledger: &SharedLedger,
    checked: &Checked,
    limit: Option<u64>,
    progress: &impl Fn(u64),
) -> Result<Vec<Admitted>, AdmitError> {
    let mut staging = Staging::new(ledger, checked, limit, progress);
    let staged = staging.all().await;
    let touched = staging.touched();
    let result = match staged {
        Ok(()) if staging.conflicts.is_empty() => staging.show(&touched).await,
        Ok(()) => Err(AdmitError::Conflicts(std::mem::take(&mut staging.conflicts))),
        Err(error) => Err(error),
    };
    if result.is_err() && !touched.is_empty() {
        // What is left behind is invisible, and the next admission drops it.
        if let Err(error) = ledger.abandon(&staging.admission, &touched).await {
            tracing::debug!(%error, "failed to abandon an admission");
        }
    }
    result.map(|()| staging.counts)
}

async fn publish(ledger: &dyn Ledger, admission: &Admission, batches: &[BatchId]) -> Result<(), AdmitError> {
    if batches.is_empty() {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match ledger.publish(admission, batches, None).await {
            Err(LedgerError::Unavailable(_)) if tries < TRIES => sleep(PAUSE).await,
            result => return Ok(result?),
        }
    }
}

/// One try.
struct Staging<'a, P> {
    ledger: &'a SharedLedger,
    checked: &'a Checked,
    admission: Admission,
    /// New jobs that may still be added.
    room: u64,
    done: u64,
    progress: &'a P,
    counts: Vec<Admitted>,
    /// Known jobs that are to be worked at otherwise.
    restated: u64,
    /// Batches, by number, that something was staged into.
    begun: Vec<bool>,
    conflicts: Problems,
}

impl<'a, P: Fn(u64)> Staging<'a, P> {
    fn new(ledger: &'a SharedLedger, checked: &'a Checked, limit: Option<u64>, progress: &'a P) -> Self {
        let nothing = |batch: &BatchId| {
            let (new, known, settings, policy) = (0, 0, Vec::new(), Vec::new());
            Admitted { batch: batch.clone(), new, known, settings, policy }
        };
        let counts: Vec<_> = checked.batches.iter().map(nothing).collect();
        let begun = vec![false; counts.len()];
        let (admission, room) = (Admission::random(), limit.unwrap_or(u64::MAX));
        let (done, restated, conflicts) = (0, 0, Problems::default());
        Self { ledger, checked, admission, room, done, progress, counts, restated, begun, conflicts }
    }

    fn touched(&self) -> Vec<BatchId> {
        self.counts.iter().zip(&self.begun).filter(|(_, begun)| **begun).map(|(count, _)| count.batch.clone()).collect()
    }

    /// Brings the settings of the batches to what is asked for them, and known jobs to how they are to be worked at; and then
    /// shows what was staged.
    async fn show(&mut self, touched: &[BatchId]) -> Result<(), AdmitError> {
        for updated in update_batches_with(&**self.ledger, self.checked, touched).await.map_err(vanished)? {
            if let Some(count) = self.counts.iter_mut().find(|count| count.batch == updated.batch) {
                // Of several tries, all that was changed.
                count.settings.extend(updated.changes);
            }
        }
        let restated = if self.restated > 0 { restate(&**self.ledger, self.checked).await? } else { Vec::new() };
        for (batch, changes) in restated {
            if let Some(count) = self.counts.iter_mut().find(|count| count.batch == batch) {
                count.policy = changes;
            }
        }
        publish(&**self.ledger, &self.admission, touched).await
    }

    async fn all(&mut self) -> Result<(), AdmitError> {
        let mut chunks = chunks(self.checked);
        let mut in_flight = FuturesOrdered::new();
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk?;
            let n = chunk.batch as usize;
            let batch =
                self.counts.get(n).map(|count| count.batch.clone()).ok_or_else(|| io::Error::other("no batch"))?;
            let begun = self.begun.get(n).is_some_and(|begun| *begun);
            if self.room < u64::MAX || !begun {
                while let Some((before, staged)) = in_flight.next().await {
                    self.count(&before, staged?).await?;
                }
                self.one(&chunk, &batch).await?;
            } else {
                if in_flight.len() >= IN_FLIGHT
                    && let Some((before, staged)) = in_flight.next().await
                {
                    self.count(&before, staged?).await?;
                }
                let (ledger, admission) = (Arc::clone(self.ledger), self.admission.clone());
                in_flight.push_back(async move {
                    let staged = ledger.stage(&admission, &batch, &chunk.jobs).await;
                    (chunk, staged)
                });
            }
        }
        while let Some((chunk, staged)) = in_flight.next().await {
            self.count(&chunk, staged?).await?;
        }
        Ok(())
    }

    /// Stages a chunk alone: as much of it as there is room for; the rest is only compared.
    async fn one(&mut self, chunk: &Chunk, batch: &BatchId) -> Result<(), AdmitError> {
        let jobs = chunk.jobs.as_slice();
        if self.room == u64::MAX {
            let staged = self.patiently(jobs, batch, chunk.batch).await?;
            return self.count(chunk, staged).await;
        }
        let compared = self.ledger.compare(batch, jobs).await?;
        let new = new_in(jobs, &compared);
        if self.room > 0 && new > 0 && compared.conflicts.is_empty() {
            let new = new_among(&**self.ledger, batch, jobs, new).await?;
            let last = usize::try_from(self.room).unwrap_or(usize::MAX).min(new.len());
            let end = last.checked_sub(1).and_then(|last| new.get(last)).map_or(0, |last| last + 1);
            let staged = self.patiently(jobs.get(..end).unwrap_or_default(), batch, chunk.batch).await?;
            self.room = self.room.saturating_sub(staged.new);
            let counted = Staged { new: staged.new, conflicts: staged.conflicts, ..counted(compared) };
            return self.count(chunk, counted).await;
        }
        self.count(chunk, counted(compared)).await
    }

    /// Stages while waiting for another admission to end.
    async fn patiently(&mut self, jobs: &[NewJob], batch: &BatchId, n: u32) -> Result<Staged, AdmitError> {
        let deadline = Instant::now() + PATIENCE;
        let mut told = false;
        loop {
            match self.ledger.stage(&self.admission, batch, jobs).await {
                Err(LedgerError::Busy { .. }) if Instant::now() < deadline => {
                    if !told {
                        let seconds = PATIENCE.as_secs();
                        tracing::warn!(%batch, "another `run` or `enqueue` is admitting jobs to this batch; waiting up to {seconds} s");
                        told = true;
                    }
                    sleep(PAUSE).await;
                }
                Err(LedgerError::Busy { batch }) => return Err(AdmitError::Busy(batch)),
                result => {
                    // Even if it failed: it may have happened.
                    if let Some(begun) = self.begun.get_mut(n as usize) {
                        *begun = true;
                    }
                    return Ok(result?);
                }
            }
        }
    }

    async fn count(&mut self, chunk: &Chunk, staged: Staged) -> Result<(), AdmitError> {
        if let Some(count) = self.counts.get_mut(chunk.batch as usize) {
            count.new += staged.new;
            count.known += staged.known;
        }
        self.restated += staged.restated;
        explain(&**self.ledger, self.checked, chunk, &staged.conflicts, &mut self.conflicts).await?;
        self.done += chunk.jobs.len() as u64;
        (self.progress)(self.done);
        Ok(())
    }
}

/// A comparison, as if it had been staged.
fn counted(known: Known) -> Staged {
    Staged { new: 0, known: known.known, conflicts: known.conflicts, restated: known.restated.len() as u64 }
}

/// A batch that something was staged into is there, unless another admission took this one for dead.
fn vanished(error: LedgerError) -> LedgerError {
    if matches!(error, LedgerError::UnknownBatch(_)) { LedgerError::Dropped } else { error }
}
