//! Which batches are at rest, and since when, so that years of them cost nothing where only the others are asked for.
//!
//! A published batch is in `live` or in `rest`. Which one is decided anew whenever its jobs or flags may have changed
//! that, so nothing can drift.

use rusqlite::Connection;
use veobatch_core::{StateName, Timestamp};

use super::row::{get_time, put_state, put_time};
use crate::LedgerError;

/// States in which a job keeps its batch from being at rest.
const MOVING: [StateName; 6] = [
    StateName::Queued,
    StateName::Submitting,
    StateName::Generating,
    StateName::Upscaling,
    StateName::Downloading,
    StateName::InDoubt,
];

/// Whether a job in `state` is over. Only when one becomes so, or was so, can its batch come to rest or leave it.
pub(super) fn is_over(state: StateName) -> bool {
    !MOVING.contains(&state)
}

/// Whether the file knows which batches are at rest.
pub(super) fn is_known(sql: &Connection) -> Result<bool, LedgerError> {
    let find = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'live')";
    Ok(sql.query_row(find, [], |row| row.get(0))?)
}

/// Says of every batch where it is, in a file that did not know. What is at rest in it counts as having come to rest now.
pub(super) fn note_all(sql: &Connection) -> Result<(), LedgerError> {
    let mut all = sql.prepare("SELECT id FROM batch WHERE published IS NOT NULL")?;
    let ids: Vec<i64> = all.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let now = sql.query_row("SELECT ledger_time FROM account", [], |row| get_time(row, 0))?;
    ids.into_iter().try_for_each(|id| note(sql, id, now, false))
}

/// Brings `live` and `rest` to what the batch is now. `anew`: if it is at rest, it came to rest now, whatever it was before.
pub(super) fn note(sql: &Connection, batch: i64, now: Timestamp, anew: bool) -> Result<(), LedgerError> {
    let moving = MOVING.map(|state| put_state(state).to_string()).join(", ");
    let is_live: bool = sql
        .prepare_cached(&format!(
            "SELECT cancelling OR EXISTS (SELECT 1 FROM tally WHERE tally.batch = batch.id AND n > 0 \
             AND state IN ({moving})) FROM batch WHERE id = ?"
        ))?
        .query_row([batch], |row| row.get(0))?;
    if is_live {
        sql.prepare_cached("DELETE FROM rest WHERE batch = ?")?.execute([batch])?;
        sql.prepare_cached("INSERT OR IGNORE INTO live (batch) VALUES (?)")?.execute([batch])?;
    } else {
        sql.prepare_cached("DELETE FROM live WHERE batch = ?")?.execute([batch])?;
        let or = if anew { "REPLACE" } else { "IGNORE" };
        sql.prepare_cached(&format!("INSERT OR {or} INTO rest (batch, since) VALUES (?, ?)"))?
            .execute((batch, put_time(now)))?;
    }
    Ok(())
}

/// The batch is forgotten.
pub(super) fn forget(sql: &Connection, batch: i64) -> Result<(), LedgerError> {
    sql.prepare_cached("DELETE FROM live WHERE batch = ?")?.execute([batch])?;
    sql.prepare_cached("DELETE FROM rest WHERE batch = ?")?.execute([batch])?;
    Ok(())
}
