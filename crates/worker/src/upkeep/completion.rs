//! Whether the work that somebody waits for (`--until-idle`, `run`) is over: one question, asked every half second.
//!
//! It is over once nothing moves without a person: no job, no run of a recurring batch, no stray, and no job in doubt that a
//! callback or `--in-doubt` may still settle.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{info, warn};
use veobatch_core::{BatchId, Schedule, StateName, Timestamp};
use veobatch_ledger::{BatchSummary, Batches, LedgerError};

use crate::options::Until;
use crate::runtime::context::Context;
use crate::runtime::supervise::{LONG_TICK_LIMIT, PeriodicTask};
use crate::upkeep::batches::{AWAITED_INTERVAL, find};
use crate::upkeep::in_doubt_policy::{DOUBT_INTERVAL, Doubts, served};
use crate::upkeep::pending_strays::PendingStrays;
use crate::upkeep::recurrence::is_due;

/// Most unreadable jobs that are left out of account.
const MAX_UNREADABLE: usize = 10_000;

/// Ends the worker once the work is over.
#[derive(Debug)]
pub(crate) struct Completion {
    context: Arc<Context>,
    until: Until,
    /// Submissions wait for a person, so nothing queued moves.
    is_held: bool,
    doubts: Doubts,
    only: Option<Vec<BatchId>>,
    strays: PendingStrays,
    is_wait_logged: bool,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Only jobs in doubt may still move.
    Doubts,
    Work,
}

impl Completion {
    pub(crate) fn new(
        context: Arc<Context>,
        until: Until,
        is_held: bool,
        doubts: Doubts,
        only: Option<Vec<BatchId>>,
    ) -> Self {
        Self { context, until, is_held, doubts, only, strays: PendingStrays::default(), is_wait_logged: false }
    }

    async fn left(&mut self) -> Result<Left, LedgerError> {
        let batches = self.active().await?;
        if !self.are_at_rest(&batches).await? {
            self.strays.forget();
            return Ok(Left::Work);
        }
        let awaited = match &self.until {
            Until::Stopped | Until::Idle => None,
            Until::Settled(those) => Some(those.as_slice()),
        };
        if !self.strays.are_over(self.context.ledger.as_ref(), awaited).await? {
            return Ok(Left::Work);
        }
        if self.doubts.may_move(&served(&batches, self.only.as_deref())).await? {
            return Ok(Left::Doubts);
        }
        // What was in doubt a moment ago may be in progress by now.
        let batches = self.active().await?;
        Ok(if self.are_at_rest(&batches).await? { Left::Nothing } else { Left::Work })
    }

    async fn active(&self) -> Result<Vec<BatchSummary>, LedgerError> {
        self.context.ledger.list(&Batches::Active).await
    }

    /// Whether the awaited batches are at rest, apart from jobs that this program cannot read.
    async fn are_at_rest(&self, batches: &[BatchSummary]) -> Result<bool, LedgerError> {
        let now = self.context.ledger.info().await?.calendar;
        if self.rest(batches, now) {
            return Ok(true);
        }
        let unreadable = self.context.ledger.unreadable(MAX_UNREADABLE).await?;
        if unreadable.is_empty() {
            return Ok(false);
        }
        let readable: Vec<_> = batches.iter().map(|batch| batch.clone().without(&unreadable)).collect();
        Ok(self.rest(&readable, now))
    }

    fn rest(&self, batches: &[BatchSummary], now: Timestamp) -> bool {
        let rests = |batch: &BatchSummary| rests(batch, self.is_held, now);
        match &self.until {
            Until::Stopped => false,
            Until::Idle => batches.iter().all(rests),
            Until::Settled(those) => those.iter().all(|name| find(batches, name).is_none_or(rests)),
        }
    }
}

/// True if nothing of the batch moves without a person, except for jobs in doubt. A closed window opens by itself. The jobs of
/// a template never move, but a run of it may be due. While submissions are held, nothing queued moves.
fn rests(batch: &BatchSummary, is_held: bool, now: Timestamp) -> bool {
    let moving = [StateName::Submitting, StateName::Generating, StateName::Upscaling, StateName::Downloading];
    let schedule = &batch.terms.schedule;
    let queued = batch.count(StateName::Queued) > 0 && !is_held && !batch.paused && !Schedule::recurs(schedule);
    !batch.cancelling && !queued && !is_due(batch, now) && moving.into_iter().all(|state| batch.count(state) == 0)
}

#[async_trait]
impl PeriodicTask for Completion {
    fn name(&self) -> &'static str {
        "check whether the work is over"
    }

    fn time_limit(&self) -> Duration {
        LONG_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        let left = self.left().await?;
        match left {
            Left::Nothing => {
                info!("nothing is left to do");
                self.context.shutdown.finished();
            }
            // Logged at `warn`, because whoever waits for the end would wonder.
            Left::Doubts if !self.is_wait_logged => {
                warn!("waiting only for jobs in doubt, which a callback or --in-doubt may still settle");
            }
            Left::Doubts | Left::Work => {}
        }
        self.is_wait_logged = left == Left::Doubts;
        Ok(if left == Left::Doubts { DOUBT_INTERVAL } else { AWAITED_INTERVAL })
    }
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchSettings, Credits};

    use super::*;

    fn batch(counts: &[(StateName, u64)], paused: bool) -> BatchSummary {
        BatchSummary {
            batch: BatchId::parse("b").unwrap(),
            counts: counts.iter().copied().collect(),
            paused,
            cancelling: false,
            created: Timestamp::default(),
            rested: None,
            paused_because: None,
            terms: BatchSettings::default(),
            credits: Credits::default(),
        }
    }

    #[test]
    fn a_batch_rests_once_only_a_person_could_move_it() {
        use StateName::{Cancelled, Done, Downloading, Failed, Generating, InDoubt, Queued};
        let rests = |batch: &BatchSummary, is_held| rests(batch, is_held, Timestamp::default());
        assert!(rests(&batch(&[], false), false));
        assert!(rests(&batch(&[(Done, 3), (Failed, 1), (InDoubt, 2), (Cancelled, 1), (Queued, 0)], false), false));
        assert!(rests(&batch(&[(Queued, 5)], true), false));
        assert!(!rests(&batch(&[(Queued, 5)], false), false));
        assert!(rests(&batch(&[(Queued, 5)], false), true));
        assert!(!rests(&batch(&[(Generating, 1)], true), false));
        assert!(!rests(&batch(&[(Downloading, 1)], true), false));
        assert!(!rests(&BatchSummary { cancelling: true, ..batch(&[], false) }, false));
    }

    #[test]
    fn a_template_rests_until_its_next_run_is_due() {
        let created = Timestamp::from_millis(1_795_000_000_000);
        let hourly = Schedule::parse("cron 0 * * * * UTC").unwrap();
        let cron = hourly.cron.clone().unwrap().since(created);
        let schedule = Schedule { cron: Some(cron.clone()), ..hourly }.to_string();
        let terms = BatchSettings { schedule, ..BatchSettings::default() };
        let template = BatchSummary { terms, ..batch(&[(StateName::Queued, 1)], false) };
        let due = cron.pending().unwrap();
        assert!(rests(&template, false, created));
        assert!(!rests(&template, false, due));
        assert!(rests(&BatchSummary { paused: true, ..template }, false, due));
    }
}
