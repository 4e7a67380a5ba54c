//! Admission: all checked jobs are staged in bounded chunks, where nobody sees them, and then shown at once.
//!
//! ```text
//! spool ──▶ chunks of 400 ──▶ stage (the first of a batch alone, then three in flight) ──▶ arrange, restate ──▶ publish
//!                                          ╰── a conflict, an error: abandon, nothing was visible
//! ```
//!
//! Repeating an admission adds nothing: known ids are left as they are.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use veobatch_core::BatchId;
use veobatch_ledger::{
    Admission, Known, Ledger, LedgerError, NewJob, STAGE_CHUNK, STAGING_TIMEOUT, SharedLedger, Staged,
};

use crate::arrange::arrange_with;
use crate::check::Checked;
use crate::compare::{explain, new_among, new_in};
use crate::node::Place;
use crate::problem::Problems;
use crate::restate::{PolicyChange, restate};

/// Chunks under way at the same time.
const IN_FLIGHT: usize = 3;

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
    /// What of its terms was changed, in words.
    pub terms: Vec<String>,
    /// What was set for known jobs, of how to work at them.
    pub policy: Vec<PolicyChange>,
}

/// Why nothing was admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// Known ids with other content: the files have to be changed. Nothing is visible.
    #[error("some ids are known already, with other content:\n{0}")]
    Conflicts(Problems),
    /// Another admission to the same batch did not end. Try again later.
    #[error("another `run` or `enqueue` has been admitting jobs to batch {0} all the time; try again later")]
    Busy(BatchId),
    /// The ledger's reason. Nothing is visible, unless the answer to the very last step was lost; do the same again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The temporary file could not be read.
    #[error("the temporary file with the checked jobs cannot be read: {0}")]
    Spool(#[from] io::Error),
}

/// Adds the jobs to the ledger, all or none of them; those it knows already are left as they are. Before the first of them
/// is visible, the terms of their batches become what is asked for them ([`crate::arrange`]), and what the files say anew of
/// how to work at known jobs is set ([`crate::restate()`]).
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
        match ledger.publish(admission, batches).await {
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
            let (new, known, terms, policy) = (0, 0, Vec::new(), Vec::new());
            Admitted { batch: batch.clone(), new, known, terms, policy }
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

    /// Brings the terms of the batches to what is asked for them, and known jobs to how they are to be worked at; and then
    /// shows what was staged.
    async fn show(&mut self, touched: &[BatchId]) -> Result<(), AdmitError> {
        for arranged in arrange_with(&**self.ledger, self.checked, touched).await.map_err(vanished)? {
            if let Some(count) = self.counts.iter_mut().find(|count| count.batch == arranged.batch) {
                // Of several tries, all that was changed.
                count.terms.extend(arranged.changes);
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
        let mut flying = FuturesOrdered::new();
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk?;
            let n = chunk.batch as usize;
            let batch =
                self.counts.get(n).map(|count| count.batch.clone()).ok_or_else(|| io::Error::other("no batch"))?;
            let begun = self.begun.get(n).is_some_and(|begun| *begun);
            if self.room < u64::MAX || !begun {
                while let Some((before, staged)) = flying.next().await {
                    self.count(&before, staged?).await?;
                }
                self.one(&chunk, &batch).await?;
            } else {
                if flying.len() >= IN_FLIGHT
                    && let Some((before, staged)) = flying.next().await
                {
                    self.count(&before, staged?).await?;
                }
                let (ledger, admission) = (Arc::clone(self.ledger), self.admission.clone());
                flying.push_back(async move {
                    let staged = ledger.stage(&admission, &batch, &chunk.jobs).await;
                    (chunk, staged)
                });
            }
        }
        while let Some((chunk, staged)) = flying.next().await {
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

/// Jobs of one batch that go to the ledger together.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) batch: u32,
    pub(crate) jobs: Vec<NewJob>,
    /// Each job's file and place.
    pub(crate) places: Vec<(u32, Place)>,
}

/// Reads the spool ahead, on a thread for blocking work that ends when nobody listens any more.
pub(crate) fn chunks(checked: &Checked) -> mpsc::Receiver<io::Result<Chunk>> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let jobs = checked.spool.jobs();
    tokio::task::spawn_blocking(move || {
        let new =
            |batch| Chunk { batch, jobs: Vec::with_capacity(STAGE_CHUNK), places: Vec::with_capacity(STAGE_CHUNK) };
        let mut chunk = new(0);
        for waiting in jobs {
            let waiting = match waiting {
                Ok(waiting) => waiting,
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            if chunk.jobs.len() == STAGE_CHUNK || (waiting.batch != chunk.batch && !chunk.jobs.is_empty()) {
                let full = std::mem::replace(&mut chunk, new(waiting.batch));
                if sender.blocking_send(Ok(full)).is_err() {
                    return;
                }
            }
            chunk.batch = waiting.batch;
            chunk.places.push((waiting.file, waiting.at));
            chunk.jobs.push(waiting.job);
        }
        if !chunk.jobs.is_empty() {
            let _ = sender.blocking_send(Ok(chunk));
        }
    });
    receiver
}
