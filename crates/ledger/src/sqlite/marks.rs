//! How a file stands to exports and imports: the stamp that every change renews, where its jobs were moved, the import that it
//! is the target of.

use rusqlite::{Connection, OptionalExtension as _};
use veobatch_core::Timestamp;

use super::row::put_time;
use crate::transfer::{Import, Moved};
use crate::{LedgerError, LedgerId};

/// Something changed at `now`.
pub(super) fn stamp(sql: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    sql.prepare_cached(
        "INSERT INTO transfer (one, changes, at) VALUES (1, 1, ?1) ON CONFLICT DO UPDATE SET changes = changes + 1, at = ?1",
    )?
    .execute([put_time(now)])
}

/// An error if the ledger changes no more, or not yet.
pub(super) fn check_usable(sql: &Connection) -> Result<(), LedgerError> {
    if let Some(moved) = moved(sql)? {
        return Err(moved.error());
    }
    check_begun(sql)
}

/// An error if an import has begun and not come to its end.
pub(super) fn check_begun(sql: &Connection) -> Result<(), LedgerError> {
    if imported(sql)?.is_some_and(|import| !import.done) { Err(LedgerError::Importing) } else { Ok(()) }
}

/// Whether it was imported from a ledger that could not be marked, and nobody has agreed yet that it goes on.
pub(super) fn is_copy(sql: &Connection) -> Result<bool, LedgerError> {
    Ok(sql.prepare_cached("SELECT 1 FROM transfer WHERE copy = 1")?.exists([])?)
}

/// A person agreed that it goes on.
pub(super) fn accept(sql: &Connection) -> Result<(), LedgerError> {
    sql.execute("UPDATE transfer SET copy = 0 WHERE copy = 1", [])?;
    Ok(())
}

/// Where its jobs went.
pub(super) fn moved(sql: &Connection) -> Result<Option<Moved>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT moved FROM transfer WHERE moved IS NOT NULL")?;
    let stored: Option<String> = find.query_row([], |row| row.get(0)).optional()?;
    Ok(stored.as_deref().map(Moved::parse))
}

pub(super) fn imported(sql: &Connection) -> Result<Option<Import>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT import FROM transfer WHERE import IS NOT NULL")?;
    let stored: Option<String> = find.query_row([], |row| row.get(0)).optional()?;
    Ok(stored.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// The ledger's id, if it has one.
pub(super) fn id(sql: &Connection) -> Result<Option<LedgerId>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT id FROM lineage WHERE id IS NOT NULL")?;
    let id: Option<String> = find.query_row([], |row| row.get(0)).optional()?;
    Ok(id.as_deref().and_then(LedgerId::parse))
}

pub(super) fn stamp_of(sql: &Connection) -> Result<String, LedgerError> {
    let mut find = sql.prepare_cached("SELECT changes, at FROM transfer")?;
    let found: Option<(i64, i64)> = find.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (changes, at) = found.unwrap_or_default();
    Ok(format!("{changes}-{at}"))
}
