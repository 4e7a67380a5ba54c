//! Replays journals: new ones now and then, and everything as soon as the ledger may have gone back in time.
//!
//! A ledger that recovers grants nothing for a while, and the replay must be done before that is over. So it does not wait for
//! a refused claim, and is repeated until the ledger has everything.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, warn};
use veobatch_core::Timestamp;
use veobatch_ledger::{Account, LedgerError};

use crate::journal::Journal;
use crate::journal::replay::{ReplayScope, replay};
use crate::runtime::backoff::Backoff;
use crate::runtime::context::Context;
use crate::runtime::supervise::{IDLE_INTERVAL, LONG_TICK_LIMIT, PeriodicTask};
use crate::upkeep::batches::Batches;

/// Interval of checks for journals that other processes left behind.
const REPLAY_INTERVAL: Duration = Duration::from_secs(60);

/// Interval of replays of everything while the ledger recovers and there are schedules: a run that it forgot is made again
/// meanwhile, and only then there are jobs for which the journals are evidence.
const RECOVERY_REPLAY_INTERVAL: Duration = Duration::from_secs(15);

/// Replays journals.
#[derive(Debug)]
pub(crate) struct JournalReplay {
    context: Arc<Context>,
    journal: Journal,
    batches: Arc<Batches>,
    replayed: Instant,
    scope: ReplayScope,
    /// The end of the ledger's recovery for which everything is or was replayed.
    recovery: Option<Timestamp>,
}

impl JournalReplay {
    pub(crate) fn new(context: Arc<Context>, journal: Journal, batches: Arc<Batches>) -> Self {
        let (replayed, scope) = (Instant::now(), ReplayScope::Open);
        Self { context, journal, batches, replayed, scope, recovery: None }
    }

    /// `are_runs_made`: there are schedules, so the ledger may get back forgotten runs by itself.
    async fn replay_if_due(&mut self, account: &Account, are_runs_made: bool) {
        let recovery = account.recovering_until;
        let is_late = are_runs_made && self.replayed.elapsed() > RECOVERY_REPLAY_INTERVAL;
        if needs_everything(recovery, self.recovery, is_late) {
            (self.recovery, self.scope) = (recovery, ReplayScope::Everything);
        }
        if self.scope == ReplayScope::Everything || self.replayed.elapsed() > REPLAY_INTERVAL {
            if self.replay().await {
                self.scope = ReplayScope::Open;
            }
            self.replayed = Instant::now();
        }
    }

    /// Returns whether the ledger has everything now.
    async fn replay(&self) -> bool {
        let Context { ledger, learning, shutdown, .. } = self.context.as_ref();
        let mut backoff = Backoff::until(shutdown.closing.clone());
        let result = replay(&self.journal, self.scope, ledger.as_ref(), &learning.policy(), &mut backoff).await;
        debug!(scope = ?self.scope, ?result, "replayed journals");
        result.map_or_else(
            |error| {
                warn!(%error, "the journals cannot be read");
                false
            },
            |replayed| replayed.all,
        )
    }
}

#[async_trait]
impl PeriodicTask for JournalReplay {
    fn name(&self) -> &'static str {
        "replay journals"
    }

    fn time_limit(&self) -> Duration {
        LONG_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        let account = self.context.ledger.account(0).await?;
        self.context.clock.set_both(account.now, account.calendar);
        self.replay_if_due(&account, self.batches.have_schedules()).await;
        // A recovering ledger grants nothing for much longer than this.
        Ok(IDLE_INTERVAL)
    }

    /// What could not be stored during the outage is in journals; and the ledger may have recovered and finished meanwhile.
    fn on_outage(&mut self) {
        if self.journal.keeps_settled() {
            self.scope = ReplayScope::Everything;
        }
        self.replayed = Instant::now().checked_sub(REPLAY_INTERVAL).unwrap_or(self.replayed);
    }
}

/// Whether everything has to be replayed: in a recovery other than the `known` one, and in that too once it `is_late`.
fn needs_everything(recovery: Option<Timestamp>, known: Option<Timestamp>, is_late: bool) -> bool {
    recovery.is_some() && (recovery != known || is_late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_is_told_of_once_and_where_runs_are_made_again_and_again() {
        let until = |ms| Some(Timestamp::from_millis(ms));
        assert!(needs_everything(until(5), None, false) && needs_everything(until(6), until(5), false));
        assert!(!needs_everything(until(5), until(5), false) && needs_everything(until(5), until(5), true));
        assert!(!needs_everything(None, until(5), true) && !needs_everything(None, None, false));
    }
}
