//! What came of an admission: whose batches, and what was set for known jobs.

use serde_json::{Value, json};
use veobatch_core::BatchId;
use veobatch_ledger::BatchSummary;
use veobatch_producer::PolicyChange;

use crate::output::format::counted;
use crate::report::json;

/// How many changes are printed before the rest is only counted: priorities may differ from line to line.
const SHOWN: usize = 5;

/// What was taken.
#[derive(Debug)]
pub(crate) struct AdmissionOutcome {
    /// The files' batches.
    pub(crate) batches: Vec<BatchId>,
    /// What was set for known jobs, of how to work at them.
    pub(crate) policy: Vec<(BatchId, Vec<PolicyChange>)>,
}

impl AdmissionOutcome {
    /// What `run --json` and `enqueue --json` say of it, with the batches as they are now.
    pub(crate) fn document(&self, batches: &[BatchSummary]) -> Value {
        let changes = self.policy.iter().flat_map(|(batch, changes)| changes.iter().map(move |change| (batch, change)));
        let policy = changes.map(|(batch, PolicyChange { field, from, to, jobs })| {
            json!({"batch": batch, "field": field, "from": from, "to": to, "jobs": jobs})
        });
        json!({"batches": batches.iter().map(json::batch).collect::<Value>(), "policy": policy.collect::<Value>()})
    }
}

/// `garden: 3 known jobs: max_attempts 1 → 2`, one line for each change.
pub(crate) fn lines(batch: &BatchId, changes: &[PolicyChange]) -> Vec<String> {
    let line = |PolicyChange { field, from, to, jobs }: &PolicyChange| {
        format!("{batch}: {}: {field} {from} → {to}", counted(*jobs, "known job"))
    };
    let mut lines: Vec<String> = changes.iter().take(SHOWN).map(line).collect();
    let more: u64 = changes.iter().skip(SHOWN).map(|change| change.jobs).sum();
    if more > 0 {
        lines.push(format!("{batch}: … and {} of known jobs", counted(more, "more change")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_told_and_many_are_counted() {
        let garden = BatchId::parse("garden").unwrap();
        let change = |to, jobs| PolicyChange { field: "priority", from: 0, to, jobs };
        let all: Vec<_> = (1..=7).map(|n| change(n, 10 - n.unsigned_abs())).collect();
        let lines = lines(&garden, &all);
        assert_eq!(lines[0], "garden: 9 known jobs: priority 0 → 1");
        assert_eq!((lines.len(), lines[5].as_str()), (6, "garden: … and 7 more changes of known jobs"));
        let taken = AdmissionOutcome { batches: vec![], policy: vec![(garden, vec![change(5, 3)])] };
        let expected = json!([{"batch": "garden", "field": "priority", "from": 0, "to": 5, "jobs": 3}]);
        assert_eq!(taken.document(&[])["policy"], expected);
    }
}
