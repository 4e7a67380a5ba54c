//! Whether a submission can be paid for: by its batch's budget, and by the day's.

use std::time::Duration;

use crate::batch::settings::TimeRange;
use crate::money::Credits;
use crate::time::Timestamp;

/// How long a job without a price waits before it is considered again.
pub const UNPRICED_WAIT: Duration = Duration::from_secs(600);

/// Between two claims while the day of the daily budget is over, and no worker has said when the next one ends.
pub const DAY_WAIT: Duration = Duration::from_secs(1);

/// What the submissions of one day may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyBudget {
    /// At most so much.
    pub credits: Credits,
    /// Whose days: a time zone. The ledger only compares it.
    pub zone: String,
}

/// One day of a daily budget. No effect unless its days are still those of `zone`, and the day before is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// As in [`DailyBudget::zone`].
    pub zone: String,
    /// From midnight to midnight.
    pub range: TimeRange,
}

/// A daily budget and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daily {
    /// What may be spent.
    pub budget: DailyBudget,
    /// The day that is counted; nothing is granted outside of it, so a worker says when the next one is.
    pub day: TimeRange,
    /// What its submissions may have cost.
    pub spent: Credits,
}

/// Whether the day has room for a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayRoom {
    /// It has.
    Fits,
    /// Not before the day ends, at this time of the calendar.
    Full(Timestamp),
    /// The day is over, and the next one begins once a worker says when that ends: [`DAY_WAIT`].
    Over,
}

/// What is set aside for a submission; `None` if it must wait for a price, since a budget needs one.
pub fn expected_price(known: Option<Credits>, has_budget: bool) -> Option<Credits> {
    if known.is_none() && has_budget { None } else { Some(known.unwrap_or_default()) }
}

/// Whether `price` is more than what is left of a batch's budget.
pub fn is_over_budget(budget: Option<Credits>, spent: Credits, price: Credits) -> bool {
    budget.is_some_and(|budget| spent.as_millis() + price.as_millis() > budget.as_millis())
}

impl Daily {
    /// A daily budget is set: what the day's submissions cost is kept if the days are the same as before.
    pub fn set(before: Option<Self>, budget: DailyBudget) -> Self {
        match before {
            Some(before) if before.budget.zone == budget.zone => Self { budget, ..before },
            Some(_) | None => {
                let day = TimeRange { from: Timestamp::default(), until: Timestamp::default() };
                Self { budget, day, spent: Credits::default() }
            }
        }
    }

    /// `day` begins, if it is the next one. `now` is the calendar's.
    pub fn begin(&mut self, day: &Day, now: Timestamp) -> bool {
        let is_next = self.budget.zone == day.zone && now >= self.day.until && day.range.until > self.day.until;
        if is_next {
            (self.day, self.spent) = (day.range, Credits::default());
        }
        is_next
    }

    /// Whether there is room for `price`. `now` is the calendar's.
    pub fn room(&self, price: Credits, now: Timestamp) -> DayRoom {
        if !self.day.contains(now) {
            DayRoom::Over
        } else if self.spent.as_millis() + price.as_millis() > self.budget.credits.as_millis() {
            DayRoom::Full(self.day.until)
        } else {
            DayRoom::Fits
        }
    }

    /// What a job's attempts may have cost changes by `more` thousandths of a credit. It is this day's if the attempt was
    /// claimed on it; `claimed` is the calendar's, and `None` if nothing is known of an open attempt.
    pub fn charge(&mut self, more: i64, claimed: Option<Timestamp>) {
        if claimed.is_some_and(|claimed| claimed >= self.day.from) {
            self.spent = Credits::from_millis(self.spent.as_millis() + more);
        }
    }
}
