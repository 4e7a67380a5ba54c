//! Says when the days of the daily budget begin and end.
//!
//! The ledger holds what a day may cost exactly, and knows no time zones: once the day that it counts is over it grants
//! nothing until a worker says when the present one ends. Any worker does, and all of them say the same.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{error, info};
use veobatch_core::Zone;
use veobatch_ledger::{Account, AccountUpdate, Day, LedgerError};

use crate::runtime::worker::Worker;
use crate::upkeep::PeriodicTask;
use crate::upkeep::maintenance::{SELDOM, SHORT};

/// Between two looks at a day that is over.
const SOON: Duration = Duration::from_secs(1);

/// When the day that is counted is over, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct DailyBudget {
    over: Option<Instant>,
}

impl DailyBudget {
    /// Begins the present day, if the one that is counted is over.
    async fn step(&mut self, worker: &Worker, account: &Account) -> Result<(), LedgerError> {
        let Some(daily) = &account.daily else {
            self.over = None;
            return Ok(());
        };
        let left = daily.day.until.since(account.calendar);
        self.over = Some(Instant::now() + left.max(SOON));
        if !left.is_zero() {
            return Ok(());
        }
        let name = &daily.budget.zone;
        let Some(range) = Zone::parse(name).ok().and_then(|zone| zone.day_of(account.calendar)) else {
            error!(zone = %name, "the days of the daily budget cannot be told; set it anew with --daily-budget");
            return Ok(());
        };
        let day = Some(Day { zone: name.clone(), range });
        worker.ledger.update_account(&AccountUpdate { day, ..AccountUpdate::default() }).await?;
        info!(budget = %daily.budget.credits, zone = %name, until = %range.until, "a new day of the daily budget");
        Ok(())
    }

    /// How long until a look at it is worth while, if it is before `gap` has passed.
    fn within(&self, gap: Duration) -> Duration {
        self.over.map_or(gap, |over| over.saturating_duration_since(Instant::now()).min(gap))
    }
}

#[async_trait]
impl PeriodicTask for DailyBudget {
    fn name(&self) -> &'static str {
        "begin the days of the daily budget"
    }

    fn limit(&self) -> Duration {
        SHORT
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        let account = worker.ledger.account(0).await?;
        self.step(worker, &account).await?;
        Ok(self.within(SELDOM))
    }
}
