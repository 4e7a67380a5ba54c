//! What is in a file (`schema.sql`), and which format is understood.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::row::ms;
use crate::LedgerError;
use crate::migration::FORMAT;

/// "veob", so that `file` and we know whose it is.
const APPLICATION: i64 = 0x7665_6f62;

/// All tables and indexes, with what they are for.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// Whether there is nothing in the file yet.
pub(super) fn is_new(connection: &Connection) -> Result<bool, LedgerError> {
    let objects: i64 = match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(unknown("not a SQLite file".to_owned()));
        }
        result => result?,
    };
    Ok(objects == 0 && pragma(connection, "application_id")? == 0 && pragma(connection, "user_version")? == 0)
}

/// The file's format; an error if it is not a ledger.
pub(super) fn format(connection: &Connection) -> Result<u32, LedgerError> {
    if pragma(connection, "application_id")? != APPLICATION {
        return Err(unknown("another program's".to_owned()));
    }
    let format = pragma(connection, "user_version")?;
    u32::try_from(format).map_err(|_| unknown(format.to_string()))
}

/// Says what is wrong if a newer program has changed the format since the file was opened.
pub(super) fn check_format(connection: &Connection) -> Result<(), String> {
    let read = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
    let found = connection.prepare_cached("PRAGMA user_version").and_then(|mut asked| asked.query_row([], read));
    match found {
        Ok(FORMAT) => Ok(()),
        Ok(found) => Err(unknown(found.to_string()).to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// The file has the present format from now on.
pub(super) fn set_format(connection: &Connection) -> Result<(), LedgerError> {
    Ok(connection.pragma_update(None, "user_version", FORMAT)?)
}

pub(super) fn unknown(found: String) -> LedgerError {
    LedgerError::Format { found, known: FORMAT }
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, LedgerError> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

/// Makes what a new file holds, in one transaction.
pub(super) fn make(connection: &mut Connection) -> Result<(), LedgerError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_new(&transaction)? {
        let mut salt = [0_u8; 16];
        getrandom::fill(&mut salt).map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        let pace = crate::Pace::default();
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO polls (one) VALUES (1)", [])?;
        transaction.execute(
            "INSERT INTO account (one, salt, submissions, per, cap) VALUES (1, ?, ?, ?, ?)",
            (salt, pace.submissions, ms(pace.per), pace.max_in_flight),
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        set_format(&transaction)?;
    }
    Ok(transaction.commit()?)
}
