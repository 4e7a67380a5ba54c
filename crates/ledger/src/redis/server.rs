//! The server that has the queue: the only one there is, or the node of a cluster that owns the slot of the queue's tag.
//!
//! ```text
//! the URL's node ─▶ a key of the queue? ─▶ yes: here
//!                                       └▶ MOVED: ask the node it names
//! ```
//!
//! Everything goes over one connection to that one node: a claim is confirmed by waiting on the connection that wrote, the
//! scripts read the node's own state, and what a pipeline asks belongs together. So the driver's own client of clusters
//! is not used: it sends what has no key (`TIME`, `CONFIG GET`, `WAIT`) to any node.
//!
//! A node that says `MOVED` has done nothing of what it was asked, so the same is asked of the one that it names. A
//! connection that is lost, or a node that says that its cluster is down, is an outage as it is with one server; the next
//! call asks all nodes that were ever named where the queue is now. While the slot is on its way from one node to another
//! every script is refused (`ASK`, because no key has the name of the tag alone) and the queue stands still.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError, Script,
    ServerErrorKind, Value,
};

use super::address::RedisUrl;
use super::connection::{Node, meaning};
use crate::LedgerError;

/// How often in a row a node may name another one. Two that name each other have not heard the same yet.
const HOPS: usize = 5;

/// Where the queue is.
#[derive(Debug)]
pub(super) struct Server {
    given: ConnectionInfo,
    tag: Arc<str>,
    known: Mutex<Known>,
    /// Held while the owner is searched for.
    search: tokio::sync::Mutex<()>,
}

/// What is known of the cluster.
#[derive(Debug, Default)]
struct Known {
    /// The node that has the queue; none since it was lost.
    owner: Option<Arc<Node>>,
    /// All nodes that were named, the likeliest first; none if the server is on its own.
    nodes: Vec<ConnectionAddr>,
}

impl Server {
    /// Finds the queue's server, which must be there.
    pub(super) async fn connect(url: &RedisUrl) -> Result<Self, LedgerError> {
        let client = Client::open(url.server())
            .map_err(|error| LedgerError::Url(format!("the ledger URL cannot be used: {error}")))?;
        let server = Self {
            given: client.get_connection_info().clone(),
            tag: url.tag().into(),
            known: Mutex::default(),
            search: tokio::sync::Mutex::default(),
        };
        server.owner().await.map_err(|error| meaning(&error))?;
        Ok(server)
    }

