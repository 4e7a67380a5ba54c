//! Hints, by kind and name.

use rusqlite::{Connection, OptionalExtension as _};

use super::row::{get_time, put_time};
use super::transaction::Transaction;
use crate::LedgerError;
use crate::ledger::hints::{Hint, HintKind};

pub(super) fn all(sql: &Connection, kind: HintKind) -> Result<Vec<Hint>, LedgerError> {
    let mut all = sql.prepare_cached("SELECT name, at, text FROM hint WHERE kind = ? ORDER BY name")?;
    let rows =
        all.query_map([kind.as_str()], |row| Ok(Hint { name: row.get(0)?, at: get_time(row, 1)?, text: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Replaces a hint that still says `was`.
pub(super) fn put(
    tx: &Transaction<'_>,
    kind: HintKind,
    name: &str,
    was: Option<&str>,
    now: Option<&str>,
) -> Result<bool, LedgerError> {
    let mut find = tx.sql.prepare_cached("SELECT text FROM hint WHERE kind = ? AND name = ?")?;
    let found: Option<String> = find.query_row((kind.as_str(), name), |row| row.get(0)).optional()?;
    if found.as_deref() != was {
        return Ok(false);
    }
    match now {
        Some(now) => tx
            .sql
            .prepare_cached("INSERT OR REPLACE INTO hint (kind, name, at, text) VALUES (?, ?, ?, ?)")?
            .execute((kind.as_str(), name, put_time(tx.now), now))?,
        None => {
            tx.sql.prepare_cached("DELETE FROM hint WHERE kind = ? AND name = ?")?.execute((kind.as_str(), name))?
        }
    };
    Ok(true)
}
