//! What became of the account's slots, in words and for programs.

use serde_json::{Map, Value, json};
use veobatch_ledger::{Account, Ledger, SlotUse, Unused};

use crate::failure::Result;
use crate::output::format::number;

/// What is shown: the last so many hours by the clock, and their name.
const PERIODS: [(u32, &str, &str); 2] = [(2, "two_hours", "the last two hours"), (24, "day", "the last 24 hours")];

/// The use of the slots in [`PERIODS`].
#[derive(Debug)]
pub(crate) struct Slots([SlotUse; 2]);

impl Slots {
    pub(crate) async fn of(ledger: &dyn Ledger) -> Result<Self> {
        let of = async |hours| ledger.account(hours).await.map(|account| account.slots);
        Ok(Self([of(PERIODS[0].0).await?, of(PERIODS[1].0).await?]))
    }

    /// A line for the first period in which something was submitted, and one if the allowance is lowered.
    pub(crate) fn lines(&self, account: &Account) -> Vec<String> {
        let mut lines: Vec<String> = lowered(account).into_iter().collect();
        let periods = self.0.iter().zip(PERIODS);
        lines.extend(periods.filter_map(|(slots, (_, _, name))| line(slots, name)).take(1));
        lines
    }

    /// `{"two_hours": {"used", "allowed", "share", "unused": {…}}, "day": {…}}`, in slots.
    pub(crate) fn json(&self) -> Value {
        let periods = self.0.iter().zip(PERIODS).map(|(slots, (_, name, _))| (name.to_owned(), shape(slots)));
        Value::Object(periods.collect::<Map<_, _>>())
    }
}

fn lowered(account: &Account) -> Option<String> {
    let all = account.pace.submissions;
    (account.allowance < all * 1000).then(|| {
        let now = f64::from(account.allowance) / 1000.0;
        format!(
            "pace:    lowered to {now:.1} of {all} after \"too many requests\" answers; it rises again step by step"
        )
    })
}

/// What was used of what could have been, and why the rest was not.
fn line(slots: &SlotUse, period: &str) -> Option<String> {
    let share = slots.share()? * 100.0;
    let why: Vec<String> = Unused::WORDS
        .iter()
        .filter_map(|(_, why)| Some((*why, *slots.unused.get(why)?)))
        .filter(|(_, count)| *count >= 0.5)
        .map(|(why, count)| format!("{} {}", whole(count), spoken(why)))
        .collect();
    let unused = if why.is_empty() { String::new() } else { format!("; not used: {}", why.join(", ")) };
    let used = whole(slots.used);
    Some(format!("slots:   {used} used in {period}, {share:.1} % of those available{unused}"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of slots in some days")]
fn whole(count: f64) -> String {
    number(count.round().max(0.0) as u64)
}

/// Why slots went by; completes "not used: 12 …".
fn spoken(why: Unused) -> &'static str {
    match why {
        Unused::Work => "without queued jobs",
        Unused::Cap => "with the cap reached",
        Unused::Gate => "while the gate was closed",
        Unused::Window => "outside the windows",
        Unused::Budget => "with a budget used up",
        Unused::Recovery => "while journals were replayed",
        Unused::Answers => "because of slow answers",
        Unused::Unasked => "that no worker asked for in time",
        Unused::Lost => "lost with a worker",
        Unused::Unsent => "claimed but not sent",
    }
}

fn shape(slots: &SlotUse) -> Value {
    let rounded = |count: f64| (count * 100.0).round() / 100.0;
    let unused = Unused::WORDS
        .iter()
        .filter_map(|(word, why)| Some(((*word).to_owned(), json!(rounded(*slots.unused.get(why)?)))))
        .collect::<Map<_, _>>();
    let (used, allowed) = (rounded(slots.used), rounded(slots.allowed()));
    json!({"used": used, "allowed": allowed, "share": slots.share(), "unused": unused})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_was_not_used_has_its_reason() {
        let unused = BTreeMap::from([(Unused::Gate, 50.2), (Unused::Unasked, 3.0), (Unused::Cap, 0.1)]);
        let slots = SlotUse { used: 1197.0, unused };
        assert_eq!(
            line(&slots, "the last two hours").unwrap(),
            "slots:   1,197 used in the last two hours, 99.8 % of those available; not used: \
             50 while the gate was closed, 3 that no worker asked for in time"
        );
        assert_eq!(line(&SlotUse::default(), "the last two hours"), None);
        assert_eq!(shape(&slots)["unused"], json!({"cap": 0.1, "gate": 50.2, "unasked": 3.0}));
    }
}
