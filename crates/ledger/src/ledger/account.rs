//! What a ledger is told and tells of the account that all machines share; its rules are in [`veobatch_core::account`].

use std::collections::BTreeMap;
use std::time::Duration;

use veobatch_core::account::{Daily, DailyBudget, Day, Gate, GateReport, Pace};
use veobatch_core::{Credits, Timestamp, Token};

use crate::ledger::hints::Note;
use crate::ledger::slots::SlotUse;

/// What changes; what is `None` (or `false`) stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountUpdate {
    /// N and W.
    pub rate: Option<(u32, Duration)>,
    /// The cap.
    pub max_in_flight: Option<u32>,
    /// How many jobs of the follow lane may be claimed in a second by all machines together, at least 1.
    pub poll_rate: Option<u32>,
    /// What submissions are expected to cost.
    pub prices: Option<PriceList>,
    /// What a day's submissions may cost; `Some(None)`: as much as they do.
    pub daily: Option<Option<DailyBudget>>,
    /// The next day of that budget.
    pub day: Option<Day>,
    /// The credits are back: a gate that is closed for want of them lets one through now. It does not open by this.
    pub credits_back: bool,
    /// The service turned a call away that no settling tells of: a gate that is open, or would be tried by now, closes for so
    /// long, with these words.
    pub close_gate: Option<(String, Duration)>,
    /// A worker starts, and nobody knows yet how near it is to the service: the fastest answers so far bound the arrival of
    /// nothing that comes from now on.
    pub forget_round_trips: bool,
    /// A worker starts, which may be a program that can read what others could not: a claim tries that now.
    pub retry_unreadable: bool,
    /// A person agreed that the ledger goes on, also if it is a copy ([`Identity::is_copy`]); and if it was restored, it was told
    /// what became of the submissions that it had forgotten, so it has granted at least so many.
    ///
    /// [`Identity::is_copy`]: crate::Identity::is_copy
    pub accept_restored: Option<u64>,
}

/// What submissions are expected to cost, by [`veobatch_core::Spec::price_class`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// Credits for one submission of a class.
    pub by_class: Vec<(String, Credits)>,
    /// A person named these prices; the program's own never take the place of such ones.
    pub asked: bool,
}

/// The end of a paid call, told with the put that stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Which attempt.
    pub token: Token,
    /// When it arrived at the service.
    pub arrival: Arrival,
    /// What it says about the service.
    pub gate: GateReport,
}

/// What is known of a submission's arrival at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At the latest so long before the ledger reads this.
    Ago(Duration),
    /// It was answered so long `ago`, and the call took that long. By how much it arrived before its answer is known from the
    /// fastest answers to all machines.
    Answered {
        /// From its beginning to the answer's end.
        took: Duration,
        /// Since the answer's end.
        ago: Duration,
    },
    /// Never: nothing was sent.
    Never,
    /// Unknown still: the bound stays.
    Unknown,
}

/// Most batches and jobs that one claim of a submission considers before it answers that there is nothing now.
pub(crate) const MOST_CANDIDATES: usize = 100;

/// Most delayed jobs that one claim makes ready.
pub(crate) const PROMOTED: i64 = 100;

/// Most batches that come in in one claim because their window opens.
pub(crate) const WOKEN: u32 = 10;

/// The account as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// How fast, and how many at once.
    pub pace: Pace,
    /// How many jobs of the follow lane may be claimed in a second by all machines together: a twenty-fifth of the cap and at
    /// least 10, unless a number was set.
    pub poll_rate: u32,
    /// How many of `pace.submissions` the service is taken to allow now, in thousandths.
    pub allowance: u32,
    /// In flight now, as the cap counts.
    pub in_flight: u32,
    /// When the next slot is due; in the past if one is free.
    pub next_slot: Timestamp,
    /// Whether submissions go through.
    pub gate: Gate,
    /// Until when nothing is granted because the ledger may have gone back in time ([`veobatch_core::account::Blocked::Recovery`]).
    pub recovering_until: Option<Timestamp>,
    /// Where its jobs were moved: it changes no more.
    pub moved_to: Option<String>,
    /// The daily budget, if there is one.
    pub daily: Option<Daily>,
    /// What submissions are expected to cost, by class.
    pub prices: BTreeMap<String, Credits>,
    /// What became of the slots of the hours that were asked for.
    pub slots: SlotUse,
    /// What workers said of themselves, at most one of each kind.
    pub notes: Vec<Note>,
    /// By the ledger's clock.
    pub now: Timestamp,
    /// By the clock of windows, days and recurrences ([`crate::Info::calendar`]).
    pub calendar: Timestamp,
}
