//! The account, in lines.

use std::time::Duration;

use veobatch_core::Zone;
use veobatch_ledger::{Account, Gate, Note, NoteKind};

use super::messages::REASON;
use crate::output::format::{duration, moment, number};
use crate::output::table::plain;

/// The account in one or two lines.
pub(crate) fn lines(account: &Account) -> Vec<String> {
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
    Some(format!("one submits nothing at present: {}", plain(&note.words, REASON)))
}

/// That a worker ended because the service refused its key.
fn refused(account: &Account) -> Option<String> {
    let note = present_notes(account).find(|note| note.kind == NoteKind::KeyRefused)?;
    let ago = duration(account.now.since(note.at));
    Some(format!("one ended {ago} ago because the service refused its key: {}", plain(&note.words, REASON)))
}

/// How much of the daily budget is used, if there is one.
fn daily(account: &Account) -> Option<String> {
    let daily = account.daily.as_ref()?;
    let zone = Zone::parse(&daily.budget.zone).unwrap_or_default();
    let until = if account.calendar < daily.day.from {
        day_to_come(&moment(&zone, daily.day.from))
    } else if daily.day.contains(account.calendar) {
        format!("until {}", moment(&zone, daily.day.until))
    } else {
        format!("that day is over; a worker starts the next one ({zone})")
    };
    Some(format!("budget:  {} of {} credits used today, {until}", daily.spent, daily.budget.credits))
}

/// Why nothing is granted before a day of the daily budget that a wrong clock began too early.
pub(crate) fn day_to_come(from: &str) -> String {
    format!(
        "a clock that was ahead started a day that is still to come: nothing is submitted before {from}, or until the daily \
         budget is set again (--daily-budget none, then the budget)"
    )
}

/// That the ledger's own time is ahead of the clock of this machine, if it is.
fn clocks(account: &Account) -> Option<String> {
    let ahead = account.now.since(account.calendar);
    (ahead >= Duration::from_secs(60)).then(|| {
        format!(
            "clock:   it is {} here and {} in the ledger, which was used with a clock that was ahead by {}; due times follow the \
             ledger's clock, windows and days this machine's",
            account.calendar,
            account.now,
            duration(ahead)
        )
    })
}

/// Why nothing is submitted although the gate is open, if the ledger may have gone back in time.
pub(crate) fn recovery(account: &Account) -> Option<String> {
    let until = account.recovering_until?;
    Some(format!(
        "submissions wait {} more: the Redis server was restarted or replaced, and workers first report what they know",
        duration(until.since(account.now))
    ))
}

/// Why the account's gate is not open, if it is not.
pub(crate) fn gate(account: &Account) -> Option<String> {
    let Gate::Closed { until, why, no_credits, .. } = &account.gate else { return None };
    let wait = until.since(account.now);
    let when = if wait.is_zero() {
        "one submission is testing it".to_owned()
    } else {
        format!("next try in {}", duration(wait))
    };
    // The account's balance (402) or the key's own limit (433): the service's words tell which.
    let what = if *no_credits { "no credits left" } else { "closed" };
    Some(format!("gate:    {what}: {}; {when} (finished videos are still saved)", plain(why, REASON)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use veobatch_core::{Credits, Timestamp};

    use super::*;

    #[test]
    fn clocks_that_differ_are_both_told() {
        let at = |ms| Timestamp::from_millis(1_795_368_605_000 + ms);
        let account = |ahead: u64, day_from: u64| Account {
            pace: veobatch_ledger::Pace::default(),
            poll_rate: 20,
            slots: veobatch_ledger::SlotUse::default(),
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
        assert!(daily(&account(7_200_000, 0)).unwrap().contains("used today, until"));
        let words = daily(&account(7_200_000, 3_600_000)).unwrap();
        assert!(words.contains("still to come") && words.contains("--daily-budget none"), "{words}");
    }
}
