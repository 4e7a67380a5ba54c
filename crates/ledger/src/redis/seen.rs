//! What was seen of videos, by kind. The tables are added up here, and stored if nobody else added to them meanwhile.

use redis::Cmd;
use veobatch_core::{Durations, VideoKind};

use super::RedisLedger;
use super::admission::texts;
use super::server::Server;
use crate::LedgerError;
use crate::kinds::KINDS;

impl RedisLedger {
    pub(super) async fn add_seen(&self, seen: &[(VideoKind, Durations)]) -> Result<(), LedgerError> {
        for (kind, more) in seen {
            loop {
                let command = Cmd::hget(self.server.key("seen"), kind.as_str());
                let stored: Option<String> = self.server.ask(&command).await?;
                let (was, mut table) = stored.as_deref().map(read).unwrap_or_default();
                table.append(more);
                let args = texts([&KINDS.to_string(), kind.as_str(), was, &table.to_text()]);
                if self.server.run::<u8>(&self.scripts.seen, &args).await? == 1 {
                    break;
                }
            }
        }
        Ok(())
    }
}

pub(super) async fn all(server: &Server) -> Result<Vec<(VideoKind, Durations)>, LedgerError> {
    let fields: Vec<(String, String)> = server.ask(&Cmd::hgetall(server.key("seen"))).await?;
    let table = |(kind, stored): (String, String)| (VideoKind::from_stored(kind), read(&stored).1);
    let mut all: Vec<_> = fields.into_iter().map(table).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(all)
}

/// The text behind the time when it was told of last, and what it says; nothing, if it is damaged: it is a hint.
fn read(stored: &str) -> (&str, Durations) {
    let text = stored.split_once(' ').map_or("", |(_, text)| text);
    (text, Durations::parse(text).unwrap_or_default())
}
