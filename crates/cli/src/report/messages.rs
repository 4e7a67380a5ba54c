//! States, counts and settings in words, as several commands print them.

use veobatch_core::{BatchSettings, JobKey, Schedule, StateName, Stray, StrayState};
use veobatch_ledger::BatchSummary;

use crate::output::format::number;
use crate::output::table::plain;

/// Longest reason that is printed.
pub(crate) const REASON: usize = 160;

/// `5 done, 2 generating, 1 failed`: the states that have jobs, those that are over first.
pub(crate) fn counts(batch: &BatchSummary) -> String {
    use StateName::{Cancelled, Done, Downloading, Failed, Generating, InDoubt, Queued, Submitting, Upscaling};
    let words = [Done, Failed, InDoubt, Cancelled, Downloading, Upscaling, Generating, Submitting, Queued]
        .into_iter()
        .filter(|&state| batch.count(state) > 0)
        .map(|state| format!("{} {}", number(batch.count(state)), spoken(state)));
    words.collect::<Vec<_>>().join(", ")
}

/// The state's word for people.
pub(crate) fn spoken(state: StateName) -> &'static str {
    if state == StateName::InDoubt { "in doubt" } else { state.as_str() }
}

/// The settings of a batch that are not the usual ones, and why it is paused if nobody ordered that; nothing if it is like others.
pub(crate) fn terms(batch: &BatchSummary) -> Option<String> {
    let (terms, usual) = (&batch.terms, BatchSettings::default());
    let mut parts = Vec::new();
    if let Some(budget) = terms.budget {
        parts.push(format!("{} of {budget} credits used", batch.credits));
    }
    if terms.weight != usual.weight {
        parts.push(format!("weight {}", terms.weight));
    }
    if terms.priority != usual.priority {
        parts.push(format!("priority {}", terms.priority));
    }
    let schedule = Schedule::parse(&terms.schedule).unwrap_or_default();
    parts.extend(schedule.start_at.map(|start| format!("not before {start}")));
    parts.extend(schedule.window.map(|window| format!("window {window}")));
    if let Some(why) = &batch.paused_because {
        parts.push(format!("paused: {}; veobatch resume {}", plain(why, REASON), batch.batch));
    }
    (!parts.is_empty()).then(|| format!("{}: {}", batch.batch, parts.join("; ")))
}

/// What became of a task beside its job's own.
pub(crate) fn stray(stray: &Stray, key: &JobKey) -> String {
    let trouble = stray.trouble.as_ref().map(|trouble| format!("; last trouble: {}", plain(trouble, REASON)));
    let trouble = trouble.unwrap_or_default();
    match &stray.fate {
        StrayState::Awaited { .. } => format!("followed once its job has ended{trouble}"),
        StrayState::Made { .. } => format!("made, waiting to be saved{trouble}"),
        StrayState::Saved(files) => format!("saved as {}", files.names(key).join(", ")),
        StrayState::Gone(why) => format!("given up: {}", plain(why, REASON)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use veobatch_core::{BatchId, Credits, Timestamp};

    use super::*;

    #[test]
    fn counts_tell_the_states_that_have_jobs() {
        let batch = BatchSummary {
            batch: BatchId::parse("garden").unwrap(),
            counts: BTreeMap::from([(StateName::Queued, 1200), (StateName::Done, 5), (StateName::InDoubt, 1)]),
            paused: false,
            cancelling: false,
            created: Timestamp::from_millis(0),
            rested: None,
            paused_because: None,
            terms: BatchSettings::default(),
            credits: Credits::default(),
        };
        assert_eq!(counts(&batch), "5 done, 1 in doubt, 1,200 queued");
    }
}
