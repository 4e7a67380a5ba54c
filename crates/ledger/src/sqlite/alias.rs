//! Second names of jobs that were brought from format 1, and batches with jobs that cannot be recognized.

use rusqlite::{Connection, OptionalExtension};

use crate::LedgerError;

/// The job of the batch that has this as a second name.
pub(super) fn find(sql: &Connection, batch: i64, name: &str) -> Result<Option<i64>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT job FROM alias WHERE batch = ? AND name = ?")?;
    Ok(find.query_row((batch, name), |row| row.get(0)).optional()?)
}

/// Gives a job a second name; false if another job has it as one.
pub(super) fn add(sql: &Connection, batch: i64, name: &str, job: i64) -> Result<bool, LedgerError> {
    let mut add = sql.prepare_cached("INSERT OR IGNORE INTO alias (batch, name, job) VALUES (?, ?, ?)")?;
    Ok(add.execute((batch, name, job))? == 1)
}

/// Forgets what there is of a batch.
pub(super) fn clear(sql: &Connection, batch: i64) -> Result<(), LedgerError> {
    sql.prepare_cached("DELETE FROM alias WHERE batch = ?")?.execute([batch])?;
    sql.prepare_cached("DELETE FROM unsure WHERE batch = ?")?.execute([batch])?;
    Ok(())
}
