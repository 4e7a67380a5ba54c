//! What of the settings is the account's and not this process's: the pace, the cap, the prices, the daily budget. It is
//! stored in the ledger and holds for every worker from then on.

use std::collections::BTreeMap;

use veobatch_core::{Credits, TimeRange, Zone};
use veobatch_ledger::{Account, AccountUpdate, Daily, DailyBudget, Day, Pace, PriceList};
use veobatch_producer::Setting;

use crate::args::parse::Rate;
use crate::args::settings::{AccountSettings, Settings};
use crate::failure::{Failure, Result};
use crate::output::format::duration;
use crate::output::ui;
use crate::session::Session;
use crate::session::prices;

/// Changed prices that are named; the rest is only counted.
const SHOWN: usize = 6;

/// Looks a second where videos take seconds and cost nothing.
const SIMULATED_POLL_RATE: u32 = 500;

impl Session {
    /// Stores what was asked for, and the prices that budgets reckon with; says what that changed, and returns whether
    /// anything was.
    pub(crate) async fn configure(&self, settings: &Settings, account: &AccountSettings) -> Result<bool> {
        let ledger = &*self.ledger;
        let before = ledger.account(0).await?;
        let wanted = wanted(settings, account, &before)?;
        ledger
            .update_account(&wanted)
            .await
            .map_err(|error| Failure::ledger("store the settings in the ledger", &error))?;
        let after = ledger.account(0).await?;
        let changes = [
            account.poll_rate.and_then(|_| polls(before.poll_rate, after.poll_rate)),
            pace(&before.pace, &after.pace),
            repriced(&before.prices, &after.prices),
            daily(before.daily.as_ref(), after.daily.as_ref()),
        ];
        let mut is_changed = false;
        for change in changes.into_iter().flatten() {
            is_changed = true;
            tracing::info!("the account's settings were changed: {change}");
            ui::message(format_args!("{change}; for every worker of this ledger"));
        }
        Ok(is_changed)
    }
}

fn wanted(all: &Settings, settings: &AccountSettings, account: &Account) -> Result<AccountUpdate> {
    let pace = &settings.pace;
    let daily = match &settings.daily_budget {
        None | Some(Setting::Keep) => None,
        Some(Setting::Clear) => Some(None),
        Some(Setting::Set(budget)) => Some(Some(budget.clone())),
    };
    // In the same step, so that nothing waits for a worker to tell the day. It is not heard while another one is counted.
    let day = daily.iter().flatten().find_map(|budget| {
        let until = Zone::parse(&budget.zone).ok()?.day_of(account.calendar)?.until;
        // What was claimed before was not counted, so it must not come back either.
        let range = TimeRange { from: account.calendar, until };
        Some(Day { zone: budget.zone.clone(), range })
    });
    let by_class = prices::of(pace.prices.as_deref())?.by_class();
    Ok(AccountUpdate {
        rate: pace.rate.map(|Rate { count, per }| (count, per)),
        max_in_flight: pace.max_in_flight,
        // The simulated videos take seconds.
        poll_rate: settings.poll_rate.or(all.simulate.then_some(SIMULATED_POLL_RATE)),
        prices: Some(PriceList { by_class, asked: pace.prices.is_some() }),
        daily,
        day,
        ..AccountUpdate::default()
    })
}

fn polls(before: u32, after: u32) -> Option<String> {
    (before != after).then(|| format!("polls: {after} per second (was {before})"))
}

fn pace(before: &Pace, after: &Pace) -> Option<String> {
    (before != after).then(|| {
        format!(
            "pace: {} submissions in {}, {} in flight (was {} in {}, {})",
            after.submissions,
            duration(after.per),
            after.max_in_flight,
            before.submissions,
            duration(before.per),
            before.max_in_flight
        )
    })
}

/// The first prices of a ledger are no change.
fn repriced(before: &BTreeMap<String, Credits>, after: &BTreeMap<String, Credits>) -> Option<String> {
    if before.is_empty() {
        return None;
    }
    let shown = |price: Option<&Credits>| price.map_or_else(|| "unknown".to_owned(), Credits::to_string);
    let classes: Vec<&String> = after.keys().chain(before.keys().filter(|class| !after.contains_key(*class))).collect();
    let mut changes: Vec<String> = classes
        .into_iter()
        .filter(|class| before.get(*class) != after.get(*class))
        .map(|class| format!("{class} {} (was {})", shown(after.get(class)), shown(before.get(class))))
        .collect();
    let more = changes.len().saturating_sub(SHOWN);
    changes.truncate(SHOWN);
    if more > 0 {
        changes.push(format!("and {more} more"));
    }
    (!changes.is_empty()).then(|| format!("prices: {}", changes.join(", ")))
}

fn daily(before: Option<&Daily>, after: Option<&Daily>) -> Option<String> {
    let (before, after) = (before.map(|daily| &daily.budget), after.map(|daily| &daily.budget));
    let shown = |budget: Option<&DailyBudget>| {
        budget
            .map_or_else(|| "none".to_owned(), |budget| format!("{} credits a day in {}", budget.credits, budget.zone))
    };
    (before != after).then(|| format!("daily budget: {} (was {})", shown(after), shown(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_prices_are_told_and_the_first_ones_are_none() {
        let prices = |all: &[(&str, i64)]| -> BTreeMap<String, Credits> {
            all.iter().map(|(class, credits)| ((*class).to_owned(), Credits::whole(*credits))).collect()
        };
        let before = prices(&[("veo3/720p", 250), ("veo3_fast/720p", 60)]);
        assert_eq!(repriced(&prices(&[]), &before), None);
        assert_eq!(repriced(&before, &before), None);
        assert_eq!(
            repriced(&before, &prices(&[("veo3/720p", 240), ("veo4/720p", 9)])).as_deref(),
            Some("prices: veo3/720p 240 (was 250), veo4/720p 9 (was unknown), veo3_fast/720p unknown (was 60)")
        );
    }
}
