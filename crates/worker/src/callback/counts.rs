//! Counts callbacks by outcome, for the log and for `GET /health`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The outcome of one callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackOutcome {
    /// It changed something, and the ledger has stored it.
    Taken,
    /// It said nothing new.
    Known,
    /// No job has such a token.
    Unknown,
    /// The signature is missing, wrong or too old.
    Forged,
    /// The payload cannot be read.
    Malformed,
    /// It named a task that is not the job's.
    Refused,
    /// The ledger could not store it now: the sender tries again.
    Deferred,
    /// No job has such a token, and too many such callbacks arrived.
    Limited,
}

/// Every outcome and its name.
const NAMES: [(CallbackOutcome, &str); 8] = [
    (CallbackOutcome::Taken, "taken"),
    (CallbackOutcome::Known, "known"),
    (CallbackOutcome::Unknown, "unknown"),
    (CallbackOutcome::Forged, "forged"),
    (CallbackOutcome::Malformed, "malformed"),
    (CallbackOutcome::Refused, "refused"),
    (CallbackOutcome::Deferred, "deferred"),
    (CallbackOutcome::Limited, "limited"),
];

/// Number of callbacks per outcome.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; NAMES.len()]);

impl Counts {
    pub(crate) fn add(&self, outcome: CallbackOutcome) {
        for (count, (known, _)) in self.0.iter().zip(NAMES) {
            if known == outcome {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().zip(NAMES).map(|(count, (_, name))| (name, count.load(Ordering::Relaxed)))
    }

    /// As one JSON document.
    pub(super) fn document(&self) -> serde_json::Value {
        let callbacks: serde_json::Map<_, _> =
            self.all().map(|(name, count)| (name.to_owned(), count.into())).collect();
        serde_json::json!({ "status": "ok", "callbacks": callbacks })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, count) in self.all().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{count} {name}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}
