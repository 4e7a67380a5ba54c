//! What is known of a paid call whose outcome is not, for the person who must decide.

use std::cmp::Ordering;

use serde_json::{Value, json};
use veobatch_core::{Attempt, Balances, CALLED_BACK_WITHIN, Called, Credits, Heard, Reading, State, Timestamp};
use veobatch_ledger::{Ledger, Stored};

use crate::failure::Result;
use crate::output::format::{duration, number};
use crate::report::json::Time;

/// The evidence about a job in doubt.
#[derive(Debug)]
pub(super) struct Doubt {
    attempt: Attempt,
    called: Option<Called>,
    balances: Balances,
    heard: Option<Heard>,
}

impl Doubt {
    /// What the ledger knows, if the job is in doubt.
    pub(super) async fn of(ledger: &dyn Ledger, stored: &Stored) -> Result<Option<Self>> {
        let State::InDoubt { attempt, called, balances, .. } = &stored.record.state else { return Ok(None) };
        let heard = ledger.heard().await?;
        let (attempt, called) = (attempt.clone(), called.clone());
        Ok(Some(Self { attempt, called, balances: balances.clone().unwrap_or_default(), heard }))
    }

    pub(super) fn lines(&self, now: Timestamp) -> Vec<String> {
        let age = now.since(self.attempt.at);
        let mut lines = vec![
            format!("attempt {} was submitted {} ({} ago)", self.attempt.number, self.attempt.at, duration(age)),
            format!("its token is {}", self.attempt.token),
            self.callback(now),
        ];
        lines.extend(self.balance());
        lines.push(format!("search for it in the service's log: https://kie.ai/logs around {}", self.attempt.at));
        lines
    }

    /// The balance around it, and what that may mean.
    fn balance(&self) -> Vec<String> {
        let (at, Balances { before, after, others }) = (self.attempt.at, &self.balances);
        let before = before.map(|Reading { credits, at: read }| {
            format!("the balance was {credits} credits {} before it", duration(at.since(read)))
        });
        let after = after
            .map(|Reading { credits, at: read }| format!("{credits} credits {} after it", duration(read.since(at))));
        let spent = self.balances.spent();
        match (before, after, spent) {
            (Some(before), Some(after), Some(spent)) => {
                vec![format!("{before} and {after}: {}", difference(spent)), meaning(spent, *others)]
            }
            (Some(before), ..) => vec![format!("{before}; the balance after it is not known")],
            (None, Some(after), _) => vec![format!("the balance before it is not known; it was {after}")],
            (None, None, _) => vec!["the balance before and after it is not known".to_owned()],
        }
    }

    fn callback(&self, now: Timestamp) -> String {
        match (&self.called, self.later()) {
            (Some(Called { task: Some(task), comparison: Some(_) }), _) => {
                format!("the service called back: task {task}; a worker compares it next")
            }
            (Some(Called { task: Some(task), comparison: None }), _) => {
                format!("the service called back about task {task}, which does not match: see the history")
            }
            (Some(Called { task: None, .. }), _) => {
                "the service called back without a task id: it was made, and has most likely failed".to_owned()
            }
            (None, _) if !self.attempt.token.carries_callback() => {
                "it was sent without a callback URL, so the lack of a callback means nothing".to_owned()
            }
            (None, Some(heard)) => format!(
                "it was sent with a callback URL, and no callback came; for a later submission one came, {}: it was most likely \
                 not made",
                heard.at
            ),
            (None, None) if now.since(self.attempt.at) < CALLED_BACK_WITHIN => {
                "it was sent with a callback URL, and a callback may still come".to_owned()
            }
            (None, None) => {
                "it was sent with a callback URL, and no callback came, nor for any later submission".to_owned()
            }
        }
    }

    /// The callback of a later submission, if one came when this one's was due.
    fn later(&self) -> Option<Heard> {
        self.heard.filter(|heard| heard.submitted > self.attempt.at && heard.at >= self.attempt.at + CALLED_BACK_WITHIN)
    }

    pub(super) fn document(&self) -> Value {
        let heard = self.heard.map(|heard| json!({"submitted": Time(heard.submitted), "at": Time(heard.at)}));
        let reading = |reading: Reading| json!({"credits": reading.credits.as_f64(), "at": Time(reading.at)});
        let Balances { before, after, others } = &self.balances;
        let spent = self.balances.spent();
        let balance = json!({
            "before": before.map(reading), "after": after.map(reading), "spent": spent.map(Credits::as_f64),
            "other_submissions": spent.map(|_| others),
        });
        let task = self.called.as_ref().and_then(|called| called.task.as_ref());
        json!({
            "submitted": Time(self.attempt.at), "token": self.attempt.token,
            "callback_sent": self.attempt.token.carries_callback(),
            "called_back": self.called.is_some(), "named_task": task, "last_heard": heard, "balance": balance,
        })
    }
}

fn difference(spent: Credits) -> String {
    match spent.cmp(&Credits::default()) {
        Ordering::Greater => format!("{spent} less"),
        Ordering::Equal => "the same".to_owned(),
        Ordering::Less => format!("{} more", Credits::default() - spent),
    }
}

/// A hint and no more: the service may book late, and others may use the account.
fn meaning(spent: Credits, others: u64) -> String {
    let beside = match others {
        0 => "this worker sent nothing else in between".to_owned(),
        1 => "this worker sent one other submission in between".to_owned(),
        others => format!("this worker sent up to {} other submissions in between", number(others)),
    };
    let hint = match (spent > Credits::default(), others) {
        (true, 0) => "if nothing else was charged (larger versions are, too), it was paid for",
        (true, _) => "if that is more than they cost, and nothing else was charged, it was paid for",
        (false, _) => "that speaks against a payment, unless the service books later or credits came back meanwhile",
    };
    format!("{beside}: {hint}")
}

#[cfg(test)]
mod tests {
    use veobatch_core::Token;

    use super::*;

    const SENT: Timestamp = Timestamp::from_millis(1_800_000_060_000);

    fn lines(before: Option<i64>, after: Option<i64>, others: u64) -> String {
        let reading = |at| move |credits| Reading { credits: Credits::whole(credits), at: Timestamp::from_millis(at) };
        let balances = Balances {
            before: before.map(reading(1_800_000_026_000)),
            after: after.map(reading(1_800_000_076_000)),
            others,
        };
        let attempt = Attempt { token: Token::from_bits(1), number: 1, at: SENT, price: Credits::default() };
        Doubt { attempt, called: None, balances, heard: None }.balance().join("; ")
    }

    #[test]
    fn the_balance_around_a_doubt_is_told_with_what_it_may_mean() {
        assert_eq!(
            lines(Some(900), Some(840), 0),
            "the balance was 900 credits 34 s before it and 840 credits 16 s after it: 60 less; this worker sent nothing \
             else in between: if nothing else was charged (larger versions are, too), it was paid for"
        );
        for (before, after, others, said) in [
            (Some(900), Some(840), 3, "up to 3 other submissions"),
            (Some(900), Some(840), 1, "if that is more than they cost"),
            (Some(900), Some(900), 0, "the same"),
            (Some(900), Some(900), 1, "speaks against a payment, unless the service books later"),
            (Some(900), Some(1000), 0, "100 more"),
            (Some(900), None, 0, "after it is not known"),
            (None, Some(900), 0, "before it is not known; it was 900 credits"),
            (None, None, 0, "before and after it is not known"),
        ] {
            let lines = lines(before, after, others);
            assert!(lines.contains(said), "{lines} does not say {said}");
        }
    }
}
