//! How long before its answer a submission arrived at the service, at least: what the shared pace gains on slow answers.
//!
//! An answer took `L`, the fastest of the last ones took `L_min`. The submission cannot have arrived later than
//! `sent + (L − L_min)` plus the shortest way there, and the next one takes at least that shortest way too; 50 ms cover
//! that a minimum over some hundred answers is not the true one. Seen from the answer it arrived `L_min − 50 ms` before.
//!
//! The minimum is that of all machines together. One machine's own would be too large for a submission of a nearer
//! one that comes next, and a minimum over a few answers is none: of eight workers each would know only an eighth of them. Until
//! [`ENOUGH_ANSWERS`] came since the last worker began, the bound is the time of the answer, which is safe by itself. What
//! remains: a machine that comes much nearer while it works (a VPN that is switched off) may meet a 429.

/// Answers before their minimum is relied on. With ways spread over 0.15 s and answers over 0.3 s the least of so many is
/// within the margin of the true one but for six times in a hundred, and only a slow send that is followed by a fast one can
/// tell; with 20, as it was first, it is not every second time, and an independent run met a 429.
pub const ENOUGH_ANSWERS: u32 = 100;

/// The older half of what is remembered is forgotten when so many are new: a minimum over 250 to 500 answers.
pub const GENERATION_ANSWERS: u32 = 250;

/// What a minimum over them may miss, in ms.
pub const MARGIN_MS: u32 = 50;

/// The fastest of the last answers, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinRtt {
    /// Of the present ones.
    pub present: Option<u32>,
    /// How many those are.
    pub count: u32,
    /// Of those before.
    pub before: Option<u32>,
}

impl MinRtt {
    /// An answer took this many ms. Returns how many ms before it its submission arrived, at least.
    pub fn lead(&mut self, took: u32) -> u32 {
        let present = self.present.map_or(took, |least| least.min(took));
        (self.present, self.count) = (Some(present), self.count + 1);
        let least = self.before.map_or(present, |before| before.min(present));
        let is_enough = self.before.is_some() || self.count >= ENOUGH_ANSWERS;
        if self.count >= GENERATION_ANSWERS {
            *self = Self { before: self.present, ..Self::default() };
        }
        if is_enough { least.saturating_sub(MARGIN_MS) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_counts_only_by_what_it_exceeds_the_fastest() {
        let mut fastest = MinRtt::default();
        for _ in 1..ENOUGH_ANSWERS {
            // Whatever they say: nobody knows yet whether this is fast.
            assert_eq!(fastest.lead(900), 0);
        }
        assert_eq!([fastest.lead(900), fastest.lead(300), fastest.lead(1500), fastest.lead(20)], [850, 250, 250, 0]);
    }

    #[test]
    fn a_service_that_became_slower_is_known_as_that_after_some_hundred_answers() {
        let mut fastest = MinRtt::default();
        fastest.lead(60);
        let leads: Vec<u32> = (0..3 * GENERATION_ANSWERS).map(|_| fastest.lead(500)).collect();
        let known = leads.iter().position(|lead| *lead == 450).unwrap();
        assert!((250..500).contains(&known), "{known}");
        assert!(leads[known..].iter().all(|lead| *lead == 450));
    }
}
