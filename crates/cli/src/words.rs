//! Sentences that several commands say.

use std::time::Duration;

use veobatch_core::{BatchSettings, FailureKind, JobKey, Schedule, StateName, Stray, StrayState, Zone};
use veobatch_ledger::{Account, BatchSummary, Gate, Note, NoteKind};

use crate::failure::UNREADABLE;
use crate::findings::{Failures, Findings, kind};
use crate::outlook::moment;
use crate::table::plain;
use crate::units::{counted, duration, number};

/// How many lines of one kind are printed before the rest is only counted.
const SHOWN: usize = 10;

/// Longest reason that is printed.
const REASON: usize = 160;

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

/// The account in one or two lines.
pub(crate) fn account(account: &Account) -> Vec<String> {
    let pace = &account.pace;
    let slot = match account.next_slot.since(account.now) {
        wait if wait.is_zero() => "free".to_owned(),
        wait => format!("in {}", duration(wait)),
    };
    let mut lines = vec![format!(
        "account: {} of {} in flight; {} submissions per {}, next slot {slot}",
        number(account.in_flight.into()),
        number(pace.max_in_flight.into()),
        number(pace.submissions.into()),
        duration(pace.per),
    )];
    lines.push(gate(account).unwrap_or_else(|| "gate:    open".to_owned()));
    lines.extend(daily(account));
    lines.extend(recovery(account));
    lines.extend(clocks(account));
    lines.extend(braked(account).map(|words| format!("worker:  {words}")));
    lines.extend(refused(account).map(|words| format!("worker:  {words}")));
    lines
}

/// What workers said of themselves and is not over: why one submits nothing (it says so again each twenty seconds), and that
/// one ended in the last hour because its key was refused.
pub(crate) fn present_notes(account: &Account) -> impl Iterator<Item = &Note> {
    let lasts = |kind| match kind {
        NoteKind::Braked => Duration::from_secs(60),
        NoteKind::KeyRefused => Duration::from_secs(3600),
    };
    account.notes.iter().filter(move |note| account.now.since(note.at) <= lasts(note.kind))
}

/// Why a worker submits nothing for now.
pub(crate) fn braked(account: &Account) -> Option<String> {
    let note = present_notes(account).find(|note| note.kind == NoteKind::Braked)?;
    Some(format!("one submits nothing for now: {}", plain(&note.words, REASON)))
}

/// That a worker ended because the service refused its key.
fn refused(account: &Account) -> Option<String> {
    let note = present_notes(account).find(|note| note.kind == NoteKind::KeyRefused)?;
    let ago = duration(account.now.since(note.at));
    Some(format!("one ended {ago} ago, as the service refused its key: {}", plain(&note.words, REASON)))
}

/// How much of the daily budget is used, if there is one.
fn daily(account: &Account) -> Option<String> {
    let daily = account.daily.as_ref()?;
    let zone = Zone::parse(&daily.budget.zone).unwrap_or_default();
    let until = if account.calendar < daily.day.from {
        day_to_come(&moment(&zone, daily.day.from))
    } else if daily.day.contains(account.calendar) {
        format!("until {} ({zone})", moment(&zone, daily.day.until))
    } else {
        format!("that day is over; a worker begins the next one ({zone})")
    };
    Some(format!("budget:  {} of {} credits of the day are used, {until}", daily.spent, daily.budget.credits))
}

/// Why nothing is granted before a day of the daily budget that a wrong clock began too early.
pub(crate) fn day_to_come(from: &str) -> String {
    format!(
        "a clock that was ahead began a day that is still to come: nothing is submitted before {from}, or until the daily budget \
         is set anew (--daily-budget none, then the budget)"
    )
}

