//! What became of the callbacks that came: for the log, and for `GET /health`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackOutcome {
    /// It changed something, and the ledger has it.
    Taken,
    /// It said what is known.
    Known,
    /// No job has such a token.
    Unknown,
    /// It is not signed, wrongly signed, or signed long ago.
    Forged,
    /// It is no payload.
    Malformed,
    /// It named a task that is not the job's.
    Refused,
    /// The ledger could not take it now: the sender tries again.
    Deferred,
    /// No job has such a token, and many such came.
    Limited,
}

/// Every outcome and its word.
const WORDS: [(CallbackOutcome, &str); 8] = [
    (CallbackOutcome::Taken, "taken"),
    (CallbackOutcome::Known, "known"),
    (CallbackOutcome::Unknown, "unknown"),
    (CallbackOutcome::Forged, "forged"),
    (CallbackOutcome::Malformed, "malformed"),
    (CallbackOutcome::Refused, "refused"),
    (CallbackOutcome::Deferred, "deferred"),
    (CallbackOutcome::Limited, "limited"),
];

/// How many had each outcome.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; WORDS.len()]);

impl Counts {
    pub(crate) fn add(&self, outcome: CallbackOutcome) {
        for (count, (known, _)) in self.0.iter().zip(WORDS) {
            if known == outcome {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().zip(WORDS).map(|(count, (_, word))| (word, count.load(Ordering::Relaxed)))
    }

    /// As one JSON document.
    pub(super) fn document(&self) -> serde_json::Value {
        let callbacks: serde_json::Map<_, _> =
            self.all().map(|(word, count)| (word.to_owned(), count.into())).collect();
        serde_json::json!({ "status": "ok", "callbacks": callbacks })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (word, count) in self.all().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{count} {word}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}
