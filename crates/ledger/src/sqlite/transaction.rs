//! What every operation works with: the transaction of its group, and the time.

use rusqlite::Connection;
use veobatch_core::Timestamp;

use super::clock::Reading;

/// What an operation works with.
pub(super) struct Transaction<'a> {
    /// Inside the group's transaction (or, for a read, outside of any).
    pub(super) sql: &'a Connection,
    /// The ledger's time; the same for the whole group.
    pub(super) now: Timestamp,
    /// Both clocks, as they were then.
    pub(super) clock: Reading,
    /// Set by an operation that made something due.
    pub(super) wakes: bool,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(sql: &'a Connection, clock: Reading) -> Self {
        Self { sql, now: clock.now, clock, wakes: false }
    }
}