/// That the ledger's own time is ahead of the clock of this machine, if it is.
fn clocks(account: &Account) -> Option<String> {
    let ahead = account.now.since(account.calendar);
    (ahead >= Duration::from_secs(60)).then(|| {
        format!(
            "clock:   it is {} here and {} in the ledger, which was used with a clock that was ahead by {}; due times go by the \
             ledger's, windows and days by this machine's",
            account.calendar,
            account.now,
            duration(ahead)
        )
    })
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

/// Why nothing is submitted although the gate is open, if the ledger may have gone back in time.
pub(crate) fn recovery(account: &Account) -> Option<String> {
    let until = account.recovering_until?;
    Some(format!(
        "submissions wait {} more: the Redis server is another one, or was started anew, and workers tell it first what they know",
        duration(until.since(account.now))
    ))
}

/// Why the account's gate is not open, if it is not.
pub(crate) fn gate(account: &Account) -> Option<String> {
    let Gate::Closed { until, why, no_credits, .. } = &account.gate else { return None };
    let wait = until.since(account.now);
    let when = if wait.is_zero() {
        "one submission tries it now".to_owned()
    } else {
        format!("next try in {}", duration(wait))
    };
    // The account's balance (402) or the key's own limit (433): the service's words tell which.
    let what = if *no_credits { "no credits to spend" } else { "closed" };
    Some(format!("gate:    {what}: {}; {when} (finished videos are still saved)", plain(why, REASON)))
}

/// What a person should look at, with the commands that settle it.
pub(crate) fn findings(findings: &Findings) -> Vec<String> {
    let mut lines = Vec::new();
    if !findings.failures.is_empty() {
        failed(&mut lines, &findings.failures);
    }
    if !findings.doubts.is_empty() {
        lines.push("in doubt; each may have been paid for, so a person decides:".to_owned());
        for doubt in findings.doubts.iter().take(SHOWN) {
            let others = if doubt.open > 1 { format!(" ({} attempts are open)", doubt.open) } else { String::new() };
            lines.push(format!("  {}: {}{others}", doubt.key, plain(&doubt.why, REASON)));
            lines.push(format!(
                "    veobatch resolve {} {} --task-id ID   (see https://kie.ai/logs), --resubmit or --give-up",
                doubt.key.batch, doubt.key.job
            ));
        }
        more(&mut lines, findings.doubts.len(), "job");
    }
    if !findings.unsaved.is_empty() {
        lines.push("made, and not saved yet; tried again and again, nothing is lost:".to_owned());
        for (reason, count, first) in findings.unsaved.iter().take(SHOWN) {
            lines.push(format!("  {:>5} × {}, such as {first}", number(*count), plain(reason, REASON)));
        }
        more(&mut lines, findings.unsaved.len(), "reason");
    }
    beside(&mut lines, findings);
    if !findings.strays.is_empty() {
        lines.push("paid for beside their job's own video, and followed and saved like it:".to_owned());
        let strays = findings.strays.iter().take(SHOWN);
        lines.extend(strays.map(|(key, beside)| format!("  {key}: task {}: {}", beside.task, stray(beside, key))));
        more(&mut lines, findings.strays.len(), "task");
    }
    unreadable(&mut lines, findings);
    lines.extend(cut(findings).into_iter().map(str::to_owned));
    lines
}

/// Attempts beside a job's own task that may have been paid for.
fn beside(lines: &mut Vec<String>, findings: &Findings) {
    if !findings.open.is_empty() {
        lines.push("may have been paid for beside their job's own video; kept for their callback, and no further attempt is made:".to_owned());
        for (key, open) in findings.open.iter().take(SHOWN) {
            lines.push(format!("  {key}: attempt {}: {}", open.attempt.number, plain(&open.why, REASON)));
        }
        more(lines, findings.open.len(), "attempt");
    }
}

/// Jobs that this program cannot read.
fn unreadable(lines: &mut Vec<String>, findings: &Findings) {
    if !findings.unreadable.is_empty() {
        lines.push(
            "cannot be read by this program; set aside, nothing is paid for them, and all others go on:".to_owned(),
        );
        for job in findings.unreadable.iter().take(SHOWN) {
            let state = job.state.map_or("unknown", spoken);
            lines.push(format!("  {} ({state}): {}", job.key, plain(&job.why, REASON)));
        }
        more(lines, findings.unreadable.len(), "job");
        lines.push(format!("  {UNREADABLE}"));
    }
}

/// Failures by reason, and what may be done about them.
fn failed(lines: &mut Vec<String>, failures: &[Failures]) {
    lines.push("failed, by reason:".to_owned());
    for failures in failures.iter().take(SHOWN) {
        let (first, reason) = (&failures.first, plain(&failures.reason, REASON));
        let kind = kind(failures.kind).replace('_', " ");
        lines.push(format!("  {:>5} × {reason} ({kind}), such as {first}", number(failures.count)));
    }
    more(lines, failures.len(), "reason");
    // What was given up in doubt may have been paid for: `retry` leaves it.
    let is_given_up = |failures: &&Failures| failures.kind == FailureKind::GivenUp;
    if let Some(failures) = failures.iter().find(|failures| !is_given_up(failures)) {
        let JobKey { batch, job } = &failures.first;
        lines.push(format!(
            "  try them again: veobatch retry {batch}   (some: --code C, --reason TEXT; one: veobatch show {batch} {job})"
        ));
    }
    if let Some(failures) = failures.iter().find(is_given_up) {
        let JobKey { batch, job } = &failures.first;
        lines.push(format!("  what was given up in doubt: veobatch resolve {batch} {job} --resubmit"));
    }
}

/// Where not all jobs were looked at.
fn cut(findings: &Findings) -> Vec<&'static str> {
    let mut lines = Vec::new();
    if findings.is_partial {
        lines.push(
            "(more failed or are in doubt: the first 1,000 of each batch were looked at; all of them: veobatch jobs BATCH \
             --state STATE)",
        );
    }
    if findings.is_partial_beside {
        lines.push(
            "(tasks beside a job, and videos that cannot be saved, were looked for among the first 1,000 jobs of each batch \
             and state)",
        );
    }
    lines
}

