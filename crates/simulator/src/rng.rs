//! Chance that can be repeated: a splitmix64 generator keyed by seed, purpose and number.
//!
//! Every draw belongs to *something* (the 7th submission, the 3rd poll of a task), not to "the next call": two requests
//! that arrive in another order, or one poll more, change nothing about the fate of the others.

use std::time::Duration;

/// A small deterministic generator; see Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The rng for the `number`-th thing of this `purpose`.
    pub(crate) fn new(seed: u64, purpose: &str, number: u64) -> Self {
        let mut rng = Self(seed ^ fnv1a(purpose.as_bytes()));
        let salt = rng.next();
        Self(salt ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The rng that always give the same for the same text.
    pub(crate) fn of(text: &str) -> Self {
        Self(fnv1a(text.as_bytes()))
    }

    /// The next 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn fraction(&mut self) -> f64 {
        f64::from((self.next() >> 32) as u32) / 4_294_967_296.0
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A number in `0..bound`, or 0 for an empty range.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// A duration that is log-normal around `median`, within a factor of twenty.
    pub(crate) fn log_normal(&mut self, median: Duration, sigma: f64) -> Duration {
        // Box and Muller's transform; `1 - x` keeps the logarithm away from zero.
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.fraction()).cos();
        median.mul_f64((sigma * normal).exp().clamp(0.05, 20.0))
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_purpose_and_number_give_the_same_draw_and_others_do_not() {
        let draw = |seed, purpose, number| Rng::new(seed, purpose, number).next();
        assert_eq!(draw(1, "submit", 7), draw(1, "submit", 7));
        assert_ne!(draw(1, "submit", 7), draw(2, "submit", 7));
        assert_ne!(draw(1, "submit", 7), draw(1, "poll", 7));
        assert_ne!(draw(1, "submit", 7), draw(1, "submit", 8));
    }

    #[test]
    fn half_of_the_log_normal_times_are_below_the_median() {
        let median = Duration::from_secs(90);
        let below = (0..4000).filter(|n| Rng::new(5, "time", *n).log_normal(median, 0.5) < median).count();
        assert!((1850..2150).contains(&below), "{below} of 4000");
    }

    #[test]
    fn a_chance_of_a_tenth_comes_about_a_tenth_of_the_time() {
        let hits = (0..10_000).filter(|n| Rng::new(3, "fault", *n).chance(0.1)).count();
        assert!((900..1100).contains(&hits), "{hits} of 10000");
    }
}
