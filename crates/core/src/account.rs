//! The rules of the account that all machines share, as pure functions: no SQL, no Lua, no clock.
//!
//! The ledger loads the [`AccountState`], asks, and stores it again in the same transaction. On `SQLite` these functions decide;
//! on Redis, whose transaction is a script, `redis/lua/lib/account.lua` has each of them under the same name, and a test holds
//! the two equal. Times that end in `_us` are microseconds since 1970 (a slot may be shorter than a millisecond).
//!
//! | file | decides |
//! |---|---|
//! | `pace` | when the next slot is due, and what a 429 does to the allowance |
//! | `min_rtt` | how long before its answer a submission must have arrived |
//! | `gate` | the circuit breaker: when nothing is submitted because the service takes nothing |
//! | `budget` | whether a batch or the day can pay for a submission |
//! | `slots` | what every slot was used for, or why it was not |
//! | `polls` | how many polls may be made now |

mod budget;
mod gate;
mod min_rtt;
mod pace;
mod polls;
mod slots;

pub use budget::{DAY_WAIT, Daily, DailyBudget, Day, DayRoom, UNPRICED_WAIT, expected_price, is_over_budget};
pub use gate::{GATE_MAX, Gate, GateReport, MOST_DOUBLINGS, Probe, TROUBLE_WAIT, TROUBLES};
pub use min_rtt::{ENOUGH_ANSWERS, GENERATION_ANSWERS, MARGIN_MS, MinRtt};
pub use pace::{
    ARRIVALS_KEPT, CAREFUL_FROM, CAREFULLY, LOWER, Pace, RECOVERY_MARGIN, STEPS, Throttled, UPGRADE_RECHECK,
    UPGRADE_TURN, lowered_bound,
};
pub use polls::{CAP_PER_POLL, POLLS_AT_LEAST, POLLS_WORTH_WHILE, PollBucket, poll_rate};
pub use slots::{Idle, SLOT_HOURS, SlotCount};

use crate::id::Token;
use crate::time::Timestamp;

/// Why no submission was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// No queued job that may go.
    Work,
    /// The next slot is not due.
    Slot,
    /// As many in flight as the cap allows.
    Cap,
    /// The gate is closed, or its one trial is under way.
    Gate,
    /// Every batch with queued jobs is outside of its span.
    Window,
    /// What is left of the budgets is less than the next job's price.
    Budget,
    /// The ledger may have gone back in time: workers tell it first what their journals know.
    Recovery,
}

impl Blocked {
    /// All of them, with their words in keys.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("work", Self::Work),
        ("slot", Self::Slot),
        ("cap", Self::Cap),
        ("gate", Self::Gate),
        ("window", Self::Window),
        ("budget", Self::Budget),
        ("recovery", Self::Recovery),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, waiting)| *waiting == self).map_or("", |(word, _)| word)
    }

    /// Reads [`Blocked::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, waiting)| *waiting)
    }
}

/// What the rules decide by, and change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountState {
    /// How fast, and how many at once.
    pub pace: Pace,
    /// When the next slot is due by the spacing alone; 0 before the first.
    pub tat_us: i64,
    /// The allowance, if the service said that it was too much.
    pub throttled: Option<Throttled>,
    /// Whether submissions go through.
    pub gate: Gate,
    /// Troubles in a row.
    pub troubles: u32,
    /// The submission that tries whether the gate may open.
    pub probe: Option<Probe>,
    /// Why slots go by unused.
    pub idle: Option<Idle>,
    /// Slots are an upgrade's until then.
    pub upgrade_turn: Timestamp,
}

/// What a ledger must count and look up before it asks [`AccountState::blocked`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Until when nothing is granted because the ledger may have gone back in time.
    pub recovering_until: Option<Timestamp>,
    /// In flight now.
    pub in_flight: u32,
    /// The latest bound but [`AccountState::most_young`] − 1: the arrival that must be older than W before the next slot.
    pub nth_bound: Option<Timestamp>,
}

impl AccountState {
    /// Why nothing may be submitted now, and until when: the first of recovery, gate, cap and slot. `None`: a slot is free.
    ///
    /// When a place under the cap becomes free is not known here: then the time is `None`.
    pub fn blocked(&self, facts: &Facts, now_us: i64) -> Option<(Blocked, Option<Timestamp>)> {
        if let Some(until) = facts.recovering_until {
            return Some((Blocked::Recovery, Some(until)));
        }
        if let Some(until) = self.closed_until(now_us) {
            return Some((Blocked::Gate, Some(until)));
        }
        if facts.in_flight >= self.pace.max_in_flight {
            return Some((Blocked::Cap, None));
        }
        let slot = self.submission_slot(facts.nth_bound, now_us);
        slot.map(|until| (Blocked::Slot, Some(until)))
    }

    /// The slot is taken for `token`, whose call arrives within `stall`; it may be the one that tries the gate.
    pub fn take_slot(&mut self, token: &Token, stall_ms: i64, now_us: i64) {
        self.take_spacing(now_us);
        self.try_gate(token, stall_ms, now_us);
    }

    /// The slot that was taken for `token` just now is given back: on Redis only the client can tell that the job cannot be read.
    pub fn take_back_slot(&mut self, token: &Token, now_us: i64) {
        self.tat_us = (self.tat_us - self.spacing_us(now_us)).max(0);
        if self.probe.as_ref().is_some_and(|probe| probe.token == *token) {
            self.probe = None;
        }
    }
}

/// In whole milliseconds, rounded down.
pub(crate) fn ms(us: i64) -> i64 {
    us.div_euclid(1000)
}

/// As a timestamp; times before 1970 are 1970.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// Of a timestamp.
pub(crate) fn since_1970(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
