//! The callback of the latest submission that was heard.

use rusqlite::OptionalExtension as _;
use veobatch_core::{Heard, Timestamp};

use super::row::{get_time, put_time};
use super::writer::Step;
use crate::LedgerError;

/// Made at every opening: files that were made before there were callbacks have none.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS heard (one INTEGER PRIMARY KEY CHECK (one = 1), submitted INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;";

pub(super) fn hear(step: &Step<'_>, submitted: Timestamp) -> Result<(), LedgerError> {
    step.sql
        .prepare_cached(
            "INSERT INTO heard (one, submitted, at) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE \
             SET submitted = ?1, at = ?2 WHERE submitted <= ?1",
        )?
        .execute((put_time(submitted), put_time(step.now)))?;
    Ok(())
}

pub(super) fn heard(step: &Step<'_>) -> Result<Option<Heard>, LedgerError> {
    let mut find = step.sql.prepare_cached("SELECT submitted, at FROM heard")?;
    Ok(find.query_row([], |row| Ok(Heard { submitted: get_time(row, 0)?, at: get_time(row, 1)? })).optional()?)
}
