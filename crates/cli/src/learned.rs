//! How long videos took so far, in words and as JSON.

use std::time::Duration;

use serde_json::{Value, json};
use veobatch_core::{Spread, VideoKind, millis};

use crate::units::{duration, number};

/// What is kept of one kind of video.
type Samples = (VideoKind, Vec<Duration>);

/// One line for each kind.
pub(crate) fn words(samples: &[Samples]) -> Vec<String> {
    samples.iter().filter_map(line).collect()
}

fn line((kind, took): &Samples) -> Option<String> {
    let Spread { median, lower, upper } = Spread::of(took)?;
    Some(format!(
        "learned: videos of {kind} take {} (half of them between {} and {}; the last {})",
        duration(median),
        duration(lower),
        duration(upper),
        number(u64::try_from(took.len()).unwrap_or(u64::MAX)),
    ))
}

/// A list of objects, one for each kind.
pub(crate) fn json(samples: &[Samples]) -> Value {
    let kinds = samples.iter().filter_map(|(kind, took)| {
        let Spread { median, lower, upper } = Spread::of(took)?;
        let [median_ms, lower_quartile_ms, upper_quartile_ms] = [median, lower, upper].map(millis);
        Some(json!({
            "kind": kind.as_str(),
            "seen": took.len(),
            "median_ms": median_ms,
            "lower_quartile_ms": lower_quartile_ms,
            "upper_quartile_ms": upper_quartile_ms,
        }))
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_told_by_kind() {
        let took: Vec<Duration> = [70, 88, 112, 60, 300].into_iter().map(Duration::from_secs).collect();
        let samples = [(VideoKind::default(), took), (VideoKind::from_stored("veo3+frames".into()), vec![])];
        assert_eq!(
            words(&samples),
            [
                "learned: videos of veo3_fast take 1 min 28 s (half of them between 1 min 10 s and 1 min 52 s; the last 5)"
            ]
        );
        let expected = json!([{
            "kind": "veo3_fast", "seen": 5, "median_ms": 88_000, "lower_quartile_ms": 70_000, "upper_quartile_ms": 112_000,
        }]);
        assert_eq!(json(&samples), expected);
    }
}
