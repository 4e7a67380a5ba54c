//! What became of the slots, by the hour: those used, and why the others were not.
//!
//! Slots are counted as time divided by the spacing, so they come in fractions. Whatever time goes by beyond the one slot of
//! credit is put down to the reason that a claim was told last.

use super::state::{AccountState, Blocked, Idle};

/// Hours that are kept.
pub const SLOT_HOURS: u32 = 72;

/// An hour, in microseconds.
const HOUR_US: i64 = 3_600_000_000;

/// So many more slots of an hour were used or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotCount {
    /// Hours since 1970.
    pub hour: i64,
    /// `used`, or why not: [`Blocked::as_str`], `answers` (earlier submissions may have arrived late), `unasked` (no worker
    /// asked in time), `lost` (with its worker), `unsent`.
    pub word: &'static str,
    /// How many.
    pub slots: f64,
}

impl SlotCount {
    /// One slot, now.
    pub fn one(word: &'static str, now_us: i64) -> Self {
        Self { hour: now_us.div_euclid(HOUR_US), word, slots: 1.0 }
    }
}

impl AccountState {
    /// A slot is used now, before it is taken. `slot_us` is [`AccountState::next_slot_us`].
    pub fn count_used(&mut self, slot_us: i64, now_us: i64) -> Vec<SlotCount> {
        let mut counts = self.gone_by(slot_us, now_us);
        self.idle = None;
        counts.push(SlotCount::one("used", now_us));
        counts
    }

    /// A claim is told to wait: from now on, or once the credit is used up, slots go by for this reason.
    pub fn count_idle(&mut self, why: Blocked, slot_us: i64, now_us: i64) -> Vec<SlotCount> {
        if why == Blocked::Slot || self.idle.is_some_and(|idle| idle.why == why) {
            return Vec::new();
        }
        let counts = self.gone_by(slot_us, now_us);
        self.idle = Some(Idle { why, from_us: now_us.max(self.tat_us + self.spacing_us(now_us)) });
        counts
    }

    /// How many slots of the hours from `first_hour` on have gone by for the reason of now, and are not counted yet.
    pub fn still_idle(&self, first_hour: i64, now_us: i64) -> Option<(Blocked, f64)> {
        let Idle { why, from_us } = self.idle?;
        let from = from_us.max(first_hour * HOUR_US);
        (from < now_us).then(|| (why, ratio(now_us - from, self.spacing_us(now_us))))
    }

    /// Whatever went by until now has its reason: the one that was told since, or none was.
    fn gone_by(&self, slot_us: i64, now_us: i64) -> Vec<SlotCount> {
        let (spacing, mut counts) = (self.spacing_us(now_us), Vec::new());
        if let Some(Idle { why, from_us }) = self.idle {
            unused(&mut counts, why.as_str(), (from_us, now_us), spacing);
        } else if self.tat_us != 0 {
            let begun = self.tat_us + spacing;
            unused(&mut counts, "answers", (begun, slot_us.min(now_us)), spacing);
            unused(&mut counts, "unasked", (begun.max(slot_us), now_us), spacing);
        }
        counts
    }
}

/// The slots from `from` to `till` were not used for this reason.
fn unused(counts: &mut Vec<SlotCount>, word: &'static str, (from, till): (i64, i64), spacing: i64) {
    let mut from = from.max(till - i64::from(SLOT_HOURS) * HOUR_US);
    while from < till {
        let hour = from.div_euclid(HOUR_US);
        let to = till.min((hour + 1) * HOUR_US);
        counts.push(SlotCount { hour, word, slots: ratio(to - from, spacing) });
        from = to;
    }
}

#[expect(clippy::cast_precision_loss, reason = "hours in microseconds are far below 2^53")]
fn ratio(time: i64, spacing: i64) -> f64 {
    time as f64 / spacing as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_is_spread_over_its_hours() {
        let (half, mut counts) = (HOUR_US / 2, Vec::new());
        unused(&mut counts, "work", (half, 3 * HOUR_US + half), HOUR_US / 10);
        let rows: Vec<(i64, f64)> = counts.iter().map(|count| (count.hour, count.slots)).collect();
        assert_eq!(rows, [(0, 5.0), (1, 10.0), (2, 10.0), (3, 5.0)]);
    }
}
