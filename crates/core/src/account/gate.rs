//! The gate, the account's circuit breaker: closed while the service takes no submissions.
//!
//! ```text
//! open ──closed(for)──▶ backing off until T ──T──▶ half-open: one goes through ──healthy──▶ open
//!                              ▲───────────────────────────closed(for)──────────┘
//! ```
//!
//! The one that goes through is known by its token, for the submit call's time limit; after that another may. Its `Closed` and
//! its `Troubled` close the gate again, one closing further; its `Silent` lets another one through. What others report
//! while the gate is not open changes nothing but the count of troubles.

use std::time::Duration;

use super::state::{AccountState, Gate, Probe, Throttled, at, ms, since_1970};
use crate::names::id::Token;
use crate::time::{Timestamp, millis};

/// Troubles in a row that close the gate.
pub const TROUBLES: u32 = 3;

/// First wait after [`TROUBLES`], at least.
pub const TROUBLE_WAIT: Duration = Duration::from_secs(10);

/// The longest the gate stays closed before one submission tries it.
pub const GATE_MAX: Duration = Duration::from_secs(5 * 60);

/// The wait doubles so often at most.
pub const MOST_DOUBLINGS: u32 = 16;

impl Gate {
    /// How long the `closings`-th closing in a row lasts (from 1) if the first lasts `wait`.
    pub fn wait(wait: Duration, closings: u32) -> Duration {
        wait.saturating_mul(1 << closings.saturating_sub(1).min(MOST_DOUBLINGS)).min(GATE_MAX.max(wait))
    }
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
        /// They came too fast: the allowance is lowered to seven tenths of what it was, and found again.
        too_many: bool,
    },
    /// Says nothing.
    Silent,
}

impl AccountState {
    /// Until when the gate lets nothing through, or its one trial is waited for.
    pub fn closed_until(&self, now_us: i64) -> Option<Timestamp> {
        let Gate::Closed { until, .. } = self.gate else { return None };
        let trial = self.probe.as_ref().map_or(until, |probe| until.max(probe.until));
        (since_1970(trial) > ms(now_us)).then_some(trial)
    }

    /// A call is sent while the gate is not open: it tries whether it may be.
    pub(super) fn try_gate(&mut self, token: &Token, stall_ms: i64, now_us: i64) {
        if self.gate != Gate::Open {
            self.probe = Some(Probe { token: token.clone(), until: at(ms(now_us) + stall_ms) });
        }
    }

    /// The call of `token` is granted again and has yet to be made: if it tries the gate, it is waited for anew.
    pub fn retry_gate(&mut self, token: &Token, stall_ms: i64, now_us: i64) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.token == *token) {
            probe.until = at(ms(now_us) + stall_ms);
        }
    }

    /// The call of `token` ended, and says this about the service.
    pub fn settle(&mut self, token: &Token, report: &GateReport, now_us: i64) {
        let is_probe = self.probe.as_ref().is_some_and(|probe| probe.token == *token);
        let is_open = self.gate == Gate::Open;
        match report {
            GateReport::Healthy => {
                self.troubles = 0;
                if is_probe {
                    self.gate = Gate::Open;
                }
            }
            GateReport::Troubled { why, wait } => {
                self.troubles = self.troubles.saturating_add(1);
                if is_probe || (is_open && self.troubles >= TROUBLES) {
                    self.close(why, *wait, false, now_us);
                }
            }
            GateReport::Closed { why, wait, no_credits, too_many } => {
                // Others that were under way when it closed tell nothing new.
                if is_probe || is_open {
                    let allowed = self.allowed(now_us);
                    let until = self.close(why, *wait, *no_credits, now_us);
                    self.throttled = if *too_many { Some(Throttled::from(allowed, until)) } else { self.throttled };
                }
            }
            GateReport::Silent => {}
        }
        if is_probe {
            self.probe = None;
        }
    }

    /// Something else than a paid call says that the service takes none for now. It counts if the gate lets one through.
    pub fn report_closed(&mut self, why: &str, wait: Duration, now_us: i64) -> bool {
        let lets_through = match self.gate {
            Gate::Open => true,
            Gate::Closed { until, .. } => since_1970(until) <= ms(now_us),
        };
        if lets_through {
            self.close(why, wait, false, now_us);
        }
        lets_through
    }

    /// The credits are back: a gate that is closed for want of them may be tried now.
    pub fn report_credits(&mut self, now_us: i64) {
        if let Gate::Closed { until, no_credits: true, .. } = &mut self.gate {
            *until = at(ms(now_us)).min(*until);
        }
    }

    /// Closes the gate, for longer each time in a row. Troubles and the trial start anew.
    fn close(&mut self, why: &str, wait: Duration, no_credits: bool, now_us: i64) -> Timestamp {
        let closings = match self.gate {
            Gate::Open => 1,
            Gate::Closed { closings, .. } => closings.saturating_add(1),
        };
        let lasts = i64::try_from(millis(Gate::wait(wait, closings))).unwrap_or(i64::MAX);
        let until = at(ms(now_us).saturating_add(lasts));
        self.gate = Gate::Closed { until, why: why.to_owned(), no_credits, closings };
        self.troubles = 0;
        self.probe = None;
        until
    }
}
