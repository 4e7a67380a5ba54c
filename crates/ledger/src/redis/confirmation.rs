//! Whether a claim would survive its server: before a call is paid for, the claim is on a replica, if the server has
//! one, and on the disk, where the server writes only once a second and lets us wait for that (`WAITAOF`, 7.2).
//!
//! ```text
//! the claims ─▶ a write ─▶ WAIT, WAITAOF ─▶ the claims      one pipeline, and so one connection to one server
//! ```
//!
//! Waiting blocks a connection, so it has one of its own, and that may lead to another server than the one that granted
//! the claim: a replica that was promoted in between, perhaps without it. So each round asks for the claims themselves.
//! They are there *before* the write: in the server's one history the write follows them, and once it has arrived they
//! have. They are there *after* the wait: what was waited for is still the server's history, and no other server's that
//! it was made to follow meanwhile. A claim that is missing was granted by a history that is over, and is no claim.
//!
//! A server that has nothing to wait for (no replica, every write on the disk before its answer) is asked all the same:
//! it may have been put in the place of another, or have lost its file.
//!
//! In a cluster the connection leads to the node that had the queue when it was made. One that has it no more refuses to be
//! asked for the claims, and the next round searches for the node that has it.
//!
//! Whoever comes while others wait shares the next round with those who came too; each is told of its own claim.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redis::{Cmd, RedisError, Value};
use tokio::sync::oneshot;
use veobatch_core::Token;

use super::connection::{Node, meaning};
use super::guarantee;
use super::reply::read;
use super::server::Server;
use crate::LedgerError;

/// How long one round waits for each of the two, in ms: a replica beside its server answers within a few, a disk once a
/// second.
const WAIT_MS: u32 = 3_000;

/// The claims that wait to be confirmed, and where that is done.
#[derive(Debug)]
pub(super) struct Confirmation {
    server: Arc<Server>,
    /// Replicas of the server, when it last granted something.
    replicas: AtomicU32,
    waiting: Mutex<Vec<Waiting>>,
    /// Made when it is first needed; held while a round is under way.
    connected: tokio::sync::Mutex<Option<Connected>>,
}

/// A claim that waits for the next round.
#[derive(Debug)]
struct Waiting {
    token: Token,
    answer: oneshot::Sender<Result<(), LedgerError>>,
}

/// The connection that waits, and whether it waits for the disk too.
#[derive(Debug)]
struct Connected {
    node: Node,
    disk: bool,
}

impl Confirmation {
    pub(super) fn new(server: Arc<Server>) -> Self {
        let (replicas, waiting, connected) = (AtomicU32::new(0), Mutex::default(), tokio::sync::Mutex::default());
        Self { server, replicas, waiting, connected }
    }

    /// A claim was granted by a server with this many replicas.
    pub(super) fn granted(&self, replicas: u32) {
        self.replicas.store(replicas, Ordering::Relaxed);
    }

