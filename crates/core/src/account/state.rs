//! What the rules of the account decide by, and change.

use std::time::Duration;

use crate::names::id::Token;
use crate::time::Timestamp;

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

/// How fast, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// N: submissions in `per`.
    pub submissions: u32,
    /// W.
    pub per: Duration,
    /// Most videos in flight.
    pub max_in_flight: u32,
}

/// 20 new requests per 10 seconds and about 100 running tasks per account (docs/kie-api.md, section 11).
impl Default for Pace {
    fn default() -> Self {
        Self { submissions: 20, per: Duration::from_secs(10), max_in_flight: 100 }
    }
}

/// An allowance that was lowered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttled {
    /// To so many in W.
    pub to: f64,
    /// It grows from here on.
    pub since: Timestamp,
    /// What was too many.
    pub peak: f64,
}

/// Whether submissions go through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// They do.
    #[default]
    Open,
    /// Not until then; after it one goes through and its outcome decides.
    Closed {
        /// When one may go through.
        until: Timestamp,
        /// In words.
        why: String,
        /// Submissions need money, not patience.
        no_credits: bool,
        /// Closings in a row.
        closings: u32,
    },
}

/// The submission that tries whether the gate may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its token.
    pub token: Token,
    /// Until when its outcome is waited for.
    pub until: Timestamp,
}

/// Why slots go by unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// As a claim was told.
    pub why: Blocked,
    /// Since when.
    pub from_us: i64,
}

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
    /// Every batch with queued jobs is outside of its window.
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

/// What a ledger must count and read before it asks [`AccountState::blocked`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Until when nothing is granted because the ledger may have gone back in time.
    pub recovering_until: Option<Timestamp>,
    /// In flight now.
    pub in_flight: u32,
    /// The latest bound but [`AccountState::most_young`] − 1: the arrival that must be older than W before the next slot.
    pub nth_bound: Option<Timestamp>,
}

/// In whole milliseconds, rounded down.
pub(super) fn ms(us: i64) -> i64 {
    us.div_euclid(1000)
}

/// As a timestamp; times before 1970 are 1970.
pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// Of a timestamp.
pub(super) fn since_1970(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
