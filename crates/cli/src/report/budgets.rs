//! What budgets leave: for how many jobs they are enough, and who waits for more.

use std::collections::BTreeMap;

use veobatch_core::{BatchId, Credits, StateName};
use veobatch_ledger::{Account, BatchSummary, JobFilter, Ledger};

use crate::failure::Result;
use crate::output::format::{credits, number, rounded};

/// A budget that is not enough for all of a batch's jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scarce {
    budget: Credits,
    is_used: bool,
    /// For how many of them it is enough.
    pub(crate) jobs: u64,
}

impl Scarce {
    /// What a budget, so much of it used, is for jobs that cost `each`; `None` if it is enough for all of them.
    pub(crate) fn of(budget: Credits, used: Credits, each: Credits, jobs: u64) -> Option<Self> {
        let one = u64::try_from(each.as_millis()).ok().filter(|one| *one > 0)?;
        let left = u64::try_from(budget.saturating_sub(used).as_millis()).unwrap_or_default();
        let is_used = used > Credits::default();
        (left / one < jobs).then_some(Self { budget, is_used, jobs: left / one })
    }

    /// In words, as the end of a line about the jobs.
    pub(crate) fn words(&self) -> String {
        let what = if self.is_used { "the rest of its budget" } else { "its budget" };
        let jobs = match self.jobs {
            0 => "none".to_owned(),
            jobs => format!("about {}", number(rounded(jobs))),
        };
        format!("{what} of {} credits covers {jobs} of them", credits(self.budget))
    }
}

/// The price of a batch's next queued job, in file order, if the ledger's list has it.
pub(crate) async fn next_price(
    ledger: &dyn Ledger,
    batch: &BatchId,
    prices: &BTreeMap<String, Credits>,
) -> Result<Option<Credits>> {
    let next = ledger.page(batch, JobFilter::In(StateName::Queued), None, 1).await?;
    Ok(next.first().and_then(|job| prices.get(&job.spec.price_class()).copied()))
}

/// What keeps one of `batches` from submitting now, if it is a budget: its next job does not fit.
pub(crate) async fn spent(ledger: &dyn Ledger, batches: &[BatchSummary], account: &Account) -> Result<Option<String>> {
    let dearest = account.prices.values().max().copied().unwrap_or_default();
    let waits = |batch: &&BatchSummary| batch.count(StateName::Queued) > 0 && !batch.paused && !batch.cancelling;
    for batch in batches.iter().filter(waits) {
        // Whatever its next job is: the jobs are looked at only where that matters.
        if short(batch, account, Some(dearest)).is_none() {
            continue;
        }
        let next = next_price(ledger, &batch.batch, &account.prices).await?;
        if let Some(words) = short(batch, account, next) {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// What a batch whose next job costs `next` waits for, if a budget does not cover that. A job without a price lets others go
/// before it; then not even the cheapest of any is covered.
fn short(batch: &BatchSummary, account: &Account, next: Option<Credits>) -> Option<String> {
    let price = next.or_else(|| account.prices.values().min().copied()).unwrap_or_default();
    let costs = next.map(|next| format!(", and the next job costs {next}")).unwrap_or_default();
    let short = |spent: Credits, budget: Credits| {
        (spent + price > budget).then(|| format!("({spent} of {budget} credits{costs})"))
    };
    if let Some(used) = account.daily.as_ref().and_then(|daily| short(daily.spent, daily.budget.credits)) {
        return Some(format!("the daily budget is used up {used}: waiting for the next day"));
    }
    let used = short(batch.credits, batch.terms.budget?)?;
    let name = &batch.batch;
    let order = format!("veobatch update {name} --budget CREDITS, or veobatch cancel {name}");
    Some(format!("{name}: its budget is used up {used}; {order}"))
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchSettings, TimeRange, Timestamp};
    use veobatch_ledger::{Daily, DailyBudget, Gate, Pace};

    use super::*;

    fn batch(used: i64, budget: Option<i64>) -> BatchSummary {
        BatchSummary {
            batch: BatchId::parse("garden").unwrap(),
            counts: BTreeMap::from([(StateName::Queued, 5)]),
            paused: false,
            paused_because: None,
            cancelling: false,
            created: Timestamp::default(),
            rested: None,
            terms: BatchSettings { budget: budget.map(Credits::whole), ..BatchSettings::default() },
            credits: Credits::whole(used),
        }
    }

    fn account(daily: Option<(i64, i64)>) -> Account {
        let prices = [("veo3/720p", 250), ("veo3_fast/720p", 60), ("veo3_lite/720p", 30)];
        let daily = daily.map(|(spent, credits)| Daily {
            budget: DailyBudget { credits: Credits::whole(credits), zone: "UTC".to_owned() },
            day: TimeRange::ALWAYS,
            spent: Credits::whole(spent),
        });
        Account {
            pace: Pace::default(),
            poll_rate: 20,
            slots: veobatch_ledger::SlotUse::default(),
            allowance: 20_000,
            in_flight: 0,
            next_slot: Timestamp::default(),
            gate: Gate::Open,
            recovering_until: None,
            moved_to: None,
            notes: Vec::new(),
            daily,
            prices: prices.map(|(class, credits)| (class.to_owned(), Credits::whole(credits))).into(),
            now: Timestamp::default(),
            calendar: Timestamp::default(),
        }
    }

    #[test]
    fn a_budget_is_used_up_once_the_batch_s_own_next_job_does_not_fit() {
        let words = |batch, account, next: Option<i64>| short(&batch, &account, next.map(Credits::whole));
        let used = "garden: its budget is used up (250 of 300 credits, and the next job costs 250); \
                    veobatch update garden --budget CREDITS, or veobatch cancel garden";
        assert_eq!(words(batch(250, Some(300)), account(None), Some(250)).as_deref(), Some(used));
        assert_eq!(words(batch(250, Some(300)), account(None), Some(30)), None);
        assert_eq!(words(batch(250, None), account(None), Some(250)), None);
        let day =
            "the daily budget is used up (480 of 500 credits, and the next job costs 30): waiting for the next day";
        assert_eq!(words(batch(0, None), account(Some((480, 500))), Some(30)).as_deref(), Some(day));
        assert_eq!(words(batch(0, None), account(Some((470, 500))), Some(30)), None);
        // A job without a price is put off, and others may go.
        assert_eq!(words(batch(270, Some(300)), account(None), None), None);
        let nothing = words(batch(271, Some(300)), account(None), None).unwrap();
        assert!(nothing.contains("(271 of 300 credits);"), "{nothing}");
    }

    #[test]
    fn how_far_a_budget_goes_is_told_where_it_is_not_enough() {
        let words = |budget, used, each, jobs| {
            let [budget, used, each] = [budget, used, each].map(Credits::whole);
            Scarce::of(budget, used, each, jobs).map(|scarce| scarce.words())
        };
        let few = "its budget of 5,000 credits covers about 83 of them";
        assert_eq!(words(5000, 0, 60, 84).as_deref(), Some(few));
        assert_eq!(words(5000, 0, 60, 83), None);
        let left = "the rest of its budget of 5,000 credits covers about 3 of them";
        assert_eq!(words(5000, 4800, 60, 20).as_deref(), Some(left));
        let none = "its budget of 50 credits covers none of them";
        assert_eq!(words(50, 0, 60, 1).as_deref(), Some(none));
        assert!(words(50, 90, 60, 1).unwrap().contains("none"));
        assert_eq!(words(50, 0, 0, 1), None);
        assert_eq!(words(0, 0, 60, 0), None);
    }
}