    /// A key of the queue.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.tag)
    }

    /// One command, which must have a key: what has none goes to [`Server::owner_now`].
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LedgerError> {
        for _ in 0..HOPS {
            let node = self.owner().await.map_err(|error| meaning(&error))?;
            let answer = node.try_ask(command).await;
            if !self.is_elsewhere(&node, &answer) {
                return answer.map_err(|error| meaning(&error));
            }
        }
        Err(meaning(&on_its_way()))
    }

    /// Several commands in one go, of which the first must have a key.
    pub(super) async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, LedgerError> {
        for _ in 0..HOPS {
            let node = self.owner().await.map_err(|error| meaning(&error))?;
            let answer = node.try_ask_all(commands).await;
            if !self.is_elsewhere(&node, &answer) {
                return answer.map_err(|error| meaning(&error));
            }
        }
        Err(meaning(&on_its_way()))
    }

    /// A script, with the tag as its one key.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &Script, args: &[Vec<u8>]) -> Result<T, LedgerError> {
        self.try_run(script, args).await.map_err(|error| meaning(&error))
    }

    /// A script, with the server's own error.
    pub(super) async fn try_run<T: FromRedisValue>(&self, script: &Script, args: &[Vec<u8>]) -> Result<T, RedisError> {
        for _ in 0..HOPS {
            let node = self.owner().await?;
            let answer = node.try_run(script, args).await;
            if !self.is_elsewhere(&node, &answer) {
                return answer;
            }
        }
        Err(on_its_way())
    }

    /// The node that has the queue, asked just now, for questions that have no key: any other would answer them too.
    pub(super) async fn owner_now(&self) -> Result<Arc<Node>, LedgerError> {
        self.ask::<bool>(Cmd::new().arg("EXISTS").arg(&*self.tag)).await?;
        self.owner().await.map_err(|error| meaning(&error))
    }

    /// A connection of its own to the node that has the queue.
    pub(super) async fn another_connection(&self) -> Result<Node, LedgerError> {
        self.find().await.map_err(|error| meaning(&error))
    }

    /// Whether the node has refused because another one has the queue: then that one is asked next.
    fn is_elsewhere<T>(&self, node: &Arc<Node>, answer: &Result<T, RedisError>) -> bool {
        let Err(error) = answer else { return false };
        let named = moved_to(error, node.address());
        let is_down = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ClusterDown));
        let mut known = self.lock();
        // A server on its own comes back under its own address, and its connection is made anew by itself.
        let is_lost = (error.is_unrecoverable_error() || is_down) && !known.nodes.is_empty();
        if (named.is_some() || is_lost) && known.owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, node)) {
            known.owner = None;
        }
        if let Some(named) = &named {
            known.nodes.retain(|other| other != named);
            known.nodes.insert(0, named.clone());
        }
        named.is_some()
    }

    /// The node known last, or the one that is found.
    async fn owner(&self) -> Result<Arc<Node>, RedisError> {
        if let Some(owner) = self.lock().owner.clone() {
            return Ok(owner);
        }
        let _search = self.search.lock().await;
        if let Some(owner) = self.lock().owner.clone() {
            return Ok(owner);
        }
        let owner = Arc::new(self.find().await?);
        let nodes = named_by(&owner).await;
        let mut known = self.lock();
        if !known.nodes.is_empty() {
            tracing::info!(node = %owner.address(), "the queue was found on a node of the cluster again");
        }
        if !nodes.is_empty() {
            known.nodes = nodes;
        }
        known.owner = Some(owner.clone());
        Ok(owner)
    }

    /// Asks all known nodes, one after another, until one leads to the owner.
    async fn find(&self) -> Result<Node, RedisError> {
        let mut from = self.lock().nodes.clone();
        from.push(self.given.addr().clone());
        let mut gone = Vec::new();
        let mut told = on_its_way();
        for address in from {
            match self.find_from(address, &mut gone).await {
                Ok(node) => return Ok(node),
                Err(error) => told = error,
            }
        }
        Err(told)
    }

    /// The owner as the node at `address` knows it. Those that are `gone` are not waited for again.
    async fn find_from(&self, mut address: ConnectionAddr, gone: &mut Vec<ConnectionAddr>) -> Result<Node, RedisError> {
        for _ in 0..HOPS {
            if gone.contains(&address) {
                return Err((ErrorKind::Io, "a node of the cluster cannot be reached", address.to_string()).into());
            }
            let node = Node::connect(self.given.clone().set_addr(address.clone()), &self.tag).await;
            let node = node.inspect_err(|_| gone.push(address.clone()))?;
            match node.try_ask::<bool>(Cmd::new().arg("EXISTS").arg(&*self.tag)).await {
                Ok(_) => return Ok(node),
                Err(error) => address = moved_to(&error, &address).ok_or(error)?,
            }
        }
        Err(on_its_way())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nodes that name each other: an outage.
fn on_its_way() -> RedisError {
    (ErrorKind::Server(ServerErrorKind::TryAgain), "the cluster's nodes do not agree on which one has the queue").into()
}

/// The node that `MOVED` names.
fn moved_to(error: &RedisError, asked: &ConnectionAddr) -> Option<ConnectionAddr> {
    // A pipeline's error holds those of its commands.
    let errors = error.clone().into_server_errors()?;
    let (_, moved) = errors.iter().find(|(_, error)| error.kind() == Some(ServerErrorKind::Moved))?;
    let address = moved.details()?.split_ascii_whitespace().nth(1)?;
    let (host, port) = address.rsplit_once(':')?;
    address_of(host, port.parse().ok()?, asked)
}

/// Every node of the cluster, replicas included, as one of them knows it. None if there is no cluster, or it does not tell.
async fn named_by(node: &Node) -> Vec<ConnectionAddr> {
    let Ok(Value::Array(slots)) = node.try_ask::<Value>(Cmd::new().arg("CLUSTER").arg("SLOTS")).await else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for range in slots {
        // First and last slot, then the nodes: host, port, and more.
        let Value::Array(parts) = range else { continue };
        for part in parts.into_iter().skip(2) {
            let Value::Array(told) = part else { continue };
            let mut told = told.into_iter();
            let host: Option<String> = told.next().and_then(|host| redis::from_redis_value(host).ok());
            let port: Option<u16> = told.next().and_then(|port| redis::from_redis_value(port).ok());
            let address = port.and_then(|port| address_of(&host.unwrap_or_default(), port, node.address()));
            all.extend(address.filter(|address| !all.contains(address)));
        }
    }
    all
}

/// The address of a node that the one at `asked` named. One that does not know its own host leaves it out, or says `?`.
fn address_of(host: &str, port: u16, asked: &ConnectionAddr) -> Option<ConnectionAddr> {
    let host_or = |same: &str| if matches!(host, "" | "?") { same.to_owned() } else { host.to_owned() };
    match asked {
        ConnectionAddr::Tcp(same, _) => Some(ConnectionAddr::Tcp(host_or(same), port)),
        ConnectionAddr::TcpTls { host: same, insecure, tls_params, .. } => Some(ConnectionAddr::TcpTls {
            host: host_or(same),
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        }),
        // No such address can be given, and so none is asked.
        ConnectionAddr::Unix(_) | _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_outage() {
        let error = Server::connect(&RedisUrl::parse("redis://127.0.0.1:1/").unwrap()).await.unwrap_err();
        assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
    }

    #[test]
    fn a_node_without_a_host_of_its_own_is_where_the_other_one_is() {
        let asked = ConnectionAddr::Tcp("redis.example".to_owned(), 7000);
        assert_eq!(address_of("", 7001, &asked).unwrap().to_string(), "redis.example:7001");
        assert_eq!(address_of("10.0.0.7", 7001, &asked).unwrap().to_string(), "10.0.0.7:7001");
    }
}
