//! Which ledger this is, whose, and what time it is there.

use redis::Cmd;
use veobatch_core::Timestamp;

use super::server::Server;
use crate::ledger::job::{Fence, Nonce};
use crate::transfer::Moved;
use crate::{Identity, Info, LedgerError, LedgerId};

pub(super) async fn now(server: &Server) -> Result<Timestamp, LedgerError> {
    // A key first: a server that has the queue no more refuses that, and would tell its time.
    let mut asked = redis::pipe();
    asked.cmd("EXISTS").arg(server.key("meta")).ignore();
    asked.cmd("TIME");
    let ((seconds, micros),): ((u64, u64),) = server.ask_all(&asked).await?;
    Ok(Timestamp::from_millis(seconds * 1000 + micros / 1000))
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
    parse_id(&id)
}

/// The server's clock, and the ledger's id, made at the first call. It is a copy if it was imported from a ledger that could
/// not be marked, and nobody has agreed yet that it goes on.
pub(super) async fn info(server: &Server) -> Result<Info, LedgerError> {
    let mut asked = redis::pipe();
    asked.cmd("HMGET").arg(server.key("meta")).arg("id").arg("copy");
    asked.cmd("TIME");
    let ((known, copy), (seconds, micros)): ((Option<String>, Option<String>), (u64, u64)) =
        server.ask_all(&asked).await?;
    let now = Timestamp::from_millis(seconds * 1000 + micros / 1000);
    // A server that refuses writes can still tell the time.
    let id = match known {
        Some(known) => parse_id(&known)?,
        None => id(server).await?,
    };
    let identity = Identity { id, grants: None, is_copy: copy.is_some() };
    Ok(Info { now, calendar: now, identity })
}

fn parse_id(id: &str) -> Result<LedgerId, LedgerError> {
    LedgerId::parse(id).ok_or_else(|| LedgerError::Damaged(format!("the ledger's id is {id:?}")))
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
