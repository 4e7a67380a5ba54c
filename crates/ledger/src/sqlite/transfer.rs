//! A file as one end of an export or import: what it says of itself, and its marks.
//!
//! An import holds the place of the one worker while it marks the source, so no worker is at it then, and none that starts
//! later gets further than the mark, which every group of changes reads.

mod export;
mod import;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc;
use veobatch_core::Timestamp;

use super::marks::{check_begun, id, imported, moved, stamp_of};
use super::row::get_time;
use super::{clock, opening, worker_lock};
use crate::transfer::{Endpoint, ExportEntry, Import, Moved, Sent, Standing, changed, refuse_moved};
use crate::{LedgerError, WorkerLock};

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    sql: Arc<Mutex<Connection>>,
    path: PathBuf,
}

impl Transfer {
    /// Opens the file, makes it if it is not there, and brings it to the present format.
    pub(crate) async fn open(path: &Path) -> Result<Self, LedgerError> {
        let at = path.to_owned();
        let sql = tokio::task::spawn_blocking(move || opening::open(&at)).await;
        let sql = sql.map_err(|error| LedgerError::Unavailable(error.to_string()))??;
        let path = path.canonicalize().map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        Ok(Self { sql: Arc::new(Mutex::new(sql)), path })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let sql = Arc::clone(&self.sql);
        let done = tokio::task::spawn_blocking(move || work(&mut sql.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await.map_err(|error| LedgerError::Unavailable(error.to_string()))?
    }

    /// In one transaction, all or nothing.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.with(move |sql| {
            let transaction = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    fn place(&self) -> Result<WorkerLock, LedgerError> {
        let taken = worker_lock::take(&self.path);
        if matches!(taken, Err(LedgerError::WorkerPresent)) {
            let words = "a worker works on it: stop that one first, and export it again";
            return Err(LedgerError::Transfer(words.to_owned()));
        }
        taken
    }
}

/// The ledger's time.
fn now(sql: &Connection) -> Result<Timestamp, LedgerError> {
    let stored = sql.query_row("SELECT ledger_time FROM account", [], |row| get_time(row, 0))?;
    Ok(stored.max(clock::wall_clock()()))
}

#[async_trait]
impl Endpoint for Transfer {
    async fn standing(&self) -> Result<Standing, LedgerError> {
        self.with(|sql| Ok(Standing { id: id(sql)?, moved: moved(sql)?, import: imported(sql)? })).await
    }

    async fn export(&self, source: &str, lines: mpsc::Sender<Sent>) -> Result<(), LedgerError> {
        let source = source.to_owned();
        self.with(move |sql| export::all(sql, source, &lines)).await
    }

    async fn begin(&self, import: &Import) -> Result<u64, LedgerError> {
        let import = import.clone();
        self.write(move |sql| import::begin(sql, import)).await
    }

    async fn add(&self, import: &Import, from: u64, entries: &[ExportEntry]) -> Result<(), LedgerError> {
        let (import, entries) = (import.clone(), entries.to_vec());
        self.write(move |sql| import::add(sql, &import, from, &entries)).await
    }

    async fn finish(&self, import: &Import) -> Result<(), LedgerError> {
        let import = import.clone();
        self.write(move |sql| import::finish(sql, &import)).await
    }

    async fn call_off(&self, import: &Import) -> Result<(), LedgerError> {
        let import = import.clone();
        self.write(move |sql| import::call_off(sql, &import)).await
    }

    async fn mark(&self, stamp: &str, wanted: &Moved, dry: bool) -> Result<(), LedgerError> {
        let _place = self.place()?;
        let (stamp, wanted) = (stamp.to_owned(), wanted.clone());
        self.write(move |sql| {
            check_begun(sql)?;
            let before = moved(sql)?;
            refuse_moved(before.as_ref(), &wanted)?;
            if before.is_some_and(|before| before.import == wanted.import) {
                return Ok(());
            }
            if stamp_of(sql)? != stamp {
                return Err(changed());
            }
            if !dry {
                // A copy that was made before has granted fewer, and is known by that.
                let first = moved(sql)?.is_none();
                sql.execute("UPDATE lineage SET grants = grants + ?", [first])?;
                let mark = "INSERT INTO transfer (one, moved) VALUES (1, ?1) ON CONFLICT DO UPDATE SET moved = ?1";
                sql.execute(mark, [serde_json::to_string(&wanted)?])?;
            }
            Ok(())
        })
        .await
    }

    async fn give_up(&self, import: &Import) -> Result<(), LedgerError> {
        let import = import.clone();
        self.write(move |sql| {
            let Some(found) = moved(sql)?.filter(|found| found.import == import.id) else {
                return Err(LedgerError::Transfer("another import has taken over meanwhile".to_owned()));
            };
            let given_up = serde_json::to_string(&Moved { given_up: true, ..found })?;
            sql.execute("UPDATE transfer SET moved = ?", [given_up])?;
            Ok(())
        })
        .await
    }
}