/// What became of a task beside its job's own.
pub(crate) fn stray(stray: &Stray, key: &JobKey) -> String {
    let trouble = stray.trouble.as_ref().map(|trouble| format!("; in the way: {}", plain(trouble, REASON)));
    let trouble = trouble.unwrap_or_default();
    match &stray.fate {
        StrayState::Awaited { .. } => format!("followed once its job is at rest{trouble}"),
        StrayState::Made { .. } => format!("made, to be saved{trouble}"),
        StrayState::Saved(files) => format!("saved as {}", files.names(key).join(", ")),
        StrayState::Gone(why) => format!("given up: {}", plain(why, REASON)),
    }
}

fn more(lines: &mut Vec<String>, all: usize, one: &str) {
    let rest = u64::try_from(all.saturating_sub(SHOWN)).unwrap_or_default();
    if rest > 0 {
        lines.push(format!("  … and {} more", counted(rest, one)));
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

    #[test]
    fn clocks_that_differ_are_both_told() {
        let at = |ms| Timestamp::from_millis(1_795_368_605_000 + ms);
        let account = |ahead: u64, day_from: u64| Account {
            pace: veobatch_ledger::Pace::default(),
            allowance: 20_000,
            in_flight: 0,
            next_slot: at(0),
            gate: Gate::Open,
            recovering_until: None,
            moved_to: None,
            daily: Some(veobatch_ledger::Daily {
                budget: veobatch_ledger::DailyBudget { credits: Credits::whole(9), zone: "UTC".into() },
                day: veobatch_core::TimeRange { from: at(day_from), until: at(90_000_000) },
                spent: Credits::default(),
            }),
            prices: BTreeMap::new(),
            notes: Vec::new(),
            now: at(ahead),
            calendar: at(0),
        };
        assert_eq!(clocks(&account(59_000, 0)), None);
        let words = clocks(&account(7_200_000, 0)).unwrap();
        assert!(words.contains("2026-11-22T17:30:05Z here and 2026-11-22T19:30:05Z"), "{words}");
        assert!(daily(&account(7_200_000, 0)).unwrap().contains("of the day are used, until"));
        let words = daily(&account(7_200_000, 3_600_000)).unwrap();
        assert!(words.contains("still to come") && words.contains("--daily-budget none"), "{words}");
    }
}
