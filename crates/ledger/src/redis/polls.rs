//! How many jobs all machines together may follow in a second.

use super::RedisLedger;
use super::admission::texts;
use crate::LedgerError;

impl RedisLedger {
    pub(super) async fn set_poll_limit(&self, per_second: Option<u32>) -> Result<u32, LedgerError> {
        let rate = per_second.map(|rate| rate.max(1).to_string()).unwrap_or_default();
        self.server.run(&self.scripts.polls, &texts([&rate])).await
    }
}
