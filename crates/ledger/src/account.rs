//! The account that all machines share: slots, cap and gate.
//!
//! Slots (LEDGER-NOTES.md, "Pace"): even spacing `T = W/N` with one slot of credit for lateness,
//! `tat = max(tat, now − T) + T`, granted when `now ≥ tat`; and a log of the last submissions with an upper bound of
//! each one's arrival, `now + stall` at the claim, lowered when its end is known. A claim needs fewer than N bounds
//! newer than `now − W`.
//!
//! ```text
//! open ──closed(for)──▶ backing off until T ──T──▶ half-open: one goes through ──healthy──▶ open
//!                              ▲───────────────────────────closed(for)──────────┘
//! ```
//!
//! A service that says "too many" lowers the allowance: another program may share the account. From `low` on, when the
//! gate may open again, it grows by a twentieth of N a minute up to nine tenths of what was too many, and then fifteen times
//! as slowly. All of it is computed from three numbers; nothing has to be done for it.
//!
//! The one that goes through is known by its token, for the submit call's time limit; after that another may. Its
//! `Closed` and its `Troubled` (with [`TROUBLE_WAIT`]) close the gate again, one closing further; its `Silent` lets
//! another one through. What others report while the gate is not open changes nothing but the count of troubles.

use std::collections::BTreeMap;
use std::time::Duration;

use veobatch_core::{Credits, Span, Timestamp, Token};

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

/// 20 new requests per 10 seconds and about 100 running tasks an account (kie-api.md, section 11).
impl Default for Pace {
    fn default() -> Self {
        Self { submissions: 20, per: Duration::from_secs(10), max_in_flight: 100 }
    }
}

impl Pace {
    /// T: the time between two slots.
    pub fn spacing(&self) -> Duration {
        self.per / self.submissions.max(1)
    }
}

/// Default maximum of polls per second: a video in flight is polled every five seconds while its finish is likely.
pub(crate) fn default_poll_rate(max_in_flight: u32) -> u32 {
    (max_in_flight / CAP_PER_POLL).max(POLLS_AT_LEAST)
}

/// So many videos in flight for one poll a second.
pub(crate) const CAP_PER_POLL: u32 = 5;

/// Polls a second, however low the cap is.
pub(crate) const POLLS_AT_LEAST: u32 = 10;

/// When the polls of a second are used up, the next claim is worth while once there are this many again, or one.
pub(crate) const POLLS_WORTH_WHILE: Duration = Duration::from_millis(50);

/// What changes; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// N and W.
    pub rate: Option<(u32, Duration)>,
    /// The cap.
    pub max_in_flight: Option<u32>,
    /// What submissions are expected to cost.
    pub prices: Option<PriceList>,
    /// What a day's submissions may cost; `Some(None)`: as much as they do.
    pub daily: Option<Option<DailyBudget>>,
    /// The next day of that budget.
    pub day: Option<Day>,
    /// The credits are back: a gate that is closed for want of them lets one through now. It does not open by this.
    pub solvent: bool,
    /// The service turned a call away that no settling tells of: a gate that is open, or would be tried by now, closes for so
    /// long, with these words.
    pub closes: Option<(String, Duration)>,
    /// A worker begins, and nobody knows yet how near it is to the service: what was heard of fast answers so far bounds the
    /// arrival of nothing that comes from now on.
    pub joins: bool,
    /// A worker begins, which may be a program that can read what others could not: a claim tries that now.
    pub rereads: bool,
    /// What a worker says of itself; without words it takes back what was said of that kind.
    pub note: Option<(NoteKind, Option<String>)>,
}

/// What only a worker can see, and says for people who look from elsewhere. Nothing is decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// It submits nothing for now. Said again and again as long as that is so.
    Braked,
    /// It ended because the service refused its key.
    KeyRefused,
}

impl NoteKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Braked, Self::KeyRefused];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Braked => "braked",
            Self::KeyRefused => "key_refused",
        }
    }
}

/// What a worker said last of a kind; any of them, should there be several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// In words.
    pub words: String,
    /// When it was said.
    pub at: Timestamp,
}

/// What submissions are expected to cost, by [`veobatch_core::Spec::price_class`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// Credits for one submission of a class.
    pub by_class: Vec<(String, Credits)>,
    /// A person named these prices; the program's own never take the place of such ones.
    pub asked: bool,
}

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
    pub span: Span,
}

/// A daily budget and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daily {
    /// What may be spent.
    pub budget: DailyBudget,
    /// The day that is counted; nothing is granted outside of it, so a worker says when the next one is.
    pub day: Span,
    /// What its submissions may have cost.
    pub spent: Credits,
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

/// What a paid call says about the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateReport {
    /// It takes submissions: opens the gate, if this was the one that went through, and forgets troubles.
    Healthy,
    /// Unknown or not sent: [`TROUBLES`] in a row close the gate.
    Troubled {
        /// In words, for `status`.
        why: String,
        /// How long, before doubling, if it does close: [`TROUBLE_WAIT`], or longer if the service asked for that.
        wait: Duration,
    },
    /// It takes none for now: closes the gate for all. Counted only if it was open.
    Closed {
        /// In words, for `status`.
        why: String,
        /// How long, before doubling: the wait is `wait × 2^closings`, at most [`GATE_MAX`].
        wait: Duration,
        /// Submissions need money, not patience.
        no_credits: bool,
        /// They came too fast: the allowance is lowered to seven tenths of what it was, and found again (see above).
        too_many: bool,
    },
    /// Says nothing.
    Silent,
}

