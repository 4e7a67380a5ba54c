//! Hints, by kind and name.

use redis::Cmd;
use veobatch_core::Timestamp;

use super::ledger::RedisLedger;
use super::scripts::texts;
use super::server::Server;
use crate::LedgerError;
use crate::ledger::hints::{Hint, HintKind};

impl RedisLedger {
    /// Replaces a hint that still says `was`.
    pub(super) async fn replace_hint(
        &self,
        kind: HintKind,
        name: &str,
        was: Option<&str>,
        now: Option<&str>,
    ) -> Result<bool, LedgerError> {
        // What is there is marked: an empty text is one too.
        let [was, now] = [was, now].map(|text| text.map_or_else(String::new, |text| format!("={text}")));
        Ok(self.server.run::<u8>(&self.scripts.hint, &texts([kind.as_str(), name, &was, &now])).await? == 1)
    }
}

pub(super) async fn all(server: &Server, kind: HintKind) -> Result<Vec<Hint>, LedgerError> {
    let fields: Vec<(String, String)> = server.ask(&Cmd::hgetall(server.key(kind.as_str()))).await?;
    Ok(read_all(fields))
}

/// Reads names, and when each was put and what it says. What cannot be read is left out: it is a hint.
pub(super) fn read_all(fields: Vec<(String, String)>) -> Vec<Hint> {
    let hint = |(name, stored): (String, String)| {
        let (at, text) = stored.split_once(' ')?;
        Some(Hint { name, at: Timestamp::from_millis(at.parse().ok()?), text: text.to_owned() })
    };
    let mut all: Vec<Hint> = fields.into_iter().filter_map(hint).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
