//! What the server's settings promise about paid work, in words.

use std::collections::HashMap;

use redis::{Cmd, ErrorKind, RedisError};

use super::connection::{Node, meaning};
use crate::{Guarantee, LedgerError};

/// Settings as far as the server lets us ask for them.
#[derive(Debug, Default)]
struct Durability {
    append_only: Option<bool>,
    fsync: Option<String>,
    eviction: Option<String>,
}

pub(super) async fn of(node: &Node) -> Result<Guarantee, LedgerError> {
    let fsync = setting(node, "appendfsync").await?;
    let append_only = match setting(node, "appendonly").await? {
        Some(value) => Some(value == "yes"),
        None => info(node, "persistence", "aof_enabled").await?.map(|value| value == "1"),
    };
    let eviction = match setting(node, "maxmemory-policy").await? {
        Some(value) => Some(value),
        None => info(node, "memory", "maxmemory_policy").await?,
    };
    Ok(Durability { append_only, fsync, eviction }.words())
}

/// Whether the server writes to its disk only once a second.
pub(super) async fn writes_every_second(node: &Node) -> Result<bool, LedgerError> {
    Ok(setting(node, "appendfsync").await?.as_deref() == Some("everysec"))
}

impl Durability {
    fn words(&self) -> Guarantee {
        let mut said = Guarantee { may_go_back: true, ..Guarantee::default() };
        match self.append_only {
            Some(true) => {}
            Some(false) => said.dangers.push(
                "the Redis server keeps no append-only file: a restart forgets what was paid for (set `appendonly yes`)"
                    .to_owned(),
            ),
            None => said.warnings.push("the Redis server does not say whether it keeps an append-only file".to_owned()),
        }
        match self.eviction.as_deref() {
            Some("noeviction") => {}
            Some(policy) => said.dangers.push(format!(
                "the Redis server may throw jobs away when memory is short: maxmemory-policy is {policy}, and must be noeviction"
            )),
            None => said.warnings.push("the Redis server does not say whether it may evict keys".to_owned()),
        }
        match self.fsync.as_deref() {
            Some("always") => {}
            Some(_) if self.append_only == Some(false) => {}
            Some("everysec") => said.warnings.push(
                "a crash of the Redis server's machine may lose the last second (appendfsync is everysec, not always)"
                    .to_owned(),
            ),
            Some(other) => said.warnings.push(format!(
                "a crash of the Redis server's machine may lose the last half a minute (appendfsync is {other}, not always)"
            )),
            None => said.warnings.push(
                "the Redis server does not let us ask how it writes to its disk: a crash may lose the last changes"
                    .to_owned(),
            ),
        }
        said
    }
}

/// A setting, if the server tells; managed ones forbid or rename `CONFIG`.
async fn setting(node: &Node, name: &str) -> Result<Option<String>, LedgerError> {
    let answer = node.try_ask::<HashMap<String, String>>(Cmd::new().arg("CONFIG").arg("GET").arg(name)).await;
    Ok(unless_forbidden(answer)?.and_then(|mut all| all.remove(name)))
}

async fn info(node: &Node, section: &str, name: &str) -> Result<Option<String>, LedgerError> {
    let answer = node.try_ask::<String>(Cmd::new().arg("INFO").arg(section)).await;
    let line = |text: String| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    };
    Ok(unless_forbidden(answer)?.and_then(line))
}

fn unless_forbidden<T>(answer: Result<T, RedisError>) -> Result<Option<T>, LedgerError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match (error.kind(), meaning(&error)) {
            (ErrorKind::Server(_) | ErrorKind::Extension, LedgerError::Damaged(_)) => Ok(None),
            (_, meaning) => Err(meaning),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(append_only: Option<bool>, fsync: Option<&str>, eviction: Option<&str>) -> (usize, usize) {
        let settings = Durability { append_only, fsync: fsync.map(Into::into), eviction: eviction.map(Into::into) };
        let Guarantee { dangers, warnings, .. } = settings.words();
        (dangers.len(), warnings.len())
    }

    #[test]
    fn only_a_server_that_writes_at_once_and_forgets_nothing_is_beyond_doubt() {
        assert_eq!(said(Some(true), Some("always"), Some("noeviction")), (0, 0));
        assert_eq!(said(Some(true), Some("everysec"), Some("noeviction")), (0, 1));
        assert_eq!(said(Some(false), Some("everysec"), Some("allkeys-lru")), (2, 0));
        assert_eq!(said(Some(true), None, Some("noeviction")), (0, 1));
        assert_eq!(said(None, None, None), (0, 3));
    }
}
