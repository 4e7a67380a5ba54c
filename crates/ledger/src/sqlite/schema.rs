//! The file: how it is opened, what is in it, and which format is understood.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{alias, migration};
use crate::LedgerError;
use crate::migration::FORMAT;

/// "veob", so that `file` and we know whose it is.
const APPLICATION: i64 = 0x7665_6f62;

/// Another process holds the file only for the length of one commit: try again soon, and always equally soon. `SQLite`'s
/// own busy handler grows to 100 ms and starves whoever comes second, as was measured.
const BUSY_STEP: Duration = Duration::from_micros(300);

/// Ten seconds' worth of [`BUSY_STEP`]s.
const BUSY_STEPS: i32 = 30_000;

const TABLES: &str = "
CREATE TABLE account (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ledger_time INTEGER NOT NULL DEFAULT 0,
    salt BLOB NOT NULL,
    api_base TEXT,
    fingerprint TEXT,
    submissions INTEGER NOT NULL,
    per INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    tat INTEGER NOT NULL DEFAULT 0,
    flying INTEGER NOT NULL DEFAULT 0,
    troubles INTEGER NOT NULL DEFAULT 0,
    gate_until INTEGER,
    gate_why TEXT,
    gate_credits INTEGER NOT NULL DEFAULT 0,
    gate_closings INTEGER NOT NULL DEFAULT 0,
    probe TEXT,
    probe_until INTEGER NOT NULL DEFAULT 0,
    low REAL,
    low_since INTEGER NOT NULL DEFAULT 0,
    peak REAL NOT NULL DEFAULT 0,
    idle TEXT,
    idle_from INTEGER NOT NULL DEFAULT 0,
    fast INTEGER,
    fast_n INTEGER NOT NULL DEFAULT 0,
    fast_was INTEGER,
    priced INTEGER NOT NULL DEFAULT 0,
    daily INTEGER,
    zone TEXT,
    day_from INTEGER NOT NULL DEFAULT 0,
    day_until INTEGER NOT NULL DEFAULT 0,
    day_spent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE note (kind TEXT PRIMARY KEY, at INTEGER NOT NULL, words TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE arrival (id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, bound INTEGER NOT NULL) STRICT;
CREATE INDEX arrival_bound ON arrival (bound);
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folded TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    paused_because TEXT,
    cancelling INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL DEFAULT 0,
    shown INTEGER NOT NULL DEFAULT 0,
    published TEXT,
    forgotten TEXT,
    admission TEXT,
    progress INTEGER NOT NULL DEFAULT 0,
    ready INTEGER NOT NULL DEFAULT 0,
    vt INTEGER NOT NULL DEFAULT 0,
    weight INTEGER NOT NULL DEFAULT 1,
    priority INTEGER NOT NULL DEFAULT 0,
    schedule TEXT NOT NULL DEFAULT '',
    opens INTEGER NOT NULL DEFAULT 0,
    closes INTEGER NOT NULL DEFAULT 9007199254740991,
    budget INTEGER,
    credits INTEGER NOT NULL DEFAULT 0,
    asleep INTEGER NOT NULL DEFAULT 0,
    short INTEGER NOT NULL DEFAULT 0,
    turn INTEGER AS (CASE WHEN ready > 0 AND paused = 0 AND cancelling = 0 AND asleep = 0 AND short = 0
        THEN vt - (priority << 49) END) VIRTUAL
) STRICT;
CREATE INDEX batch_asleep ON batch (opens) WHERE asleep = 1;
CREATE INDEX batch_short ON batch (id) WHERE short = 1;
CREATE TABLE level (priority INTEGER PRIMARY KEY, turn INTEGER NOT NULL) STRICT;
CREATE TABLE price (class TEXT PRIMARY KEY, credits INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE dropped (admission TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE INDEX batch_forgotten ON batch (id) WHERE forgotten IS NOT NULL;
CREATE INDEX batch_turn ON batch (turn) WHERE turn IS NOT NULL;
CREATE TABLE tally (batch INTEGER, state INTEGER, n INTEGER NOT NULL, PRIMARY KEY (batch, state)) STRICT, WITHOUT ROWID;
CREATE TABLE spec (job INTEGER PRIMARY KEY, spec BLOB NOT NULL, class TEXT NOT NULL) STRICT;
CREATE TABLE task (task TEXT PRIMARY KEY, job INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rank INTEGER,
    lane INTEGER,
    due INTEGER,
    version INTEGER NOT NULL DEFAULT 0,
    fence INTEGER,
    deliveries INTEGER NOT NULL DEFAULT 0,
    flight INTEGER,
    nonce INTEGER,
    writer INTEGER,
    token TEXT,
    at INTEGER,
    folded TEXT,
    name TEXT NOT NULL,
    digest BLOB,
    compact INTEGER NOT NULL DEFAULT 0,
    credits INTEGER NOT NULL DEFAULT 0,
    body BLOB
) STRICT;
CREATE UNIQUE INDEX job_name ON job (batch, ifnull(folded, name));
CREATE INDEX job_state ON job (state);
CREATE INDEX job_whole ON job (batch) WHERE state = 5 AND compact = 0;
CREATE INDEX job_beside ON job (batch) WHERE lane IS NOT NULL AND state IN (5, 6, 8);
CREATE INDEX job_ready ON job (batch, rank) WHERE rank IS NOT NULL AND lane IS NULL;
CREATE INDEX job_due ON job (lane, due) WHERE lane IS NOT NULL;
CREATE INDEX job_flight ON job (flight) WHERE flight IS NOT NULL;
CREATE UNIQUE INDEX job_token ON job (token) WHERE token IS NOT NULL;
";

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
    connection.execute_batch(super::heard::TABLE)?;
    connection.execute_batch(super::unreadable::TABLE)?;
    connection.execute_batch(super::settings::UNPRICED_TABLE)?;
    connection.execute_batch(super::account::UPGRADE_TURN_TABLE)?;
    connection.execute_batch(alias::TABLES)?;
    connection.execute_batch(super::lineage::TABLE)?;
    connection.execute_batch(super::transfer::TABLE)?;
    super::rest::prepare(&mut connection)?;
    tune(&connection)?;
    Ok(connection)
}

/// A ledger that is gone when it is dropped.
pub(super) fn in_memory() -> Result<Connection, LedgerError> {
    let mut connection = Connection::open_in_memory()?;
    make(&mut connection)?;
    connection.execute_batch(super::heard::TABLE)?;
    connection.execute_batch(super::unreadable::TABLE)?;
    connection.execute_batch(super::settings::UNPRICED_TABLE)?;
    connection.execute_batch(super::account::UPGRADE_TURN_TABLE)?;
    connection.execute_batch(alias::TABLES)?;
    connection.execute_batch(super::lineage::TABLE)?;
    connection.execute_batch(super::transfer::TABLE)?;
    super::rest::prepare(&mut connection)?;
    tune(&connection)?;
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

fn busy(tries: i32) -> bool {
    std::thread::sleep(BUSY_STEP);
    tries < BUSY_STEPS
}

fn is_new(connection: &Connection) -> Result<bool, LedgerError> {
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

fn unknown(found: String) -> LedgerError {
    LedgerError::Format { found, known: FORMAT }
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, LedgerError> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
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

fn make(connection: &mut Connection) -> Result<(), LedgerError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_new(&transaction)? {
        let mut salt = [0_u8; 16];
        getrandom::fill(&mut salt).map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        let pace = crate::Pace::default();
        transaction.execute_batch(TABLES)?;
        transaction.execute_batch(super::seen::TABLE)?;
        transaction.execute_batch(super::polls::TABLE)?;
        transaction.execute_batch(super::slots::TABLE)?;
        transaction.execute(
            "INSERT INTO account (one, salt, submissions, per, cap) VALUES (1, ?, ?, ?, ?)",
            (salt, pace.submissions, super::row::ms(pace.per), pace.max_in_flight),
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        set_format(&transaction)?;
    }
    Ok(transaction.commit()?)
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
