//! How a file is opened: made if it is not there, brought to the present format if it has an older one.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::schema::{SCHEMA, format, is_new, make, unknown};
use super::{migration, rest};
use crate::LedgerError;
use crate::migration::FORMAT;

/// Another process holds the file only for the length of one commit: try again soon, and always equally soon. `SQLite`'s
/// own busy handler grows to 100 ms and starves whoever comes second, as was measured.
const BUSY_STEP: Duration = Duration::from_micros(300);

/// Ten seconds' worth of [`BUSY_STEP`]s.
const BUSY_STEPS: i32 = 30_000;

/// Opens the file, makes it if it is not there, and brings it to the present format if it has an older one; a newer one is
/// left alone.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|error| LedgerError::Unavailable(format!("{}: {error}", path.display())))?;
    connection.busy_handler(Some(busy))?;
    if is_new(&connection)? {
        // The format is written last, in one transaction: whoever dies before leaves a file that is still new.
        in_wal(&connection)?;
        make(&mut connection)?;
    }
    match format(&connection)? {
        FORMAT => {}
        older @ 1..FORMAT => migration::migrate(&mut connection, path, older)?,
        other => return Err(unknown(other.to_string())),
    }
    complete(&mut connection)?;
    Ok(connection)
}

/// A ledger that is gone when it is dropped.
pub(super) fn in_memory() -> Result<Connection, LedgerError> {
    let mut connection = Connection::open_in_memory()?;
    make(&mut connection)?;
    complete(&mut connection)?;
    Ok(connection)
}

/// A second connection to a file that [`open`] has checked, for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    let mut connection = Connection::open(path)?;
    connection.busy_handler(Some(busy))?;
    tune(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Makes what an older file has not. Of one that does not know which batches are at rest, says that too.
fn complete(connection: &mut Connection) -> Result<(), LedgerError> {
    if rest::is_known(connection)? {
        connection.execute_batch(SCHEMA)?;
    } else {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !rest::is_known(&transaction)? {
            transaction.execute_batch(SCHEMA)?;
            rest::note_all(&transaction)?;
        }
        transaction.commit()?;
    }
    tune(connection)
}

fn busy(tries: i32) -> bool {
    std::thread::sleep(BUSY_STEP);
    tries < BUSY_STEPS
}

/// Two processes may make the same file at once, and this one change does not wait for the busy handler.
fn in_wal(connection: &Connection) -> Result<(), LedgerError> {
    let mut tries = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && busy(tries) => tries += 1,
            result => return Ok(result?),
        }
    }
}

/// In KiB, for each connection. Larger ones make no admission faster that was measured, and a million jobs are checked
/// and admitted in less than 64 MB.
const PAGE_CACHE: i64 = 12 * 1024;

fn tune(connection: &Connection) -> Result<(), LedgerError> {
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use veobatch_core::StateName;

    use super::super::row::put_state;
    use super::*;

    #[test]
    fn a_file_from_before_says_of_every_batch_where_it_is() {
        let mut sql = in_memory().unwrap();
        sql.execute_batch(
            "DROP TABLE live; DROP TABLE rest; UPDATE account SET ledger_time = 77;
             INSERT INTO batch (id, folded, name, created, published, cancelling) VALUES
             (1, 'a', 'a', 0, 'x', 0), (2, 'b', 'b', 0, 'x', 0), (3, 'c', 'c', 0, 'x', 1), (4, 'd', 'd', 0, NULL, 0);
             INSERT INTO tally (batch, state, n) VALUES (1, 5, 3), (1, 0, 0), (2, 5, 1), (2, 7, 1), (4, 0, 9);",
        )
        .unwrap();
        assert_eq!(put_state(StateName::InDoubt), 7);
        complete(&mut sql).unwrap();
        complete(&mut sql).unwrap();
        let all = |sql: &Connection, what: &str| -> Vec<(i64, i64)> {
            let mut all = sql.prepare(what).unwrap();
            all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(all(&sql, "SELECT batch, since FROM rest"), [(1, 77)]);
        assert_eq!(all(&sql, "SELECT batch, 0 FROM live"), [(2, 0), (3, 0)]);
    }
}
