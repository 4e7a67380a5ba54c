//! From a URL to one end of an export or import.

use super::Endpoint;
use crate::redis::RedisLedger;
use crate::sqlite::Transfer;
use crate::{LedgerError, LedgerUrl};

/// Opens a ledger as one end of an export or import. A file that is not there is made: whoever wants an existing one checks
/// first.
pub(super) async fn end_at(url: &LedgerUrl) -> Result<Box<dyn Endpoint>, LedgerError> {
    Ok(match url {
        LedgerUrl::Sqlite(path) => Box::new(Transfer::open(path).await?),
        LedgerUrl::Redis(url) => Box::new(RedisLedger::connect(url).await?),
    })
}

/// Where a ledger is, as anybody on this machine finds it: without a password.
pub(super) fn shown(url: &LedgerUrl) -> String {
    match url {
        LedgerUrl::Sqlite(path) => LedgerUrl::Sqlite(path.canonicalize().unwrap_or_else(|_| path.clone())).shown(),
        LedgerUrl::Redis(_) => url.shown(),
    }
}
