//! A server as one end of an export or import.
//!
//! Pages are no snapshot, so an export reads the stamp first, every page only if the ledger still has it, and once more at the
//! end: it is as of one moment, or it is refused. So a worker that has something to do must be stopped for it.
//!
//! The target of an import has `importing` in `meta`, at which every other script stops (`format.lua`); a source that was
//! moved has `moved`, at which every script stops that changes something (`moved.lua`).

mod export;
mod import;
mod row;

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{Cmd, Script};
use tokio::sync::mpsc;

use super::address::RedisUrl;
use super::ledger::RedisLedger;
use super::scripts::texts;
use super::server::Server;
use super::{identity, opening};
use crate::transfer::{
    Endpoint, ExportEntry, Import, Moved, Sent, Standing, begun_elsewhere, changed, not_empty, out_of_step,
};
use crate::{LedgerError, LedgerId};

/// What an end of a transfer runs: none of these stops at a ledger that is being imported to.
macro_rules! transfer {
    ($name:ident: $($file:literal),+) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!("local K = {}\n", include_str!("lua/lib/prelude.lua"), $(include_str!($file)),+)));
    };
}

transfer!(PAGE: "lua/lib/queue.lua", "lua/lib/archive.lua", "lua/ops/transfer/page.lua");
transfer!(MARK: "lua/lib/format.lua", "lua/ops/transfer/mark.lua");
transfer!(GIVE_UP: "lua/lib/format.lua", "lua/ops/transfer/give_up.lua");
transfer!(BEGIN: "lua/ops/transfer/begin.lua");
transfer!(CALL_OFF: "lua/ops/transfer/call_off.lua");
transfer!(ADD: "lua/lib/names.lua", "lua/lib/queue.lua", "lua/lib/archive.lua", "lua/ops/transfer/add.lua");
transfer!(FINISH: "lua/lib/recovery.lua", "lua/lib/stamp.lua", "lua/ops/transfer/finish.lua");

impl RedisLedger {
    /// As [`RedisLedger::open`], also where jobs are being imported.
    pub(crate) async fn connect(url: &RedisUrl) -> Result<Self, LedgerError> {
        let server = Server::connect(url).await?;
        match opening::check_format(&server).await {
            Ok(()) | Err(LedgerError::Importing) => Ok(Self::on(server)),
            Err(error) => Err(error),
        }
    }

    async fn meta(&self, field: &str) -> Result<Option<String>, LedgerError> {
        self.server.ask(Cmd::new().arg("HGET").arg(self.server.key("meta")).arg(field)).await
    }
}

#[async_trait]
impl Endpoint for RedisLedger {
    async fn standing(&self) -> Result<Standing, LedgerError> {
        let (id, moved, import): (Option<String>, Option<String>, Option<String>) = self
            .server
            .ask(Cmd::new().arg("HMGET").arg(self.server.key("meta")).arg("id").arg("moved").arg("import"))
            .await?;
        Ok(Standing {
            id: id.as_deref().and_then(LedgerId::parse),
            moved: moved.as_deref().map(Moved::parse),
            import: import.map(|text| serde_json::from_str(&text)).transpose()?,
        })
    }

    async fn export(&self, source: &str, lines: mpsc::Sender<Sent>) -> Result<(), LedgerError> {
        opening::check_format(&self.server).await?;
        export::all(self, source, &lines).await
    }

    async fn begin(&self, import: &Import) -> Result<u64, LedgerError> {
        let begun = Import { begun: identity::now(&self.server).await?, ..import.clone() };
        let copy = if import.is_copy { "1" } else { "" };
        let args = texts([&import.digest, &serde_json::to_string(&begun)?, copy]);
        let (word, added): (String, u64) = self.server.run(&BEGIN, &args).await?;
        match word.as_str() {
            "begun" => Ok(added),
            "elsewhere" => Err(begun_elsewhere()),
            _ => Err(not_empty()),
        }
    }

    async fn add(&self, import: &Import, from: u64, entries: &[ExportEntry]) -> Result<(), LedgerError> {
        let known = self.standing().await?.import.filter(|known| known.id == import.id).ok_or_else(out_of_step)?;
        let to = from + entries.len() as u64;
        let mut args = texts([&import.id, &from.to_string(), &to.to_string()]);
        for entry in entries {
            import::record(&mut args, entry, known.shift());
        }
        match self.server.run::<String>(&ADD, &args).await?.as_str() {
            "ok" => Ok(()),
            _ => Err(out_of_step()),
        }
    }

    async fn finish(&self, import: &Import) -> Result<(), LedgerError> {
        let done = serde_json::to_string(&Import { done: true, ..import.clone() })?;
        let grants = import.grants.map(|grants| grants.to_string()).unwrap_or_default();
        let args = texts([&import.id, &done, import.ledger.as_str(), &grants]);
        match self.server.run::<u8>(&FINISH, &args).await? {
            1 => Ok(()),
            _ => Err(out_of_step()),
        }
    }

    async fn call_off(&self, import: &Import) -> Result<(), LedgerError> {
        self.server.run::<u8>(&CALL_OFF, &texts([&import.id])).await.map(drop)
    }

    async fn mark(&self, stamp: &str, moved: &Moved, dry: bool) -> Result<(), LedgerError> {
        let args = texts([stamp, &moved.import, &serde_json::to_string(moved)?, if dry { "1" } else { "" }]);
        let answer: Vec<String> = self.server.run(&MARK, &args).await?;
        match answer.first().map(String::as_str) {
            Some("ok") if dry => Ok(()),
            Some("ok") => self.confirmation.of_all().await,
            Some("leased") => Err(LedgerError::Transfer(
                "workers hold jobs of it: stop them all, wait for them to end, and export it again".to_owned(),
            )),
            Some("moved") => {
                let before = answer.get(1).map(|stored| Moved::parse(stored));
                crate::transfer::refuse_moved(before.as_ref(), moved)
            }
            _ => Err(changed()),
        }
    }

    async fn give_up(&self, import: &Import) -> Result<(), LedgerError> {
        let standing = self.standing().await?;
        let found = standing.moved.filter(|found| found.import == import.id);
        let given_up = found.map(|found| Moved { given_up: true, ..found });
        let args = texts([&import.id, &serde_json::to_string(&given_up)?]);
        if given_up.is_none() || self.server.run::<u8>(&GIVE_UP, &args).await? == 0 {
            return Err(LedgerError::Transfer("another import has taken over meanwhile".to_owned()));
        }
        self.confirmation.of_all().await
    }
}
