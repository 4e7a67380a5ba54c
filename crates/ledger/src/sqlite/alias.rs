//! Second names of jobs that were brought from format 1, and batches with jobs that cannot be recognized.
//!
//! | table | one row is | written by | dies |
//! |---|---|---|---|
//! | `alias` | a name that a job of the batch is known by beside its own | migration; `stage` and `compare`, as jobs are recognized | with a forgotten batch: `clear` |
//! | `unsure` | how many compact jobs of a batch may be lines without an id, whose names are not known any more | migration; `stage` and `compare` | when all were recognized; with a forgotten batch: `clear` |

use rusqlite::{Connection, OptionalExtension};

use crate::LedgerError;

pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS alias (batch INTEGER, name TEXT, job INTEGER NOT NULL, PRIMARY KEY (batch, name)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unsure (batch INTEGER PRIMARY KEY, jobs INTEGER NOT NULL) STRICT;
";

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
