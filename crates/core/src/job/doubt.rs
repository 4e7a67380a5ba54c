//! Jobs in doubt without a person: what `--in-doubt` lets become of them, and on what evidence.
//!
//! ```text
//! hold ────────▶ a person
//! resubmit ────▶ a new attempt, at once
//! silence=T ───▶ a new attempt, once T has passed without a callback, and later submissions were called back
//! ```
//!
//! Pure. What is presumed becomes [`crate::Event::Presumed`], and the state table has the last word.

use std::time::Duration;

use crate::job::payable::{Unpayable, payable_once_settled};
use crate::job::record::{Attempt, Called, Record, State};
use crate::names::id::Token;
use crate::time::Timestamp;

/// By then a submission was called back for, if it was made: videos take up to five minutes, and after ten minutes of
/// silence upstream the service itself gives up with 408 (docs/kie-api.md, sections 10 and 11); five more for its repetitions.
pub const CALLED_BACK_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Attempts that a policy lets a job in doubt have, the first included. Each may be a payment, and what loses its answer
/// three times loses it for a reason that paying again does not cure.
pub const MAX_PRESUMED_ATTEMPTS: u32 = 3;

/// What becomes of a job in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InDoubtPolicy {
    /// It waits for a person, or for evidence about its own attempt.
    #[default]
    Hold,
    /// It is submitted again: better paid for twice than missing.
    Resubmit,
    /// It is submitted again once this time has passed in silence, though others were heard.
    Silence(Duration),
}

/// The callback of the latest submission that was heard, by whatever machine: proof that callbacks got through then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When that submission was made.
    pub submitted: Timestamp,
    /// When its callback came.
    pub at: Timestamp,
}

/// Why a policy lets a job in doubt be submitted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presumption {
    /// A person prefers a second payment to a missing video.
    Preferred,
    /// Nobody called back for so long, though later submissions were called back for.
    Silent(Duration),
}

impl Presumption {
    /// For the history.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Preferred => "submitted again because of --in-doubt resubmit; may be paid twice".to_owned(),
            Self::Silent(waited) => format!(
                "submitted again because of --in-doubt silence: no callback in {} min, though later submissions were \
                 called back",
                waited.as_secs() / 60
            ),
        }
    }
}

/// What can move a job in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAction {
    /// A person, or evidence that nobody can count on.
    Person,
    /// It may move by itself: a callback may still come, its task is being compared, or the policy's time is not over.
    Later,
    /// The policy lets it be submitted again now.
    Again(Presumption),
}

/// What can move `record`, if it is in doubt. `hearing`: callbacks are heard by whoever asks.
pub fn next_action(
    record: &Record,
    rule: InDoubtPolicy,
    heard: Option<Heard>,
    hearing: bool,
    now: Timestamp,
) -> NextAction {
    let State::InDoubt { attempt, called, .. } = &record.state else { return NextAction::Person };
    if is_compared(called.as_ref()) {
        return NextAction::Later;
    }
    let age = now.since(attempt.at);
    let awaited = hearing && called.is_none() && attempt.token.carries_callback() && age < CALLED_BACK_WITHIN;
    let otherwise = if awaited { NextAction::Later } else { NextAction::Person };
    let because = match rule {
        InDoubtPolicy::Hold => return otherwise,
        InDoubtPolicy::Resubmit => Presumption::Preferred,
        InDoubtPolicy::Silence(_) => Presumption::Silent(age),
    };
    if objection(record, because).is_some() {
        return otherwise;
    }
    match rule {
        InDoubtPolicy::Silence(_) if !is_missed(attempt, heard) => otherwise,
        InDoubtPolicy::Silence(time) if age < time => NextAction::Later,
        InDoubtPolicy::Hold | InDoubtPolicy::Resubmit | InDoubtPolicy::Silence(_) => NextAction::Again(because),
    }
}

/// Why the record speaks against a presumption; completes "… was left as it is: it …".
pub(crate) fn objection(record: &Record, because: Presumption) -> Option<&'static str> {
    let State::InDoubt { attempt, called, failed, .. } = &record.state else { return Some("is not in doubt") };
    if record.cancelled {
        return Some("was cancelled by a person");
    }
    if record.attempts.max(attempt.number) >= MAX_PRESUMED_ATTEMPTS {
        return Some("was submitted three times already, which is enough without a person");
    }
    if is_compared(called.as_ref()) {
        return Some("was called back with a task id, and a worker compares it first");
    }
    if failed.is_some() {
        return Some("had failed before: only a person may pay for another attempt");
    }
    match payable_once_settled(record) {
        Err(Unpayable::HasTask(_)) => return Some("has the task of an earlier attempt, which was paid for"),
        Err(Unpayable::InDoubt | Unpayable::Done) | Ok(()) => {}
    }
    match because {
        Presumption::Silent(_) if !attempt.token.carries_callback() => Some("was not sent with a callback URL"),
        Presumption::Silent(_) if called.is_some() => Some("was called back"),
        Presumption::Silent(waited) if waited < CALLED_BACK_WITHIN => Some("may still be called back"),
        Presumption::Preferred | Presumption::Silent(_) => None,
    }
}

