//! The lines of an export. What a field means is in `docs/ledger-export.md`; times are ms, amounts thousandths of a credit.
//!
//! A key that is not known here was written by a newer version, and may matter for money: it is an error.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use veobatch_core::Timestamp;

use super::bytes::Bytes;
use crate::LedgerId;
use crate::ledger::hints::{Hint, HintKind, LATEST};

/// The version of the lines.
pub(crate) const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) veobatch_ledger: u32,
    /// The format of specs and records.
    pub(crate) format: u32,
    pub(crate) ledger: LedgerId,
    /// A URL without a password.
    pub(crate) source: String,
    /// What the source's changes had come to.
    pub(crate) stamp: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grants: Option<u64>,
    /// Of the ledger.
    pub(crate) time: Timestamp,
    /// Of the wall clock.
    pub(crate) exported: String,
}

/// Every line between the first and the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ExportEntry {
    Account(Box<AccountLine>),
    Batch(Box<Batch>),
    Job(Box<Job>),
    Alias(Alias),
    Task(TaskOf),
    End(End),
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    /// Before this one, the header included.
    pub(crate) lines: u64,
    pub(crate) batches: u64,
    pub(crate) jobs: u64,
    pub(crate) tasks: u64,
    /// Jobs that were staged and not published.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) left_out: u64,
    /// Of all bytes before this line.
    pub(crate) sha256: String,
}

/// What all machines share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccountLine {
    pub(crate) salt: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    pub(crate) submissions: u32,
    pub(crate) per: u64,
    pub(crate) max_in_flight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) poll_rate: Option<u32>,
    pub(crate) prices: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) prices_asked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) daily: Option<Daily>,
    /// In microseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) next_slot: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) arrivals: Vec<(String, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upgrade_turn: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lowered: Option<Low>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate: Option<Gate>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) troubles: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) fastest: Fast,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heard: Option<Heard>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) seen: BTreeMap<String, Seen>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) slots: Vec<Slot>,
}

impl AccountLine {
    /// What it says of callbacks and durations, as it is stored.
    pub(crate) fn hints(&self) -> Vec<(HintKind, Hint)> {
        let hint =
            |name: &str, at: u64, text: String| Hint { name: name.to_owned(), at: Timestamp::from_millis(at), text };
        let heard = self.heard.as_ref().map(|heard| hint(LATEST, heard.at, heard.submitted.to_string()));
        let seen = self.seen.iter().map(|(kind, seen)| (HintKind::Durations, hint(kind, seen.at, seen.life.clone())));
        heard.map(|heard| (HintKind::Heard, heard)).into_iter().chain(seen).collect()
    }
}

impl Heard {
    /// As an export has it.
    pub(crate) fn of(hints: &[Hint]) -> Option<Self> {
        let latest = hints.iter().find(|hint| hint.name == LATEST)?;
        Some(Self { submitted: latest.text.parse().ok()?, at: latest.at.as_millis() })
    }
}

impl Seen {
    /// As an export has them, by kind.
    pub(crate) fn of(hints: Vec<Hint>) -> BTreeMap<String, Self> {
        hints.into_iter().map(|hint| (hint.name, Self { at: hint.at.as_millis(), life: hint.text })).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Daily {
    pub(crate) credits: i64,
    pub(crate) zone: String,
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) spent: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Low {
    pub(crate) to: f64,
    pub(crate) since: u64,
    pub(crate) peak: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    pub(crate) until: u64,
    pub(crate) why: String,
    pub(crate) no_credits: bool,
    pub(crate) closings: u32,
    /// The attempt that tries it, and until when it is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial: Option<(String, u64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fast {
    pub(crate) present: Option<u32>,
    pub(crate) count: u32,
    pub(crate) before: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heard {
    pub(crate) submitted: u64,
    pub(crate) at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    pub(crate) at: u64,
    pub(crate) life: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slot {
    pub(crate) hour: i64,
    pub(crate) why: String,
    pub(crate) n: f64,
}

/// A published batch; its jobs follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// From 1, in the order in which they were made.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) jobs: u32,
    pub(crate) created: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) paused_because: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) cancelling: bool,
    pub(crate) weight: u32,
    pub(crate) priority: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) schedule: String,
    pub(crate) from: u64,
    pub(crate) until: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<i64>,
    /// Since when it is at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rested: Option<u64>,
    /// Compact jobs of format 1 that may be lines without an id.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) unsure: u32,
}

/// A published job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    pub(crate) batch: u32,
    /// Its place in the batch, from 0.
    pub(crate) seq: u32,
    pub(crate) id: String,
    pub(crate) state: String,
    /// What was asked for, and its price class; absent once it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spec: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    /// The record; absent of a job that nobody has touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Bytes>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) version: u64,
    /// Of a queued one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) priority: i32,
    /// The lane in which it is due, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<(String, u64)>,
    /// Until when it counts as in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flight: Option<u64>,
    /// The token of the open attempt, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<(String, u64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) credits: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) compact: bool,
    /// By what the content is known that was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// A program could not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unreadable: Option<Unreadable>,
    /// What a Redis ledger has in the place of all this, where it is not what this format knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unreadable {
    pub(crate) since: u64,
    pub(crate) why: String,
}

/// A second name of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alias {
    pub(crate) batch: u32,
    pub(crate) seq: u32,
    pub(crate) name: String,
}

/// Whose a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskOf {
    pub(crate) batch: u32,
    pub(crate) seq: u32,
    /// The first 16 digits of the SHA-1 of its id.
    pub(crate) sha1: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_newer_version_is_an_error() {
        let read = |text: &str| serde_json::from_str::<ExportEntry>(text);
        assert!(read(r#"{"alias":{"batch":1,"seq":0,"name":"a"}}"#).is_ok());
        assert!(read(r#"{"alias":{"batch":1,"seq":0,"name":"a","kind":2}}"#).is_err());
        assert!(read(r#"{"coupon":{}}"#).is_err());
    }
}
