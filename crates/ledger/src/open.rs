//! From a URL to a ledger.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{LedgerError, RedisLedger, RedisUrl, SharedLedger, SqliteLedger};

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerUrl {
    /// `sqlite:PATH`.
    Sqlite(PathBuf),
    /// `redis://…`, or `rediss://…` for TLS.
    Redis(RedisUrl),
}

impl LedgerUrl {
    /// Reads a `--ledger` URL.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(LedgerError::Url("a SQLite ledger needs a path: sqlite:veobatch.db".to_owned()));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("redis://") || text.starts_with("rediss://") {
            return RedisUrl::parse(text).map(Self::Redis);
        }
        Err(LedgerError::Url("a ledger is sqlite:PATH, redis://HOST… or rediss://HOST…".to_owned()))
    }

    /// The URL without its password, for people and logs.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Redis(url) => url::Url::parse(url.given()).map_or_else(
                |_| "redis".to_owned(),
                |mut url| {
                    // Fails only for URLs that cannot have a password.
                    let _ = url.set_password(None);
                    url.to_string()
                },
            ),
        }
    }
}

/// Opens the ledger, makes it if it is new, and checks its format.
pub async fn open(url: &LedgerUrl) -> Result<SharedLedger, LedgerError> {
    Ok(match url {
        LedgerUrl::Sqlite(path) => Arc::new(SqliteLedger::open(path).await?),
        LedgerUrl::Redis(url) => Arc::new(RedisLedger::open(url).await?),
    })
}