/// Whether its callback should have been heard: a later submission's was, at a time when this one's was due already.
fn is_missed(attempt: &Attempt, heard: Option<Heard>) -> bool {
    heard.is_some_and(|heard| heard.submitted > attempt.at && heard.at >= attempt.at + CALLED_BACK_WITHIN)
}

fn is_compared(called: Option<&Called>) -> bool {
    called.is_some_and(|called| called.comparison.is_some())
}

/// The token of the attempt in doubt, if `record` is in doubt.
pub fn doubted(record: &Record) -> Option<&Token> {
    match &record.state {
        State::InDoubt { attempt, .. } => Some(&attempt.token),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::Failed { .. }
        | State::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::record::{Stray, StrayState};
    use crate::job::spec::Spec;
    use crate::names::id::TaskId;

    const SENT: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn doubtful(carries_callback: bool) -> Record {
        let token = Token::of_attempt(7 << 8, carries_callback);
        let attempt = Attempt { token, number: 1, at: SENT, price: crate::money::Credits::default() };
        let state = State::InDoubt {
            attempt: attempt.clone(),
            why: "lost".to_owned(),
            called: None,
            balances: None,
            failed: None,
        };
        Record { state, attempts: 1, last: Some(attempt), ..Record::fresh(&Spec::default()) }
    }

    fn minutes(minutes: u64) -> Timestamp {
        SENT + Duration::from_secs(60 * minutes)
    }

    fn heard(submitted: u64, at: u64) -> Heard {
        Heard { submitted: minutes(submitted), at: minutes(at) }
    }

    fn silence(record: &Record, heard: impl Into<Option<Heard>>, now: u64) -> NextAction {
        next_action(record, InDoubtPolicy::Silence(HOUR), heard.into(), false, minutes(now))
    }

    #[test]
    fn silence_is_evidence_only_if_a_later_submission_was_heard_after_this_one_was_due() {
        let record = doubtful(true);
        let again = NextAction::Again(Presumption::Silent(HOUR));
        assert_eq!(silence(&record, heard(1, 15), 60), again);
        assert_eq!(silence(&record, heard(1, 15), 59), NextAction::Later, "its time is not over");
        assert_eq!(silence(&record, heard(1, 14), 60), NextAction::Person, "this one's may still have come then");
        assert_eq!(silence(&record, heard(0, 30), 60), NextAction::Person, "not a later submission");
        assert_eq!(silence(&record, None, 600), NextAction::Person, "nothing was heard at all");
    }

    #[test]
    fn silence_says_nothing_about_what_asked_for_no_callback_or_was_called_back() {
        assert_eq!(silence(&doubtful(false), heard(1, 30), 60), NextAction::Person);
        let mut called = doubtful(true);
        if let State::InDoubt { called, .. } = &mut called.state {
            *called = Some(Called { task: None, comparison: None });
        }
        assert_eq!(silence(&called, heard(1, 30), 60), NextAction::Person);
    }

    #[test]
    fn no_policy_goes_against_a_cancellation_or_beyond_three_attempts() {
        let resubmit = |record: &Record| next_action(record, InDoubtPolicy::Resubmit, None, false, minutes(1));
        assert_eq!(resubmit(&doubtful(false)), NextAction::Again(Presumption::Preferred));
        assert_eq!(resubmit(&Record { cancelled: true, ..doubtful(false) }), NextAction::Person);
        for (number, expected) in [(2, NextAction::Again(Presumption::Preferred)), (3, NextAction::Person)] {
            let mut record = doubtful(false);
            if let State::InDoubt { attempt, .. } = &mut record.state {
                attempt.number = number;
            }
            assert_eq!(resubmit(&record), expected);
        }
    }

    #[test]
    fn no_policy_pays_again_beside_a_task_that_was_paid_for() {
        let with = |fate| {
            let stray = Stray { fate, ..Stray::new(TaskId::parse("t1").unwrap(), Token::from_bits(1), SENT) };
            let record = Record { strays: vec![stray], ..doubtful(false) };
            next_action(&record, InDoubtPolicy::Resubmit, None, false, minutes(1))
        };
        assert_eq!(with(StrayState::default()), NextAction::Person);
        assert_eq!(with(StrayState::Gone("failed".to_owned())), NextAction::Again(Presumption::Preferred));
    }

    #[test]
    fn a_callback_is_waited_for_by_those_who_hear_and_not_for_ever() {
        let hold = |hearing, minute| next_action(&doubtful(true), InDoubtPolicy::Hold, None, hearing, minutes(minute));
        assert_eq!([hold(true, 14), hold(true, 15)], [NextAction::Later, NextAction::Person]);
        assert_eq!(hold(false, 1), NextAction::Person);
        assert_eq!(next_action(&doubtful(false), InDoubtPolicy::Hold, None, true, minutes(1)), NextAction::Person);
    }
}
