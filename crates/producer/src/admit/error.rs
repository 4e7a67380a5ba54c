//! Why an admission failed.

use std::io;

use veobatch_core::BatchId;
use veobatch_ledger::LedgerError;

use crate::problem::Problems;

/// Why nothing was admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// Known ids with other content: the files must be changed. Nothing is visible.
    #[error("some ids are known already, with other content:\n{0}")]
    Conflicts(Problems),
    /// Another admission to the same batch did not end. Try again later.
    #[error("another `run` or `enqueue` has been admitting jobs to batch {0} all the time; try again later")]
    Busy(BatchId),
    /// The ledger's reason. Nothing is visible, unless the answer to the very last step was lost; do the same again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The temporary file could not be read.
    #[error("the temporary file with the checked jobs cannot be read: {0}")]
    Spool(#[from] io::Error),
}
