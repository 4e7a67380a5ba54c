//! A ledger in memory that is put back to what it was, for simulations: as a server that lost what it was told last.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::ledger::SqliteLedger;
use crate::LedgerError;

/// What a ledger was at one moment.
#[derive(Debug)]
pub struct Past(Mutex<Connection>);

impl SqliteLedger {
    /// What it is now. Only of one that works in its callers.
    pub fn past(&self) -> Result<Past, LedgerError> {
        let mut copy = Connection::open_in_memory()?;
        self.writer.with(|now| copy_all(now, &mut copy))?;
        Ok(Past(Mutex::new(copy)))
    }

    /// Is again what it was. Its clock goes on.
    pub fn go_back(&self, past: &Past) -> Result<(), LedgerError> {
        let past = past.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.with(|now| copy_all(&past, now))
    }
}

fn copy_all(from: &Connection, to: &mut Connection) -> Result<(), LedgerError> {
    Ok(Backup::new(from, to)?.run_to_completion(1000, std::time::Duration::ZERO, None)?)
}
