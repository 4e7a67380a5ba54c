//! The callback of the latest submission that was heard.

use redis::Cmd;
use veobatch_core::{Heard, Timestamp};

use super::RedisLedger;
use super::admission::texts;
use super::server::Server;
use crate::LedgerError;

impl RedisLedger {
    pub(super) async fn remember_heard(&self, submitted: Timestamp) -> Result<(), LedgerError> {
        let args = texts([&submitted.as_millis().to_string()]);
        self.server.run::<u8>(&self.scripts.heard, &args).await.map(drop)
    }
}

pub(super) async fn last(server: &Server) -> Result<Option<Heard>, LedgerError> {
    let (submitted, at): (Option<u64>, Option<u64>) =
        server.ask(Cmd::new().arg("HMGET").arg(server.key("heard")).arg("submitted").arg("at")).await?;
    let both = submitted.zip(at);
    Ok(both
        .map(|(submitted, at)| Heard { submitted: Timestamp::from_millis(submitted), at: Timestamp::from_millis(at) }))
}