    /// Returns once the claim of `token` is safe; [`LedgerError::LostLease`] if there is no such claim.
    pub(super) async fn of(&self, token: &Token) -> Result<(), LedgerError> {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.lock().push(Waiting { token: token.clone(), answer });
            let told = tokio::select! {
                biased;
                told = &mut answered => told,
                mut connected = self.connected.lock() => {
                    // Empty, if somebody's round had this one too.
                    let waiting = std::mem::take(&mut *self.lock());
                    if !waiting.is_empty() {
                        self.round(&mut connected, waiting).await;
                    }
                    answered.await
                }
            };
            // An answer that is missing was somebody's who was dropped: ask again.
            if let Ok(answer) = told {
                return answer;
            }
        }
    }

    /// Returns once everything that the server was told is as safe as a claim that is confirmed.
    pub(super) async fn of_all(&self) -> Result<(), LedgerError> {
        let used = Connected::to(self.server.another_connection().await?).await?;
        let told: String = used.node.ask(Cmd::new().arg("INFO").arg("replication")).await?;
        let replicas = told.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
        let has_replica = replicas.is_some_and(|replicas| replicas.trim() != "0");
        // No token is so short: only the waiting matters.
        used.wait(has_replica, &["-"]).await.map(drop)
    }

    async fn round(&self, connected: &mut Option<Connected>, waiting: Vec<Waiting>) {
        let tokens: Vec<&str> = waiting.iter().map(|waiting| waiting.token.as_str()).collect();
        let known = self.known(connected, &tokens).await;
        for (n, Waiting { answer, .. }) in waiting.into_iter().enumerate() {
            let told = match &known {
                Ok(known) if known.get(n) == Some(&true) => Ok(()),
                Ok(_) => Err(LedgerError::LostLease),
                Err(error) => Err(error.clone()),
            };
            // A receiver that is gone wants no answer.
            let _ = answer.send(told);
        }
    }

    /// Which of these claims are safe now. A connection that broke, or leads to a server without one of them, is not
    /// used again.
    async fn known(&self, connected: &mut Option<Connected>, tokens: &[&str]) -> Result<Vec<bool>, LedgerError> {
        let used = match connected.take() {
            Some(used) => used,
            None => Connected::to(self.server.another_connection().await?).await?,
        };
        let known = used.wait(self.replicas.load(Ordering::Relaxed) > 0, tokens).await?;
        if known.iter().all(|known| *known) {
            *connected = Some(used);
        }
        Ok(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    async fn to(node: Node) -> Result<Self, LedgerError> {
        let disk = guarantee::writes_every_second(&node).await? && has(&node, "WAITAOF").await?;
        Ok(Self { node, disk })
    }

    /// Which of these claims were there all the time, while what was written before is waited for. In one go: on a
    /// connection that was made anew in between there would be nothing to wait for.
    async fn wait(&self, replica: bool, tokens: &[&str]) -> Result<Vec<bool>, LedgerError> {
        let mut asked = redis::pipe();
        asked.cmd("HMGET").arg(self.node.key("i")).arg(tokens);
        asked.cmd("SET").arg(self.node.key("confirmed")).arg(1).ignore();
        if replica {
            asked.cmd("WAIT").arg(1).arg(WAIT_MS);
        }
        if self.disk {
            asked.cmd("WAITAOF").arg(1).arg(0).arg(WAIT_MS);
        }
        asked.cmd("HMGET").arg(self.node.key("i")).arg(tokens);
        let answers = self.node.try_ask_all::<Vec<Value>>(&asked).await.map_err(|error| meaning(&error))?;
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);

        let before: Vec<Option<String>> = read(next())?;
        if replica && read::<u32>(next())? == 0 {
            return Err(unreached("no replica of the Redis server has confirmed a claim"));
        }
        // How many disks, and how many of replicas.
        if self.disk && read::<(u32, u32)>(next())?.0 == 0 {
            return Err(unreached("the Redis server has not written a claim to its disk"));
        }
        let after: Vec<Option<String>> = read(next())?;
        Ok(before.iter().zip(&after).map(|(before, after)| before.is_some() && before == after).collect())
    }
}

fn unreached(what: &str) -> LedgerError {
    LedgerError::Unavailable(format!("{what} within {} s", WAIT_MS / 1000))
}

/// Whether the server knows a command.
async fn has(node: &Node, command: &str) -> Result<bool, LedgerError> {
    let asked: Result<Vec<Value>, RedisError> = node.try_ask(Cmd::new().arg("COMMAND").arg("INFO").arg(command)).await;
    match asked {
        Ok(known) => Ok(known.iter().any(|known| !matches!(known, Value::Nil))),
        Err(error) => {
            let meaning = meaning(&error);
            if matches!(meaning, LedgerError::Unavailable(_)) { Err(meaning) } else { Ok(false) }
        }
    }
}
