//! Makes finished jobs compact once they are old enough, in bounded steps that any number of workers may take at once.
//!
//! Nothing is scanned: the ledger lists the done jobs that are not compact, in file order, which is roughly the order in which
//! they were done. A pass through a batch ends at the first job that is not old enough.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, warn};
use veobatch_core::{BatchId, JobId, StateName, Timestamp, millis};
use veobatch_ledger::{BatchSummary, Compaction, JobFilter, Ledger, LedgerError, SharedLedger, Stored};

use crate::runtime::supervise::{IDLE_INTERVAL, PeriodicTask, SHORT_TICK_LIMIT};
use crate::upkeep::batches::Batches;

/// Jobs read and made compact per page.
const PAGE: usize = 200;

/// Pages per tick.
const PAGES_PER_TICK: usize = 16;

/// Interval between two rounds through the batches, unless jobs are old enough sooner.
const ROUND_INTERVAL: Duration = Duration::from_secs(60);

/// Makes every job of `batch` compact that has been done for `age`, and returns how many this call made so. Jobs with strays
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

/// Makes one page compact. Returns how many jobs it made compact, and the job to continue after if there may be more.
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

/// Makes old jobs compact, round by round.
#[derive(Debug)]
pub(crate) struct Compactor {
    ledger: SharedLedger,
    batches: Arc<Batches>,
    age: Option<Duration>,
    /// Batches left in this round; the first is continued after the job `after`.
    left: VecDeque<BatchId>,
    after: Option<JobId>,
    /// When the next round begins.
    begin: Instant,
}

impl Compactor {
    pub(crate) fn new(ledger: SharedLedger, batches: Arc<Batches>, age: Option<Duration>) -> Self {
        Self { ledger, batches, age, left: VecDeque::new(), after: None, begin: Instant::now() }
    }

    /// Continues where the last step ended, with the active batches and those at rest for so long that all of their jobs are
    /// old enough. Also clears what forgotten batches left behind.
    async fn step(&mut self) {
        if self.left.is_empty() && Instant::now() < self.begin {
            return;
        }
        if let Err(error) = self.walk().await {
            // Nobody waits for it.
            warn!(%error, "finished jobs could not be made compact");
            self.left.clear();
            self.begin = Instant::now() + ROUND_INTERVAL;
        } else if self.left.is_empty() {
            self.begin = Instant::now() + self.age.map_or(ROUND_INTERVAL, |age| age.min(ROUND_INTERVAL));
        }
    }

    async fn walk(&mut self) -> Result<(), LedgerError> {
        let ledger = self.ledger.as_ref();
        if self.left.is_empty() {
            clear(ledger).await?;
        }
        let Some(age) = self.age else { return Ok(()) };
        if self.left.is_empty() {
            (self.left, self.after) = (candidates(ledger, &self.batches.latest(), age).await?, None);
        }
        for _ in 0..PAGES_PER_TICK {
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

/// Batches in which a done job may be older than `age`.
async fn candidates(
    ledger: &dyn Ledger,
    active: &[BatchSummary],
    age: Duration,
) -> Result<VecDeque<BatchId>, LedgerError> {
    let now = ledger.info().await?.now;
    // A job that is exactly that old counts.
    let before = Timestamp::from_millis((now.as_millis() + 1).saturating_sub(millis(age)));
    let rested = ledger.list(&veobatch_ledger::Batches::Whole { before }).await?;
    let active = active.iter().filter(|batch| batch.count(StateName::Done) > 0);
    Ok(active.chain(&rested).map(|batch| batch.batch.clone()).collect())
}

/// Clears some of what forgotten batches left behind, in case the process that forgot them did not finish.
async fn clear(ledger: &dyn Ledger) -> Result<(), LedgerError> {
    for _ in 0..PAGES_PER_TICK {
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

    /// A step continues where the last one ended or was cancelled.
    fn time_limit(&self) -> Duration {
        4 * SHORT_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        self.step().await;
        Ok(IDLE_INTERVAL)
    }

    /// What finished last may be old enough as well.
    async fn on_shutdown(&mut self) {
        self.step().await;
    }
}
