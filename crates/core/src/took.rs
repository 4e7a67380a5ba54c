//! What a look tells of how long videos take: that one was still being made, or when it ended, as well as can be told when it
//! is found finished.
//!
//! ```text
//! submission ─────── seen unfinished ──────┬─ finished ─┬──── found
//!                                          └─ between these two, wherever the service says
//! ```
//!
//! The service reports when a task was created and when it was completed, in forms that differ (kie-api.md, section 3). What
//! it says is believed as far as our own looks bear it out; without it the middle between two looks is taken.

use std::time::Duration;

use crate::life_table::Seen;
use crate::record::{Record, State};
use crate::time::Timestamp;

/// How far the service's clock and the way there and back may be off from what our looks saw.
const LEEWAY: Duration = Duration::from_secs(5);

/// What the first look finds finished is taken to have lasted this part of its age: the mean of what ends before a look
/// that a fifth of all videos precede. A service that became faster is so followed down.
const FOUND_AT_FIRST: f64 = 0.85;

/// What is learned from a look at `now` that finds the job's video still being made.
///
/// `None` of a job that is not being generated, and of a look that is older than the last one.
pub fn unfinished(record: &Record, now: Timestamp) -> Option<Seen> {
    let State::Generating { task, seen, .. } = &record.state else { return None };
    let from = seen.map(|seen| seen.since(task.at)).unwrap_or_default();
    let to = now.since(task.at);
    (to > from).then_some(Seen { from, to, ended: false })
}

/// What is learned from a look at `now` that finds the job's video finished; `reported` is how long it took, as the service
/// says.
///
/// `None` if nothing can be learned: of a job that is not being generated, and, where the service says nothing, of one that
/// was looked at late.
pub fn ended(record: &Record, now: Timestamp, reported: Option<Duration>) -> Option<Seen> {
    let State::Generating { task, due, seen, .. } = &record.state else { return None };
    let (found, unfinished) = (now.since(task.at), seen.map(|seen| seen.since(task.at)));
    let from = unfinished.unwrap_or_default();
    let seen = |to| Seen { from, to, ended: true };
    let is_borne_out = |span: &Duration| *span > Duration::ZERO && *span + LEEWAY >= from && *span <= found + LEEWAY;
    if let Some(span) = reported.filter(is_borne_out) {
        return Some(seen(span.clamp(from, found.max(from))));
    }
    if now.since(*due) > LEEWAY {
        return None;
    }
    Some(seen(match unfinished {
        Some(from) => (from + found) / 2,
        None => found.mul_f64(FOUND_AT_FIRST),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;
    use crate::record::Task;
    use crate::spec::Spec;

    /// Submitted at 1000 s.
    fn record(seen: Option<u64>, due: u64) -> Record {
        let task = Task { id: TaskId::parse("t").unwrap(), attempt: 1, at: at(0) };
        let state = State::Generating { task, polls: 0, misses: 0, due: at(due), called: false, seen: seen.map(at) };
        Record { state, ..Record::fresh(&Spec::default()) }
    }

    fn at(age: u64) -> Timestamp {
        Timestamp::from_millis((1000 + age) * 1000)
    }

    fn found(seen: Option<u64>, due: u64, now: u64, reported: Option<u64>) -> Option<u64> {
        let learned = ended(&record(seen, due), at(now), reported.map(Duration::from_secs))?;
        assert_eq!((learned.from.as_secs(), learned.ended), (seen.unwrap_or_default(), true));
        Some(learned.to.as_secs())
    }

    #[test]
    fn the_services_word_counts_where_our_looks_bear_it_out() {
        assert_eq!(found(Some(60), 80, 80, Some(71)), Some(71));
        assert_eq!(found(Some(60), 80, 3600, Some(71)), Some(71), "however late the look was");
        assert_eq!(found(None, 45, 45, Some(20)), Some(20));
        assert_eq!(found(Some(60), 80, 80, Some(57)), Some(60), "clocks differ a little");
        assert_eq!(found(Some(60), 80, 80, Some(83)), Some(80));
        assert_eq!(found(Some(60), 80, 80, Some(40)), Some(70), "it was seen unfinished later than that");
        assert_eq!(found(Some(60), 80, 80, Some(8000)), Some(70), "it was found earlier than that");
        assert_eq!(found(None, 45, 45, Some(0)), Some(38));
    }

    #[test]
    fn without_it_a_look_in_time_tells_enough() {
        assert_eq!(found(Some(60), 80, 82, None), Some(71));
        assert_eq!(found(None, 100, 100, None), Some(85));
        assert_eq!(found(Some(60), 80, 90, None), None, "the worker was away");
        let done = Record { state: State::Cancelled, ..record(None, 0) };
        assert_eq!(ended(&done, at(60), Some(Duration::from_secs(50))), None);
    }

    #[test]
    fn a_look_that_finds_it_unfinished_tells_so_from_the_last_look_on() {
        let learned = |seen, now| {
            let Seen { from, to, ended } = unfinished(&record(seen, 0), at(now))?;
            Some((from.as_secs(), to.as_secs(), ended))
        };
        assert_eq!(learned(None, 45), Some((0, 45, false)));
        assert_eq!(learned(Some(45), 60), Some((45, 60, false)));
        assert_eq!(learned(Some(60), 59), None);
        assert_eq!(unfinished(&Record { state: State::Cancelled, ..record(None, 0) }, at(60)), None);
    }
}
