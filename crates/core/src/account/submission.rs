//! Whether a submission may go now: recovery, gate, cap and slot together.

use super::state::{AccountState, Blocked, Facts};
use crate::names::id::Token;
use crate::time::Timestamp;

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
