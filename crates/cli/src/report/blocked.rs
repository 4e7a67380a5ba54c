//! Why a job is not moving right now: the first thing that is in its way, as the ledger's claim looks at them.
//!
//! Pure: from what the ledger says of the job, its batch and the account. Of what only a worker process knows, a full disk is
//! told to the ledger; its own hours, and lanes that it does not work, are in that worker's log.

use veobatch_core::{Called, Comparison, Credits, Record, Schedule, State, Timestamp, Zone};
use veobatch_ledger::{Account, BatchSummary, Gate, Stored};

use crate::output::format::{duration, moment};
use crate::output::table::plain;
use crate::report::account;
use crate::report::forecast::next_run;

/// Longest reason that is printed.
const REASON: usize = 200;

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    /// In one word, for scripts.
    pub(crate) word: &'static str,
    /// For people, on one line.
    pub(crate) words: String,
}

impl Blocked {
    fn new(word: &'static str, words: impl Into<String>) -> Self {
        Self { word, words: words.into() }
    }

    /// What the job waits for; `None` if it is over.
    pub(crate) fn of(stored: &Stored, batch: &BatchSummary, account: &Account) -> Option<Self> {
        let now = stored.now;
        let record = &stored.record;
        let due = |word, what: &str, at| Self::new(word, format!("{what} is {}{}", when(at, now), hindrance(record)));
        let waiting = match &record.state {
            State::Queued { due } => return Some(queued(stored, batch, account, *due)),
            State::Done { .. } | State::Failed { .. } | State::Cancelled => return None,
            State::Submitting { .. } => Self::new("orphaned", "its worker is gone: the next poll puts it in doubt"),
            State::Generating { due: at, .. } => due("poll", "the next poll", *at),
            State::Upscaling { due: at, .. } => due("poll", "the next poll of the larger version", *at),
            State::Downloading { due: at, .. } => due("download", "the download", *at),
            State::InDoubt {
                called: Some(Called { task: Some(task), comparison: Some(Comparison { due: at, .. }) }),
                ..
            } => due("comparison", &format!("a callback named task {task}: the comparison with this job"), *at),
            State::InDoubt { .. } => {
                let key = &stored.key;
                let orders = "--task-id ID, --resubmit or --give-up";
                let words = format!("a person has to decide: veobatch resolve {} {} {orders}", key.batch, key.job);
                return Some(Self::new("person", words));
            }
        };
        let held = stored.leased_until.filter(|until| *until > now);
        Some(held.map_or(waiting, |until| {
            let left = duration(until.since(now));
            Self::new("lease", format!("a worker holds it for {left} more, unless it renews its lease"))
        }))
    }
}

/// What a queued job waits for.
fn queued(stored: &Stored, batch: &BatchSummary, account: &Account, due: Option<Timestamp>) -> Blocked {
    let now = account.now;
    stopped(batch)
        .or_else(|| unscheduled(batch, account.calendar))
        .or_else(|| unaffordable(stored, batch, account))
        .or_else(|| {
            let at = due.filter(|due| *due > now)?;
            Some(Blocked::new("time", format!("the next try is {}{}", when(at, now), hindrance(&stored.record))))
        })
        .or_else(|| account::recovery(account).map(|words| Blocked::new("recovery", words)))
        .or_else(|| gate(account))
        .or_else(|| crowded(account))
        .or_else(|| account::braked(account).map(|words| Blocked::new("disk", words)))
        .unwrap_or_else(|| {
            Blocked::new(
                "turn",
                "nothing is in its way: it is submitted when its turn comes, if a worker is running (whose log tells if it \
                 waits for its hours)",
            )
        })
}

/// By an order, or for mistakes.
fn stopped(batch: &BatchSummary) -> Option<Blocked> {
    let name = &batch.batch;
    if batch.cancelling {
        return Some(Blocked::new("cancelling", "its batch is being cancelled"));
    }
    let because = batch.paused_because.as_ref().map(|why| format!(": {}", plain(why, REASON))).unwrap_or_default();
    batch.paused.then(|| Blocked::new("paused", format!("its batch is paused{because}; veobatch resume {name}")))
}

