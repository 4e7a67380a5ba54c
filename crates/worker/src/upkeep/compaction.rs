//! Makes finished jobs compact once they are old enough, in bounded steps that any number of workers may take at once.
//!
//! Nothing is scanned: the ledger lists the done jobs that are not compact, in file order, which is about the order in
//! which they were done. A pass over a batch ends at the first that is not old enough.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, warn};
use veobatch_core::{BatchId, JobId, StateName, Timestamp, millis};
use veobatch_ledger::{BatchSummary, Batches, Compaction, JobFilter, Ledger, LedgerError, Stored};

use crate::runtime::worker::Worker;
use crate::upkeep::PeriodicTask;
use crate::upkeep::maintenance::{SELDOM, SHORT};

/// Jobs that are read and made compact at a time.
const PAGE: usize = 200;

/// Pages and batches that one step looks at: a worker looks every few seconds.
const STEP: usize = 16;

/// Between two ways round, unless jobs are old enough sooner.
const REST: Duration = Duration::from_secs(60);

/// Makes every job of `batch` compact that is done for `age`, and returns how many this call made so. Those with strays
/// are left as they are.
pub async fn compact(ledger: &dyn Ledger, batch: &BatchId, age: Duration) -> Result<u64, LedgerError> {
    let (mut compacted, mut after) = (0, None);
    loop {
        let (some, next) = page(ledger, batch, after.as_ref(), age).await?;
        compacted += some;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(compacted),
        }
    }
}

/// Makes one page compact. Returns how many were, and the job to go on after if there may be more.
async fn page(
    ledger: &dyn Ledger,
    batch: &BatchId,
    after: Option<&JobId>,
    age: Duration,
) -> Result<(u64, Option<JobId>), LedgerError> {
    let jobs = ledger.page(batch, JobFilter::Whole, after, PAGE).await?;
    let is_old = |stored: &Stored| stored.record.done_since().is_some_and(|since| since + age <= stored.now);
    let old = jobs.iter().take_while(|stored| is_old(stored)).count();
    let compactions: Vec<Compaction> = jobs.iter().take(old).filter_map(compaction).collect();
    let compacted = if compactions.is_empty() { 0 } else { ledger.compact(&compactions).await? };
    let last = jobs.last().filter(|_| old == PAGE).map(|stored| stored.key.job.clone());
    Ok((compacted, last))
}

fn compaction(stored: &Stored) -> Option<Compaction> {
    let body = stored.record.compact()?;
    Some(Compaction { job: stored.job, version: stored.version, body })
}

/// One worker's way round the batches in which something may be old enough.
#[derive(Debug)]
pub(crate) struct Compactor {
    age: Option<Duration>,
    /// What is left of this way round; the first from `after` one of its jobs on.
    left: VecDeque<BatchId>,
    after: Option<JobId>,
    /// When the next way round begins.
    begin: Instant,
}

impl Compactor {
    pub(crate) fn new(age: Option<Duration>) -> Self {
        Self { age, left: VecDeque::new(), after: None, begin: Instant::now() }
    }

    /// Looks at some batches, from where the last step ended: those that are `active`, and those that are at rest for so
    /// long that all of them is old enough. Also clears away what forgotten ones left behind.
    async fn step(&mut self, ledger: &dyn Ledger, active: &[BatchSummary]) {
        if self.left.is_empty() && Instant::now() < self.begin {
            return;
        }
        if let Err(error) = self.walk(ledger, active).await {
            // Nobody waits for it, and all else goes on.
            warn!(%error, "finished jobs could not be made compact");
            self.left.clear();
            self.begin = Instant::now() + REST;
        } else if self.left.is_empty() {
            self.begin = Instant::now() + self.age.map_or(REST, |age| age.min(REST));
        }
    }

    async fn walk(&mut self, ledger: &dyn Ledger, active: &[BatchSummary]) -> Result<(), LedgerError> {
        if self.left.is_empty() {
            clear(ledger).await?;
        }
        let Some(age) = self.age else { return Ok(()) };
        if self.left.is_empty() {
            (self.left, self.after) = (candidates(ledger, active, age).await?, None);
        }
        for _ in 0..STEP {
            let Some(batch) = self.left.front() else { break };
            let (compacted, next) = page(ledger, batch, self.after.as_ref(), age).await?;
            if compacted > 0 {
                debug!(%batch, compacted, "finished jobs were made compact");
            }
            self.after = next;
            if self.after.is_none() {
                self.left.pop_front();
            }
        }
        Ok(())
    }
}

/// Batches in which some done job may be older than `age`.
async fn candidates(
    ledger: &dyn Ledger,
    active: &[BatchSummary],
    age: Duration,
) -> Result<VecDeque<BatchId>, LedgerError> {
    let now = ledger.info().await?.now;
    // As old as that counts.
    let before = Timestamp::from_millis((now.as_millis() + 1).saturating_sub(millis(age)));
    let rested = ledger.list(&Batches::Whole { before }).await?;
    let active = active.iter().filter(|batch| batch.count(StateName::Done) > 0);
    Ok(active.chain(&rested).map(|batch| batch.batch.clone()).collect())
}

/// Clears away some of what forgotten batches left behind, if whoever had them forgotten did not come so far.
async fn clear(ledger: &dyn Ledger) -> Result<(), LedgerError> {
    for _ in 0..STEP {
        if !ledger.forget(None).await? {
            break;
        }
    }
    Ok(())
}

#[async_trait]
impl PeriodicTask for Compactor {
    fn name(&self) -> &'static str {
        "make finished jobs compact"
    }

    /// A step goes on where the last one ended, or was cut off.
    fn limit(&self) -> Duration {
        4 * SHORT
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        self.step(worker.ledger.as_ref(), &worker.batches.latest()).await;
        Ok(SELDOM)
    }

    /// What ended with the worker itself.
    async fn last(&mut self, worker: &Worker) {
        self.step(worker.ledger.as_ref(), &worker.batches.latest()).await;
    }
}
