//! How long videos took so far, in words and as JSON.

use std::time::Duration;

use serde_json::{Value, json};
use veobatch_core::{Durations, VideoKind, millis};

use crate::output::format::{duration, number};

/// What was seen of one kind of video.
type Known = (VideoKind, Durations);

/// One line for each kind.
pub(crate) fn words(known: &[Known]) -> Vec<String> {
    known.iter().filter_map(line).collect()
}

fn line((kind, table): &Known) -> Option<String> {
    let [lower, median, upper] = quartiles(table)?;
    Some(format!(
        "durations: {kind} takes {} (middle half {} to {}; last {} videos)",
        duration(median),
        duration(lower),
        duration(upper),
        number(table.count()),
    ))
}

/// A list of objects, one for each kind.
pub(crate) fn json(known: &[Known]) -> Value {
    let kinds = known.iter().filter_map(|(kind, table)| {
        let [lower_quartile_ms, median_ms, upper_quartile_ms] = quartiles(table)?.map(millis);
        Some(json!({
            "kind": kind.as_str(),
            "seen": table.count(),
            "median_ms": median_ms,
            "lower_quartile_ms": lower_quartile_ms,
            "upper_quartile_ms": upper_quartile_ms,
        }))
    });
    kinds.collect()
}

fn quartiles(known: &Durations) -> Option<[Duration; 3]> {
    Some([known.quantile(0.25)?, known.quantile(0.5)?, known.quantile(0.75)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_told_by_kind() {
        let mut table = Durations::default();
        for seconds in [70, 70, 88, 88, 88, 112, 112, 300] {
            table.add(Duration::from_secs(seconds));
        }
        let known =
            [(VideoKind::default(), table), (VideoKind::from_stored("veo3+frames".into()), Durations::default())];
        let line = "durations: veo3_fast takes 1 min 28 s (middle half 1 min 10 s to 1 min 51 s; last 8 videos)";
        assert_eq!(words(&known), [line]);
        let told = json(&known);
        let [one] = told.as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!((one["kind"].as_str(), one["seen"].as_u64()), (Some("veo3_fast"), Some(8)));
        for (name, seconds) in [("lower_quartile_ms", 70), ("median_ms", 88), ("upper_quartile_ms", 112)] {
            let told = one[name].as_u64().unwrap();
            assert!(told.abs_diff(1000 * seconds) < 30 * seconds, "{name}: {told}");
        }
    }
}