/// Most batches and jobs that one claim of a submission looks at before it says that there is nothing now.
pub(crate) const LOOKS: usize = 100;

/// How long a job without a price waits before it is looked at again.
pub(crate) const UNPRICED_WAIT: Duration = Duration::from_secs(600);

/// Most delayed jobs that one claim makes ready.
pub(crate) const PROMOTED: i64 = 100;

/// Most batches that come in in one claim because their window opens.
pub(crate) const WOKEN: u32 = 10;

/// How long an arrival is kept that no rule looks at any more, for a rate that is changed to a longer one.
pub(crate) const ARRIVALS_KEPT: Duration = Duration::from_secs(60);

/// Between two claims while the day of the daily budget is over, and no worker has said when the next one ends.
pub(crate) const DAY_WAIT: Duration = Duration::from_secs(1);

/// Beyond the time limit of a call, for its worker to tell what became of it, after the server was replaced.
pub(crate) const RECOVERY_MARGIN: Duration = Duration::from_secs(10);

/// Troubles in a row that close the gate.
pub const TROUBLES: u32 = 3;

/// First wait after [`TROUBLES`], at least.
pub const TROUBLE_WAIT: Duration = Duration::from_secs(10);

/// How long after the slot that an upgrade was told to wait for it is kept for one: for a worker to come back for it.
pub(crate) const UPGRADE_TURN: Duration = Duration::from_secs(1);

/// What is left of the allowance when the service says that it was too much.
pub(crate) const LOWER: f64 = 0.7;

/// From this part of what was too much on, the allowance is found again [`CAREFULLY`].
pub(crate) const CAREFUL_FROM: f64 = 0.9;

/// So many times as slowly.
pub(crate) const CAREFULLY: f64 = 15.0;

/// In a minute, one of so many parts of N is found again.
pub(crate) const STEPS: f64 = 20.0;

/// An allowance that was lowered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lowered {
    /// To so many in W.
    pub(crate) to: f64,
    /// It grows from here on.
    pub(crate) since: Timestamp,
    /// What was too many.
    pub(crate) peak: f64,
}

impl Lowered {
    /// What `allowed` becomes when that was too many, and it may grow again from `since` on.
    pub(crate) fn from(allowed: f64, since: Timestamp) -> Self {
        Self { to: (LOWER * allowed).max(1.0), since, peak: allowed }
    }

    /// How many of `n` are allowed by `now`.
    pub(crate) fn allowed(&self, n: u32, now: Timestamp) -> f64 {
        let (n, minutes) = (f64::from(n), now.since(self.since).as_secs_f64() / 60.0);
        let step = n / STEPS;
        let near = self.to.max(CAREFUL_FROM * self.peak);
        let soon = (near - self.to) / step;
        let found = if minutes <= soon { self.to + minutes * step } else { near + (minutes - soon) * step / CAREFULLY };
        found.min(n).max(1.0)
    }
}

/// The longest the gate stays closed before one submission tries it.
pub const GATE_MAX: Duration = Duration::from_secs(5 * 60);

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

/// Why no submission was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
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

/// The account as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// How fast, and how many at once.
    pub pace: Pace,
    /// How many of `pace.submissions` the service is taken to allow now, in thousandths.
    pub allowance: u32,
    /// In flight now, as the cap counts.
    pub in_flight: u32,
    /// When the next slot is due; in the past if one is free.
    pub next_slot: Timestamp,
    /// Whether submissions go through.
    pub gate: Gate,
    /// Until when nothing is granted because the ledger may have gone back in time ([`Waiting::Recovery`]).
    pub recovering_until: Option<Timestamp>,
    /// Where its jobs were moved: it changes no more.
    pub moved_to: Option<String>,
    /// The daily budget, if there is one.
    pub daily: Option<Daily>,
    /// What submissions are expected to cost, by class.
    pub prices: BTreeMap<String, Credits>,
    /// What workers said of themselves, at most one of each kind.
    pub notes: Vec<Note>,
    /// By the ledger's clock.
    pub now: Timestamp,
    /// By the clock of windows, days and recurrences ([`crate::Ledger::calendar`]).
    pub calendar: Timestamp,
}

impl Gate {
    /// How long the `closings`-th closing in a row lasts (from 1) if the first lasts `wait`.
    pub fn wait(wait: Duration, closings: u32) -> Duration {
        wait.saturating_mul(1 << closings.saturating_sub(1).min(16)).min(GATE_MAX.max(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_that_was_too_much_is_found_again_carefully() {
        let since = Timestamp::from_millis(1_800_000_000_000);
        let lowered = Lowered::from(20.0, since);
        let after = |minutes: u64| lowered.allowed(20, since.after(Duration::from_secs(60 * minutes)));
        let seen = [after(0), after(2), after(4), after(19), after(34), after(600)];
        for (seen, is) in seen.into_iter().zip([14.0, 16.0, 18.0, 19.0, 20.0, 20.0]) {
            assert!((seen - is).abs() < 1e-9, "{seen} {is}");
        }
        let again = Lowered::from(1.2, since);
        assert!((again.allowed(20, since) - 1.0).abs() < 1e-9, "one always goes");
    }
}
