//! Jobs in doubt: what `--in-doubt` allows to be submitted again, and whether one may still move without a person.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{info_span, warn};
use veobatch_core::{BatchId, Event, Heard, InDoubtPolicy, JobId, NextAction, StateName, doubted, next_action};
use veobatch_ledger::{BatchSummary, Batches, JobFilter, LedgerError, Stored};

use crate::runtime::changes::log;
use crate::runtime::context::Context;
use crate::runtime::supervise::{LONG_TICK_LIMIT, PeriodicTask};
use crate::upkeep::batches::find;

/// Jobs read per page.
const PAGE: usize = 100;

/// Interval between two passes through the jobs in doubt.
pub(super) const DOUBT_INTERVAL: Duration = Duration::from_secs(2);

/// The jobs in doubt, and the policy for them.
#[derive(Debug)]
pub(crate) struct Doubts {
    pub(crate) context: Arc<Context>,
    pub(crate) policy: InDoubtPolicy,
    /// Whether this process receives callbacks.
    pub(crate) hears: bool,
}

/// A pass through the jobs in doubt.
struct Pass {
    batches: Vec<BatchId>,
    /// Continue the last of `batches` after this job.
    after: Option<JobId>,
    heard: Option<Heard>,
}

impl Doubts {
    /// Whether a job in doubt in these batches may still move without a person.
    pub(super) async fn may_move(&self, batches: &[&BatchSummary]) -> Result<bool, LedgerError> {
        let mut pass = self.begin(batches).await?;
        while let Some(page) = self.page(&mut pass).await? {
            if page.iter().any(|(_, action)| !matches!(action, NextAction::Person)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Submits again what the policy allows.
    async fn apply(&self, batches: &[&BatchSummary]) -> Result<(), LedgerError> {
        let mut pass = self.begin(batches).await?;
        while let Some(page) = self.page(&mut pass).await? {
            for (stored, action) in page {
                if let NextAction::Again(because) = action
                    && let Some(token) = doubted(&stored.record).cloned()
                {
                    self.presume_lost(stored, &Event::Presumed { token, because }).await?;
                }
            }
        }
        Ok(())
    }

    async fn begin(&self, batches: &[&BatchSummary]) -> Result<Pass, LedgerError> {
        let heard = match self.policy {
            InDoubtPolicy::Silence(_) => self.context.ledger.heard().await?,
            InDoubtPolicy::Hold | InDoubtPolicy::Resubmit => None,
        };
        let in_doubt = batches.iter().filter(|batch| batch.count(StateName::InDoubt) > 0);
        Ok(Pass { batches: in_doubt.map(|batch| batch.batch.clone()).collect(), after: None, heard })
    }

    /// The next jobs in doubt, and what may be done about each.
    async fn page(&self, pass: &mut Pass) -> Result<Option<Vec<(Stored, NextAction)>>, LedgerError> {
        while let Some(batch) = pass.batches.last() {
            let filter = JobFilter::In(StateName::InDoubt);
            let page = self.context.ledger.page(batch, filter, pass.after.as_ref(), PAGE).await?;
            pass.after = page.last().map(|last| last.key.job.clone());
            if pass.after.is_none() {
                pass.batches.pop();
                continue;
            }
            let action = |stored: &Stored| next_action(&stored.record, self.policy, pass.heard, self.hears, stored.now);
            let actions = page.iter().map(action).collect::<Vec<_>>();
            return Ok(Some(page.into_iter().zip(actions).collect()));
        }
        Ok(None)
    }

    async fn presume_lost(&self, stored: Stored, event: &Event) -> Result<(), LedgerError> {
        let span = info_span!("in doubt", batch = %stored.key.batch, job = %stored.key.job);
        let result = self.context.change(stored, event).await;
        span.in_scope(|| {
            if result.is_ok() {
                warn!("submitted again because of --in-doubt: it may be paid for twice");
            }
            log(&result);
        });
        result.map(drop)
    }
}

/// The batches that this worker submits for.
pub(super) fn served<'a>(batches: &'a [BatchSummary], only: Option<&[BatchId]>) -> Vec<&'a BatchSummary> {
    match only {
        Some(only) => only.iter().filter_map(|name| find(batches, name)).collect(),
        None => batches.iter().collect(),
    }
}

/// Applies the policy.
#[derive(Debug)]
pub(crate) struct InDoubtPolicyTask {
    pub(crate) doubts: Doubts,
    pub(crate) only: Option<Vec<BatchId>>,
}

#[async_trait]
impl PeriodicTask for InDoubtPolicyTask {
    fn name(&self) -> &'static str {
        "apply the policy for jobs in doubt"
    }

    fn time_limit(&self) -> Duration {
        LONG_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        let batches = self.doubts.context.ledger.list(&Batches::Active).await?;
        self.doubts.apply(&served(&batches, self.only.as_deref())).await?;
        Ok(DOUBT_INTERVAL)
    }
}
