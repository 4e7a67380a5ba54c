//! Random tokens, names and jitter, from the system; the simulation in this crate's tests draws them from a seed.

/// 128 random bits, for a token or a name.
pub(crate) fn bits() -> u128 {
    #[cfg(test)]
    if let Some(low) = veobatch_ledger::simulated::bits() {
        let high = veobatch_ledger::simulated::bits().unwrap_or_default();
        return u128::from(high) << 64 | u128::from(low);
    }
    let mut bytes = [0; 16];
    // Without randomness there are no tokens: stopping is the only safe answer.
    #[expect(clippy::expect_used, reason = "there is no safe way to continue")]
    getrandom::fill(&mut bytes).expect("the system has no source of randomness");
    u128::from_ne_bytes(bytes)
}

/// Uniform between 0 and 1, so that jobs and machines do not act in lockstep.
#[expect(clippy::cast_precision_loss, reason = "jitter needs no precision")]
pub(crate) fn jitter() -> f64 {
    (bits() >> 64) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn jitter_stays_between_zero_and_one() {
        assert!((0..1000).map(|_| super::jitter()).all(|jitter| (0.0..=1.0).contains(&jitter)));
    }
}
