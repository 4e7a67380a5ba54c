//! What all users of a ledger share: its clock, its format, whom it belongs to, the flags and terms of batches.

use redis::{Cmd, Script};
use serde_json::json;
use veobatch_core::{BatchId, Timestamp};

use super::admission::texts;
use super::server::Server;
use super::{RedisLedger, migration};
use crate::job::{Fence, Nonce};
use crate::transfer::Moved;
use crate::{BatchFlag, BatchUpdate, LedgerError, LedgerId};

/// `RPOP` with a count, `ZADD` and others as the scripts use them.
const OLDEST: (u32, u32) = (6, 2);

pub(super) async fn now(server: &Server) -> Result<Timestamp, LedgerError> {
    // A key first: a server that has the queue no more refuses that, and would tell its time.
    let mut asked = redis::pipe();
    asked.cmd("EXISTS").arg(server.key("meta")).ignore();
    asked.cmd("TIME");
    let ((seconds, micros),): ((u64, u64),) = server.ask_all(&asked).await?;
    Ok(Timestamp::from_millis(seconds * 1000 + micros / 1000))
}

/// Checks the server's version and the ledger's format, which is written if the ledger is new, and becomes the present one
/// if it is older.
pub(super) async fn check_format(server: &Server) -> Result<(), LedgerError> {
    let info: String = server.owner_now().await?.ask(Cmd::new().arg("INFO").arg("server")).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("").trim();
    if parse_version(version).is_some_and(|version| version < OLDEST) {
        return Err(LedgerError::Damaged(format!("the Redis server is {version}; 6.2 or newer is needed")));
    }
    // A script that does nothing but look at the format, as every other does first.
    let look =
        Script::new(concat!(include_str!("lua/lib/prelude.lua"), include_str!("lua/lib/format.lua"), "return 1"));
    match server.run::<u8>(&look, &[]).await {
        Err(LedgerError::Format { found, .. }) => migration::migrate(server, &found).await,
        result => result.map(drop),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The ledger's salt, made at the first call.
pub(super) async fn salt(server: &Server) -> Result<Vec<u8>, LedgerError> {
    let fresh = format!("{}{:016x}", Fence::random(), Nonce::random().0);
    let mut asked = redis::pipe();
    asked.cmd("HSETNX").arg(server.key("meta")).arg("salt").arg(fresh).ignore();
    asked.cmd("HGET").arg(server.key("meta")).arg("salt");
    let (salt,): (Vec<u8>,) = server.ask_all(&asked).await?;
    Ok(salt)
}

/// Binds the ledger, or checks that it is bound to the same.
pub(super) async fn bind(server: &Server, api_base: &str, fingerprint: &str) -> Result<(), LedgerError> {
    let mut asked = redis::pipe();
    asked.cmd("HSETNX").arg(server.key("meta")).arg("bound").arg(format!("{api_base}\n{fingerprint}")).ignore();
    asked.cmd("HGET").arg(server.key("meta")).arg("bound");
    let (bound,): (String,) = server.ask_all(&asked).await?;
    // Asked afterwards: an import that begins later finds the ledger bound, and is refused.
    check_usable(server).await?;
    same(&bound, api_base, fingerprint)
}

/// The ledger's id, made at the first call.
pub(super) async fn id(server: &Server) -> Result<LedgerId, LedgerError> {
    let mut asked = redis::pipe();
    asked.cmd("HSETNX").arg(server.key("meta")).arg("id").arg(LedgerId::random()?.as_str()).ignore();
    asked.cmd("HGET").arg(server.key("meta")).arg("id");
    let (id,): (String,) = server.ask_all(&asked).await?;
    LedgerId::parse(&id).ok_or_else(|| LedgerError::Damaged(format!("the ledger's id is {id:?}")))
}

/// Whether it was imported from a ledger that could not be marked, and nobody has agreed yet that it goes on.
pub(super) async fn is_copy(server: &Server) -> Result<bool, LedgerError> {
    server.ask(Cmd::new().arg("HEXISTS").arg(server.key("meta")).arg("copy")).await
}

/// A person agreed that it goes on.
pub(super) async fn accept(server: &Server) -> Result<(), LedgerError> {
    server.ask(Cmd::new().arg("HDEL").arg(server.key("meta")).arg("copy")).await
}

/// An error if it was moved and changes no more, or jobs are being imported.
async fn check_usable(server: &Server) -> Result<(), LedgerError> {
    let mut asked = Cmd::new();
    asked.arg("HMGET").arg(server.key("meta")).arg("moved").arg("importing");
    let (moved, importing): (Option<String>, Option<String>) = server.ask(&asked).await?;
    if importing.is_some() {
        return Err(LedgerError::Importing);
    }
    moved.map_or(Ok(()), |stored| Err(Moved::parse(&stored).error()))
}

/// Whether the ledger is bound to these; an error if it is bound to others.
pub(super) async fn is_bound(server: &Server, api_base: &str, fingerprint: &str) -> Result<bool, LedgerError> {
    check_usable(server).await?;
    let bound: Option<String> = server.ask(Cmd::new().arg("HGET").arg(server.key("meta")).arg("bound")).await?;
    bound.map_or(Ok(false), |bound| same(&bound, api_base, fingerprint).map(|()| true))
}

fn same(bound: &str, api_base: &str, fingerprint: &str) -> Result<(), LedgerError> {
    match bound.split_once('\n') {
        Some((base, _)) if base != api_base => Err(LedgerError::Bound { what: format!("API base {base}") }),
        Some((_, print)) if print == fingerprint => Ok(()),
        Some(_) | None => Err(LedgerError::Bound { what: "another API key".to_owned() }),
    }
}

impl RedisLedger {
    pub(super) async fn set_flag(&self, batch: &BatchId, flag: &BatchFlag) -> Result<(), LedgerError> {
        let (name, on, why) = match flag {
            BatchFlag::Paused(on) => ("paused", *on, ""),
            BatchFlag::PausedBecause(why) => ("paused", true, why.as_str()),
            BatchFlag::Cancelling(on) => ("cancelling", *on, ""),
        };
        let args = texts([&batch.folded(), name, if on { "1" } else { "0" }, why]);
        match self.server.run::<u8>(&self.scripts.flag, &args).await? {
            0 => Err(LedgerError::UnknownBatch(batch.clone())),
            _ => Ok(()),
        }
    }

    pub(super) async fn arrange_batch(&self, batch: &BatchId, new: &BatchUpdate) -> Result<(), LedgerError> {
        let mut terms = serde_json::Map::new();
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                terms.insert(name.to_owned(), json!(value));
            }
        };
        set("weight", new.weight.map(|weight| weight.to_string()));
        set("priority", new.priority.map(|priority| priority.to_string()));
        set(
            "budget",
            new.budget.map(|budget| budget.map_or_else(String::new, |credits| credits.as_millis().to_string())),
        );
        set("schedule", new.schedule.clone());
        set("from", new.range.map(|range| range.from.as_millis().to_string()));
        set("until", new.range.map(|range| range.until.as_millis().to_string()));
        set("only_if", new.only_if.clone());
        match self.server.run::<u8>(&self.scripts.arrange, &texts([&batch.folded(), &json!(terms).to_string()])).await?
        {
            0 => Err(LedgerError::UnknownBatch(batch.clone())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(parse_version("6.0.16").unwrap() < OLDEST);
        assert!(parse_version("7.0.15").unwrap() > OLDEST && parse_version("10.0").unwrap() > OLDEST);
        assert_eq!(parse_version("?"), None);
    }
}
