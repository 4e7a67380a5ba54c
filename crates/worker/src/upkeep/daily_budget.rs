//! Begins the days of the daily budget.
//!
//! The ledger enforces exactly what a day may cost, and knows no time zones: once its current day is over, it grants nothing
//! until a worker tells it when the next one ends. Any worker may, and all of them say the same.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{error, info};
use veobatch_core::Zone;
use veobatch_ledger::{Account, AccountUpdate, Day, LedgerError};

use crate::runtime::context::Context;
use crate::runtime::supervise::{IDLE_INTERVAL, PeriodicTask, SHORT_TICK_LIMIT};

/// Shortest interval, while a day is over.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Begins days.
#[derive(Debug)]
pub(crate) struct DailyBudget {
    context: Arc<Context>,
}

impl DailyBudget {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Begins the current day, if the one in the ledger is over. Returns how much was left of that.
    async fn begin_day(&self, account: &Account) -> Result<Option<Duration>, LedgerError> {
        let Some(daily) = &account.daily else { return Ok(None) };
        let left = daily.day.until.since(account.calendar);
        if !left.is_zero() {
            return Ok(Some(left));
        }
        let name = &daily.budget.zone;
        let Some(range) = Zone::parse(name).ok().and_then(|zone| zone.day_of(account.calendar)) else {
            error!(zone = %name, "the days of the daily budget cannot be computed; set it again with --daily-budget");
            return Ok(Some(left));
        };
        let day = Some(Day { zone: name.clone(), range });
        self.context.ledger.update_account(&AccountUpdate { day, ..AccountUpdate::default() }).await?;
        info!(budget = %daily.budget.credits, zone = %name, until = %range.until, "a new day of the daily budget begins");
        Ok(Some(left))
    }
}

#[async_trait]
impl PeriodicTask for DailyBudget {
    fn name(&self) -> &'static str {
        "begin the days of the daily budget"
    }

    fn time_limit(&self) -> Duration {
        SHORT_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        let account = self.context.ledger.account(0).await?;
        let left = self.begin_day(&account).await?;
        Ok(left.map_or(IDLE_INTERVAL, |left| left.clamp(MIN_INTERVAL, IDLE_INTERVAL)))
    }
}
