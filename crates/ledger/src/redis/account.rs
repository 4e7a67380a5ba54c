//! The account that all share: pace, cap, gate, daily budget, prices.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;
use serde_json::json;
use veobatch_core::{Credits, TimeRange, Timestamp};

use super::hints;
use super::ledger::RedisLedger;
use super::reply::read;
use super::row::when;
use super::scripts::texts;
use crate::ledger::hints::notes as notes_of;
use crate::transfer::Moved;
use crate::{Account, AccountUpdate, Daily, DailyBudget, Day, Gate, LedgerError, Pace, SlotUse};

impl RedisLedger {
    /// The account as it was before `update` came into force.
    pub(super) async fn account_with(&self, update: &AccountUpdate, slot_hours: u32) -> Result<Account, LedgerError> {
        let args = texts([&changes(update).to_string(), &slot_hours.to_string()]);
        let answer: Accounts = self.server.run(&self.scripts.account, &args).await?;
        let (now, n, allowed, w, cap, in_flight, slot, gate, recovers, daily, prices, others) = answer;
        let (notes, moved, poll_rate, slots) = others;
        Ok(Account {
            pace: Pace { submissions: n, per: Duration::from_millis(w), max_in_flight: cap },
            poll_rate,
            allowance: allowed,
            in_flight,
            next_slot: Timestamp::from_millis(slot),
            gate: read_gate(gate)?,
            recovering_until: when(recovers),
            moved_to: Some(moved).filter(|moved| !moved.is_empty()).map(|moved| Moved::parse(&moved).to),
            daily: read_daily(daily)?,
            prices: prices.into_iter().map(|(class, price)| (class, Credits::from_millis(price))).collect(),
            slots: slot_use(&slots),
            notes: notes_of(&hints::read_all(notes)),
            now: Timestamp::from_millis(now),
            calendar: Timestamp::from_millis(now),
        })
    }
}

/// What `account.lua` answers.
type Accounts = (
    u64,
    u32,
    u32,
    u64,
    u32,
    u32,
    u64,
    Vec<Value>,
    u64,
    Vec<Value>,
    BTreeMap<String, i64>,
    (Vec<(String, String)>, String, u32, Vec<String>),
);

/// Reasons and amounts, one after the other.
fn slot_use(words: &[String]) -> SlotUse {
    let mut all = SlotUse::default();
    for pair in words.chunks_exact(2) {
        if let [reason, amount] = pair {
            all.add(reason, amount.parse().unwrap_or_default());
        }
    }
    all
}

/// What `account.lua` is to change. Times and amounts are texts: its numbers would be written with 14 digits.
fn changes(update: &AccountUpdate) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    let mut set = |name: &str, value: serde_json::Value| all.insert(name.to_owned(), value);
    if let Some((n, w)) = update.rate {
        set("n", json!(n));
        set("w", json!(w.as_millis().to_string()));
    }
    if let Some(cap) = update.max_in_flight {
        set("cap", json!(cap));
    }
    if let Some(list) = &update.prices {
        let price = |(class, credits): &(String, Credits)| (class.clone(), credits.as_millis().to_string());
        set("prices", json!(list.by_class.iter().map(price).collect::<BTreeMap<_, _>>()));
        set("asked", json!(list.asked));
    }
    if let Some(daily) = &update.daily {
        let budget =
            |daily: &DailyBudget| json!({"credits": daily.credits.as_millis().to_string(), "zone": daily.zone});
        set("daily", daily.as_ref().map_or(json!(false), budget));
    }
    if let Some(Day { zone, range }) = &update.day {
        let (from, until) = (range.from.as_millis().to_string(), range.until.as_millis().to_string());
        set("day", json!({"zone": zone, "from": from, "until": until}));
    }
    if let Some(rate) = update.poll_rate {
        set("poll_rate", json!(rate.max(1)));
    }
    if let Some((why, wait)) = &update.close_gate {
        set("close_gate", json!({"why": why, "wait": wait.as_millis().to_string()}));
    }
    let flags = [
        ("credits_back", update.credits_back),
        ("forget_round_trips", update.forget_round_trips),
        ("retry_unreadable", update.retry_unreadable),
        ("accept_restored", update.accept_restored.is_some()),
    ];
    for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
        set(name, json!(true));
    }
    serde_json::Value::Object(all)
}

fn read_daily(daily: Vec<Value>) -> Result<Option<Daily>, LedgerError> {
    if daily.is_empty() {
        return Ok(None);
    }
    let (credits, zone, from, until, spent): (i64, String, u64, u64, i64) = read(Value::Array(daily))?;
    let day = TimeRange { from: Timestamp::from_millis(from), until: Timestamp::from_millis(until) };
    let budget = DailyBudget { credits: Credits::from_millis(credits), zone };
    Ok(Some(Daily { budget, day, spent: Credits::from_millis(spent) }))
}

fn read_gate(gate: Vec<Value>) -> Result<Gate, LedgerError> {
    if gate.is_empty() {
        return Ok(Gate::Open);
    }
    let (until, why, no_credits, closings): (u64, String, bool, u32) = read(Value::Array(gate))?;
    Ok(Gate::Closed { until: Timestamp::from_millis(until), why, no_credits, closings })
}
