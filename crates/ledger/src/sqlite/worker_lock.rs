//! The place of the one working process: a lock of the operating system, gone with whoever holds it.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::{LedgerError, WorkerLock};

/// Takes the lock beside the ledger's file.
pub(super) fn take(ledger: &Path) -> Result<WorkerLock, LedgerError> {
    let mut path = ledger.as_os_str().to_owned();
    path.push(".lock");
    let failed = |error: std::io::Error| LedgerError::Unavailable(format!("{}: {error}", Path::new(&path).display()));
    // The file stays: if it were removed, two processes could hold locks on two files of one name.
    let file = File::options().create(true).write(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Box::new(file)),
        Err(TryLockError::WouldBlock) => Err(LedgerError::WorkerPresent),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
