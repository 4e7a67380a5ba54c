//! Randomness: fences, nonces and names of admissions.
//!
//! The system's, always. Only a build with the feature `simulated`, which no crate of the product turns on (the
//! specification `architecture` holds that), can be told to draw from a seed instead, and only thread by thread.

/// 64 random bits.
pub(crate) fn bits() -> u64 {
    #[cfg(feature = "simulated")]
    if let Some(bits) = simulated::bits() {
        return bits;
    }
    let mut bytes = [0; 8];
    // Without randomness there are no fences and no tokens: stopping is the only safe answer.
    #[expect(clippy::expect_used, reason = "no safe way to go on")]
    getrandom::fill(&mut bytes).expect("the system has no source of randomness");
    u64::from_ne_bytes(bytes)
}

/// Randomness that can be repeated, for a simulation on this thread.
#[cfg(feature = "simulated")]
pub mod simulated {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on this thread's random bits follow from `seed`; `None`: they are the system's again.
    pub fn seed(seed: Option<u64>) {
        STATE.set(seed);
    }

    /// The next 64 bits, if this thread was given a seed (`SplitMix64`, Steele et al. 2014).
    pub fn bits() -> Option<u64> {
        let state = STATE.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(Some(state));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ (mixed >> 31))
    }
}
