//! When the next submission may be sent: even spacing, and fewer than N arrivals younger than W.
//!
//! The spacing is `T = W / N` with one slot of credit for lateness: `tat = max(tat, now − T) + T`, granted when `now ≥ tat`. It
//! spreads the submissions; the log of arrivals makes sure that the service never sees more than N in W, however long each
//! was on its way: it keeps an upper bound of each one's arrival, `now + stall` at the claim, lowered when its end is known.
//!
//! A service that says "too many" lowers the allowance: another program may share the account. It grows again by a twentieth
//! of N a minute up to nine tenths of what was too many, and then fifteen times as slowly (additive increase, multiplicative
//! decrease).

use std::time::Duration;

use super::state::{AccountState, Pace, Throttled, at, ms, since_1970};
use crate::time::Timestamp;

impl Pace {
    /// T, as long as the allowance is not lowered.
    pub fn spacing(&self) -> Duration {
        self.per / self.submissions.max(1)
    }

    fn per_ms(&self) -> i64 {
        i64::try_from(self.per.as_millis()).unwrap_or(i64::MAX)
    }
}

/// What is left of the allowance when the service says that it was too much.
pub const LOWER: f64 = 0.7;

/// From this part of what was too much on, the allowance grows [`CAREFULLY`].
pub const CAREFUL_FROM: f64 = 0.9;

/// So many times as slowly.
pub const CAREFULLY: f64 = 15.0;

/// In a minute the allowance grows by one of so many parts of N.
pub const STEPS: f64 = 20.0;

/// How long arrivals are kept that no rule needs any more, for a rate that is changed to a longer W.
pub const ARRIVALS_KEPT: Duration = Duration::from_secs(60);

/// How long after the slot that an upgrade was told to wait for it is kept for one: for a worker to come back for it.
pub const UPGRADE_TURN: Duration = Duration::from_secs(1);

/// How long a submission waits at a time while an upgrade's slot is kept.
pub const UPGRADE_RECHECK: Duration = Duration::from_millis(100);

/// Beyond the time limit of a call, for its worker to tell what became of it, after the ledger may have gone back in time.
pub const RECOVERY_MARGIN: Duration = Duration::from_secs(10);

impl Throttled {
    /// What `allowed` becomes if that was too many, and it may grow again from `since` on.
    pub fn from(allowed: f64, since: Timestamp) -> Self {
        Self { to: (LOWER * allowed).max(1.0), since, peak: allowed }
    }
}

/// How long an arrival bound is that is known now: a call that arrived `ago_ms` ago at the latest. Times are cut to whole
/// milliseconds; the one more keeps it an upper bound.
pub fn lowered_bound(ago_ms: i64, now_us: i64) -> i64 {
    (ms(now_us) + 1).saturating_sub(ago_ms)
}

impl AccountState {
    /// How many submissions in W the service is taken to allow now: from 1 to N.
    #[expect(clippy::cast_precision_loss, reason = "a time since the service said something")]
    pub fn allowed(&self, now_us: i64) -> f64 {
        let n = f64::from(self.pace.submissions);
        let Some(Throttled { to, since, peak }) = self.throttled else { return n.max(1.0) };
        let minutes = (ms(now_us) - since_1970(since)).max(0) as f64 / 60_000.0;
        let step = n / STEPS;
        let near = to.max(CAREFUL_FROM * peak);
        let soon = (near - to) / step;
        let found = if minutes <= soon { to + minutes * step } else { near + (minutes - soon) * step / CAREFULLY };
        found.min(n).max(1.0)
    }

    /// T, in microseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a duration of at most hours")]
    pub fn spacing_us(&self, now_us: i64) -> i64 {
        ((self.pace.per_ms() as f64 * 1000.0 / self.allowed(now_us)) as i64).max(1)
    }

    /// Most arrivals that may be younger than W, the next one included.
    #[expect(clippy::cast_possible_truncation, reason = "at most N, which is a u32")]
    pub fn most_young(&self, now_us: i64) -> i64 {
        self.allowed(now_us) as i64
    }

    /// When both rules have a slot; in the past if one is free.
    pub fn next_slot_us(&self, nth_bound: Option<Timestamp>) -> i64 {
        let aged = nth_bound.map_or(0, |bound| (since_1970(bound) + self.pace.per_ms()) * 1000);
        self.tat_us.max(aged)
    }

    /// Until when a submission waits for its slot. One that an upgrade waits for is that one's for a moment.
    pub(super) fn submission_slot(&self, nth_bound: Option<Timestamp>, now_us: i64) -> Option<Timestamp> {
        let (slot, turn) = (self.next_slot_us(nth_bound), since_1970(self.upgrade_turn));
        let recheck = i64::try_from(UPGRADE_RECHECK.as_millis()).unwrap_or(i64::MAX);
        let waits = now_us < slot || ms(now_us) < turn;
        waits.then(|| at(ceil_ms(slot).max(turn.min(ms(now_us) + recheck))))
    }

    /// Until when an upgrade waits for a slot, which is kept for it; `None`: it may take one now, and does.
    ///
    /// It queues up behind the upgrades that wait already, or all would come back for the same slot; but at most W behind, so
    /// that a worker that asks too often does not keep submissions waiting for longer.
    pub fn upgrade_slot(&mut self, nth_bound: Option<Timestamp>, now_us: i64) -> Option<Timestamp> {
        let kept = i64::try_from(UPGRADE_TURN.as_millis()).unwrap_or(i64::MAX);
        let (slot_us, last) = (self.next_slot_us(nth_bound), since_1970(self.upgrade_turn) - kept);
        if now_us >= slot_us {
            if last <= ms(now_us) {
                self.upgrade_turn = Timestamp::default();
            }
            return None;
        }
        let mut slot = ceil_ms(slot_us);
        if last > ms(now_us) {
            slot = slot.max((last + ceil_ms(self.spacing_us(now_us))).min(slot + self.pace.per_ms()));
        }
        self.upgrade_turn = at(slot + kept);
        Some(at(slot))
    }

    /// A slot is taken.
    pub(super) fn take_spacing(&mut self, now_us: i64) {
        let spacing = self.spacing_us(now_us);
        self.tat_us = self.tat_us.max(now_us - spacing) + spacing;
    }

    /// Arrivals with an earlier bound are needed by no rule.
    pub fn arrivals_kept_from(&self, now_us: i64) -> i64 {
        let kept = i64::try_from(ARRIVALS_KEPT.as_millis()).unwrap_or(i64::MAX);
        ms(now_us) - self.pace.per_ms() - kept
    }
}

fn ceil_ms(us: i64) -> i64 {
    us.saturating_add(999).div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_that_was_too_much_is_found_again_carefully() {
        let since = Timestamp::from_millis(1_800_000_000_000);
        let throttled = Some(Throttled::from(20.0, since));
        let account = AccountState { throttled, ..AccountState::default() };
        for (minutes, expected) in [(0, 14.0), (2, 16.0), (4, 18.0), (19, 19.0), (34, 20.0), (600, 20.0)] {
            let allowed = account.allowed((since_1970(since) + 60_000 * minutes) * 1000);
            assert!((allowed - expected).abs() < 1e-9, "{minutes}: {allowed}");
        }
        let again = AccountState { throttled: Some(Throttled::from(1.2, since)), ..account };
        assert!((again.allowed(since_1970(since) * 1000) - 1.0).abs() < 1e-9, "one always goes");
    }
}
