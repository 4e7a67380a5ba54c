//! The account that all share: pace, cap, gate, daily budget, prices.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;
use serde_json::json;
use veobatch_core::{Credits, TimeRange, Timestamp};

use super::RedisLedger;
use super::admission::texts;
use super::answers::when;
use crate::transfer::Moved;
use crate::{Account, Daily, DailyBudget, Day, Gate, LedgerError, Note, NoteKind, Pace, Settings, SlotUse};

impl RedisLedger {
    pub(super) async fn slot_use(&self, hours: u32) -> Result<SlotUse, LedgerError> {
        let words: Vec<String> = self.server.run(&self.scripts.slots, &texts([&hours.to_string()])).await?;
        let mut all = SlotUse::default();
        for pair in words.chunks_exact(2) {
            if let [reason, amount] = pair {
                all.add(reason, amount.parse().unwrap_or_default());
            }
        }
        Ok(all)
    }

    /// The account as it was before `settings` came into force.
    pub(super) async fn account_with(&self, settings: &Settings) -> Result<Account, LedgerError> {
        let answer: Accounts = self.server.run(&self.scripts.account, &texts([&changes(settings).to_string()])).await?;
        let (now, n, allowed, w, cap, in_flight, slot, gate, recovers, daily, prices, (notes, moved)) = answer;
        Ok(Account {
            pace: Pace { submissions: n, per: Duration::from_millis(w), max_in_flight: cap },
            allowance: allowed,
            in_flight,
            next_slot: Timestamp::from_millis(slot),
            gate: read_gate(gate)?,
            recovering_until: when(recovers),
            moved_to: Some(moved).filter(|moved| !moved.is_empty()).map(|moved| Moved::parse(&moved).to),
            daily: read_daily(daily)?,
            prices: prices.into_iter().map(|(class, price)| (class, Credits::from_millis(price))).collect(),
            notes: NoteKind::ALL.into_iter().filter_map(|kind| note(kind, notes.get(kind.as_str())?)).collect(),
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
    (BTreeMap<String, String>, String),
);

/// When a note was said, and its words.
fn note(kind: NoteKind, stored: &str) -> Option<Note> {
    let (at, words) = stored.split_once(' ')?;
    Some(Note { kind, words: words.to_owned(), at: Timestamp::from_millis(at.parse().ok()?) })
}

/// What `account.lua` is to change. Times and amounts are texts: its numbers would be written with 14 digits.
fn changes(settings: &Settings) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    let mut set = |name: &str, value: serde_json::Value| all.insert(name.to_owned(), value);
    if let Some((n, w)) = settings.rate {
        set("n", json!(n));
        set("w", json!(w.as_millis().to_string()));
    }
    if let Some(cap) = settings.max_in_flight {
        set("cap", json!(cap));
    }
    if let Some(list) = &settings.prices {
        let price = |(class, credits): &(String, Credits)| (class.clone(), credits.as_millis().to_string());
        set("prices", json!(list.by_class.iter().map(price).collect::<BTreeMap<_, _>>()));
        set("asked", json!(list.asked));
    }
    if let Some(daily) = &settings.daily {
        let budget =
            |daily: &DailyBudget| json!({"credits": daily.credits.as_millis().to_string(), "zone": daily.zone});
        set("daily", daily.as_ref().map_or(json!(false), budget));
    }
    if let Some(Day { zone, range }) = &settings.day {
        let (from, until) = (range.from.as_millis().to_string(), range.until.as_millis().to_string());
        set("day", json!({"zone": zone, "from": from, "until": until}));
    }
    if settings.solvent {
        set("solvent", json!(true));
    }
    if let Some((why, wait)) = &settings.closes {
        set("closes", json!({"why": why, "wait": wait.as_millis().to_string()}));
    }
    if settings.joins {
        set("joins", json!(true));
    }
    if settings.rereads {
        set("rereads", json!(true));
    }
    if let Some((kind, words)) = &settings.note {
        let mut note = serde_json::Map::from_iter([("kind".to_owned(), json!(kind.as_str()))]);
        note.extend(words.iter().map(|words| ("words".to_owned(), json!(words))));
        set("note", note.into());
    }
    serde_json::Value::Object(all)
}

fn read_daily(daily: Vec<Value>) -> Result<Option<Daily>, LedgerError> {
    if daily.is_empty() {
        return Ok(None);
    }
    let (credits, zone, from, until, spent): (i64, String, u64, u64, i64) =
        redis::from_redis_value(Value::Array(daily)).map_err(|error| LedgerError::Damaged(error.to_string()))?;
    let day = TimeRange { from: Timestamp::from_millis(from), until: Timestamp::from_millis(until) };
    let budget = DailyBudget { credits: Credits::from_millis(credits), zone };
    Ok(Some(Daily { budget, day, spent: Credits::from_millis(spent) }))
}

fn read_gate(gate: Vec<Value>) -> Result<Gate, LedgerError> {
    if gate.is_empty() {
        return Ok(Gate::Open);
    }
    let (until, why, no_credits, closings): (u64, String, bool, u32) =
        redis::from_redis_value(Value::Array(gate)).map_err(|error| LedgerError::Damaged(error.to_string()))?;
    Ok(Gate::Closed { until: Timestamp::from_millis(until), why, no_credits, closings })
}
