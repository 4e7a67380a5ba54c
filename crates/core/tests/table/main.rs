//! The state table, whole: every state times every event, and what no sequence of events can bring about.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod forgotten;
mod matrix;
mod restated;
mod scenes;
mod stories;
mod strays;
mod upgrades;