/// By its batch's schedule.
fn unscheduled(batch: &BatchSummary, now: Timestamp) -> Option<Blocked> {
    let schedule = Schedule::parse(&batch.terms.schedule).ok()?;
    let zone = schedule.zone();
    let at = |time| moment(&zone, time);
    if let Some(cron) = &schedule.cron {
        let next = next_run(&schedule, now).map(|run| format!("; next run {}", at(run))).unwrap_or_default();
        return Some(Blocked::new("recurring", format!("it is copied into each run of its batch ({cron}){next}")));
    }
    let span = schedule.open_range(now);
    if span.from <= now {
        return None;
    }
    Some(match &schedule.window {
        Some(_) => Blocked::new("window", format!("its batch's window is closed until {}", at(span.from))),
        None => Blocked::new("start", format!("its batch starts at {}", at(span.from))),
    })
}

/// By the budget of its batch or of the day.
fn unaffordable(stored: &Stored, batch: &BatchSummary, account: &Account) -> Option<Blocked> {
    let (budget, daily) = (batch.terms.budget, account.daily.as_ref());
    if budget.is_none() && daily.is_none() {
        return None;
    }
    let class = stored.spec.price_class();
    let Some(&price) = account.prices.get(&class) else {
        let words = format!(
            "there is a budget, and the price of {class} is unknown: set it with --prices FILE (checked again within \
             ten minutes)"
        );
        return Some(Blocked::new("price", words));
    };
    let short = |spent: Credits, budget: Credits| {
        (spent + price > budget).then(|| format!("{spent} of {budget} credits, and it costs {price}"))
    };
    if let Some(short) = budget.and_then(|budget| short(batch.credits, budget)) {
        return Some(Blocked::new("budget", format!("its batch's budget is used up: {short}")));
    }
    let daily = daily?;
    let zone = Zone::parse(&daily.budget.zone).unwrap_or_default();
    if account.calendar < daily.day.from {
        let from = moment(&zone, daily.day.from);
        return Some(Blocked::new("daily_budget", format!("the daily budget: {}", account::day_to_come(&from))));
    }
    if !daily.day.contains(account.calendar) {
        return Some(Blocked::new("daily_budget", "the daily budget: no worker has started the new day yet"));
    }
    let until = moment(&zone, daily.day.until);
    let short = short(daily.spent, daily.budget.credits)?;
    Some(Blocked::new("daily_budget", format!("the daily budget is used up until {until}: {short}")))
}

fn gate(account: &Account) -> Option<Blocked> {
    let Gate::Closed { until, why, no_credits, .. } = &account.gate else { return None };
    let what = if *no_credits { "the key has no credits left" } else { "the account's gate is closed" };
    let next = when(*until, account.now);
    Some(Blocked::new("gate", format!("{what}: {}; the next try is {next}", plain(why, REASON))))
}

/// By the account's pace and cap.
fn crowded(account: &Account) -> Option<Blocked> {
    if account.in_flight >= account.pace.max_in_flight {
        let words = format!(
            "{} videos are in flight, and no more are allowed (one in doubt counts for half an hour)",
            account.in_flight
        );
        return Some(Blocked::new("cap", words));
    }
    let is_early = account.next_slot > account.now;
    is_early.then(|| {
        let next = when(account.next_slot, account.now);
        Blocked::new("slot", format!("it waits for its turn; the account's next slot is {next}"))
    })
}

/// What was in the way the last time.
fn hindrance(record: &Record) -> String {
    record.trouble.as_ref().map(|trouble| format!("; the last time: {}", plain(trouble, REASON))).unwrap_or_default()
}

fn when(at: Timestamp, now: Timestamp) -> String {
    let wait = at.since(now);
    if wait.is_zero() { "due now (is a worker running?)".to_owned() } else { format!("due in {}", duration(wait)) }
}

#[cfg(test)]
mod tests;
