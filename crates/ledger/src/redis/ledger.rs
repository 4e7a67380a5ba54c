//! A ledger on a server: its connection, its scripts, the puts that wait, and how claims are confirmed.

use std::sync::Arc;

use super::address::RedisUrl;
use super::collector::Collector;
use super::confirmation::Confirmation;
use super::scripts::Scripts;
use super::server::Server;
use super::{opening, scripts};
use crate::{LedgerError, Wake};

/// A ledger on a Redis server. Cheap calls, all over one connection that is made anew when it breaks.
#[derive(Debug)]
pub struct RedisLedger {
    pub(super) server: Arc<Server>,
    pub(super) scripts: Scripts,
    pub(super) collector: Collector,
    pub(super) confirmation: Confirmation,
    pub(super) wake: Wake,
}

impl RedisLedger {
    /// The rules of the account as its scripts have them. A test compares them with [`veobatch_core::account`].
    #[doc(hidden)]
    pub fn account_rules() -> String {
        scripts::account_rules()
    }

    /// Connects to the server that has the queue of `url`, and checks its version and the ledger's format. TLS needs rustls'
    /// process-wide provider to be installed.
    pub async fn open(url: &RedisUrl) -> Result<Self, LedgerError> {
        let server = Server::connect(url).await?;
        opening::check_format(&server).await?;
        Ok(Self::on(server))
    }

    pub(super) fn on(server: Server) -> Self {
        let server = Arc::new(server);
        let confirmation = Confirmation::new(server.clone());
        Self { server, scripts: Scripts::new(), collector: Collector::new(), confirmation, wake: Wake::default() }
    }
}
