//! A ledger in a file: its connections, and the two ways to ask them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::{self, Clock, TimeSource};
use super::connection::ConnectionThread;
use super::transaction::Transaction;
use super::{identity, marks, opening, row};
use crate::{Identity, LedgerError, Wake};

/// A ledger in a `SQLite` file.
#[derive(Debug)]
pub struct SqliteLedger {
    /// Absent in memory, where only the writer's connection sees anything.
    pub(super) reader: Option<ConnectionThread>,
    pub(super) writer: ConnectionThread,
    pub(super) clock: Arc<Clock>,
    pub(super) wake: Wake,
    pub(super) path: Option<PathBuf>,
}

impl SqliteLedger {
    /// Opens the file, makes it if it is not there, and checks its format.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with(path, clock::wall_clock()).await
    }

    /// As [`SqliteLedger::open`], with time from `source`.
    pub async fn open_with(path: &Path, source: TimeSource) -> Result<Self, LedgerError> {
        let at = path.to_owned();
        let (writer, reader) = tokio::task::spawn_blocking(move || {
            let writer = opening::open(&at)?;
            marks::check_begun(&writer)?;
            Ok::<_, LedgerError>((writer, opening::open_reader(&at)?))
        })
        .await
        .map_err(|error| LedgerError::Unavailable(error.to_string()))??;
        // Known by one name, however it was written: the worker's place is beside it.
        let path = path.canonicalize().map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        Self::start(writer, Some(reader), Some(path), source)
    }

    /// A ledger that is gone when it is dropped, for simulations and tests.
    pub fn in_memory(source: TimeSource) -> Result<Self, LedgerError> {
        Self::start(opening::in_memory()?, None, None, source)
    }

    /// As [`SqliteLedger::in_memory`], but each operation runs in its caller, in a transaction of its own: no thread but
    /// the caller's has a part in what happens when. For simulations.
    pub fn in_caller(source: TimeSource) -> Result<Self, LedgerError> {
        let (clock, wake) = (Arc::new(Clock::new(source)), Wake::default());
        let writer = ConnectionThread::here(opening::in_memory()?, Arc::clone(&clock), wake.clone());
        Ok(Self { reader: None, writer, clock, wake, path: None })
    }

    fn start(
        writer: rusqlite::Connection,
        reader: Option<rusqlite::Connection>,
        path: Option<PathBuf>,
        source: TimeSource,
    ) -> Result<Self, LedgerError> {
        let (clock, wake) = (Arc::new(Clock::new(source)), Wake::default());
        clock.at_least(writer.query_row("SELECT ledger_time FROM account", [], |found| row::get_time(found, 0))?);
        let reader = reader.map(|reader| ConnectionThread::reading(reader, Arc::clone(&clock))).transpose()?;
        let writer = ConnectionThread::writing(writer, Arc::clone(&clock), wake.clone(), path.is_none())?;
        Ok(Self { reader, writer, clock, wake, path })
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Transaction<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.writer.ask(operation).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.reader.as_ref().unwrap_or(&self.writer).ask(|tx| operation(tx)).await
    }

    /// Gives the ledger an id if it has none.
    pub(super) async fn identity(&self) -> Result<Identity, LedgerError> {
        match self.read(identity::known).await? {
            Some(known) => Ok(known),
            None => self.write(identity::identify).await,
        }
    }
}
