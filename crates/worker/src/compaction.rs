//! Makes finished jobs compact once they are old enough, in bounded steps that any number of workers may take at once.
//!
//! Nothing is scanned: the ledger lists the done jobs that are not compact, in file order, which is about the order in
//! which they were done. A pass over a batch ends at the first that is not old enough.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, warn};
use veobatch_core::{BatchId, JobId, StateName};
use veobatch_ledger::{BatchSummary, Compaction, Ledger, LedgerError, Stored};

use crate::maintenance::{SELDOM, SHORT};
use crate::upkeep::Duty;
use crate::worker::Worker;

/// Jobs that are read and made compact at a time.
const PAGE: usize = 200;

/// Pages and batches that one step looks at: a worker looks every few seconds.
const STEP: usize = 16;

/// Between two ways round all batches, unless jobs are old enough sooner.
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
    let jobs = ledger.whole(batch, after, PAGE).await?;
    let is_old = |stored: &Stored| stored.record.done_since().is_some_and(|since| since.after(age) <= stored.now);
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

/// One worker's way round all batches.
#[derive(Debug)]
pub(crate) struct Press {
    age: Option<Duration>,
    /// Where to go on: in which batch, and after which of its jobs.
    at: Option<(BatchId, Option<JobId>)>,
    /// When the next way round begins.
    begin: Instant,
}

impl Press {
    pub(crate) fn new(age: Option<Duration>) -> Self {
        Self { age, at: None, begin: Instant::now() }
    }

    /// Looks at some batches, from where the last step ended. Also clears away what forgotten ones left behind.
    async fn step(&mut self, ledger: &dyn Ledger, batches: &[BatchSummary]) {
        if self.at.is_none() && Instant::now() < self.begin {
            return;
        }
        match self.walk(ledger, batches).await {
            Ok(true) => {}
            Ok(false) => self.begin = Instant::now() + self.age.map_or(REST, |age| age.min(REST)),
            Err(error) => {
                // Nobody waits for it, and all else goes on.
                warn!(%error, "finished jobs could not be made compact");
                self.begin = Instant::now() + REST;
            }
        }
    }

    /// Whether there is more of this way round to go.
    async fn walk(&mut self, ledger: &dyn Ledger, batches: &[BatchSummary]) -> Result<bool, LedgerError> {
        if self.at.is_none() {
            clear(ledger).await?;
        }
        let Some(age) = self.age else { return Ok(false) };
        let mut left: Vec<&BatchId> =
            batches.iter().filter(|batch| batch.count(StateName::Done) > 0).map(|batch| &batch.batch).collect();
        let mut after = None;
        if let Some((batch, job)) = self.at.take()
            && let Some(from) = left.iter().position(|other| **other == batch)
        {
            left.drain(..from);
            after = job;
        }
        let mut left = left.into_iter();
        let Some(mut batch) = left.next() else { return Ok(false) };
        for _ in 0..STEP {
            let (compacted, next) = page(ledger, batch, after.as_ref(), age).await?;
            if compacted > 0 {
                debug!(%batch, compacted, "finished jobs were made compact");
            }
            after = next;
            if after.is_none() {
                match left.next() {
                    Some(next) => batch = next,
                    None => return Ok(false),
                }
            }
        }
        self.at = Some((batch.clone(), after));
        Ok(true)
    }
}

/// Clears away some of what forgotten batches left behind, if whoever had them forgotten did not come so far.
async fn clear(ledger: &dyn Ledger) -> Result<(), LedgerError> {
    for _ in 0..STEP {
        if !ledger.clear().await? {
            break;
        }
    }
    Ok(())
}

#[async_trait]
impl Duty for Press {
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
