//! Whether a claim would survive its server: before a call is paid for, the claim is on a replica, if the server has
//! one, and on the disk, where the server writes only once a second and lets us wait for that (`WAITAOF`, 7.2).
//!
//! Waiting blocks a connection, so it has one of its own. A write made there follows, in the server's one history,
//! whatever was granted before: once it has arrived everything before it has. Whoever comes while others wait shares
//! the next round with those who came too.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use redis::{Cmd, RedisError, Value};
use tokio::sync::Mutex;

use super::connection::{Server, key, meaning};
use super::guarantee;
use crate::LedgerError;

/// How long one round waits, in ms: a replica beside its server answers within a few, a disk once a second.
const WAIT_MS: u32 = 3_000;

/// What is to be waited for, and how far that is.
#[derive(Debug)]
pub(super) struct Confirmation {
    url: String,
    /// Replicas of the server, when it last granted something.
    replicas: AtomicU32,
    /// Claims granted.
    due: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How many of those are confirmed.
    reached: u64,
    /// Made when it is first needed.
    server: Option<Connected>,
}

/// The connection that waits, and whether it waits for the disk too.
#[derive(Debug)]
struct Connected {
    server: Server,
    disk: bool,
}

impl Confirmation {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), replicas: AtomicU32::new(0), due: AtomicU64::new(0), waiting: Mutex::default() }
    }

    /// A claim was granted by a server with this many replicas.
    pub(super) fn due(&self, replicas: u32) {
        self.replicas.store(replicas, Ordering::Relaxed);
        self.due.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns once everything that was due when it was called has been reached.
    pub(super) async fn reached(&self) -> Result<(), LedgerError> {
        let mine = self.due.load(Ordering::Relaxed);
        let mut waiting = self.waiting.lock().await;
        if waiting.reached >= mine {
            return Ok(());
        }
        let round = self.due.load(Ordering::Relaxed);
        let connected = match waiting.server.take() {
            Some(connected) => connected,
            None => Connected::to(&self.url).await?,
        };
        let connected = waiting.server.insert(connected);
        if self.replicas.load(Ordering::Relaxed) > 0 || connected.disk {
            connected.wait(self.replicas.load(Ordering::Relaxed) > 0).await?;
        }
        waiting.reached = round;
        Ok(())
    }
}

impl Connected {
    async fn to(url: &str) -> Result<Self, LedgerError> {
        let server = Server::connect(url).await?;
        let disk = guarantee::writes_every_second(&server).await? && has(&server, "WAITAOF").await?;
        Ok(Self { server, disk })
    }

    async fn wait(&self, replica: bool) -> Result<(), LedgerError> {
        if replica && self.round("WAIT", &[1]).await? == 0 {
            return Err(unreached("no replica of the Redis server has confirmed a claim"));
        }
        if self.disk && self.round("WAITAOF", &[1, 0]).await? == 0 {
            return Err(unreached("the Redis server has not written a claim to its disk"));
        }
        Ok(())
    }

    /// How many have what is written now, and everything before it. In one go: a connection that was made anew in
    /// between would have nothing to wait for.
    async fn round(&self, command: &str, counts: &[u32]) -> Result<u32, LedgerError> {
        let mut asked = redis::pipe();
        asked.cmd("SET").arg(key("confirmed")).arg(1).ignore();
        asked.cmd(command).arg(counts).arg(WAIT_MS);
        let (reached,): (Value,) = self.server.ask_all(&asked).await?;
        // `WAITAOF` counts disks and replicas, in this order.
        let first =
            if let Value::Array(all) = reached { all.into_iter().next().unwrap_or(Value::Nil) } else { reached };
        redis::from_redis_value(first).map_err(|error| LedgerError::Damaged(error.to_string()))
    }
}

fn unreached(what: &str) -> LedgerError {
    LedgerError::Unavailable(format!("{what} within {} s", WAIT_MS / 1000))
}

/// Whether the server knows a command.
async fn has(server: &Server, command: &str) -> Result<bool, LedgerError> {
    let asked: Result<Vec<Value>, RedisError> =
        server.try_ask(Cmd::new().arg("COMMAND").arg("INFO").arg(command)).await;
    match asked {
        Ok(known) => Ok(known.iter().any(|known| !matches!(known, Value::Nil))),
        Err(error) => {
            let meaning = meaning(&error);
            if matches!(meaning, LedgerError::Unavailable(_)) { Err(meaning) } else { Ok(false) }
        }
    }
}
