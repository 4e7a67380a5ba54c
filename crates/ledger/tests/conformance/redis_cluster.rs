//! A Redis cluster of one's own on loopback: three masters, each with a third of the slots, and replicas if they are asked for.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{ConnectionLike, FromRedisValue};
use tempfile::TempDir;

const MASTERS: usize = 3;
const SLOTS: usize = 16384;

/// A node that answers nobody for so long is taken for dead by the others.
const NODE_TIMEOUT_MS: &str = "1000";

/// How long a start, a meeting or a failover may take.
const DEADLINE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(10);

/// Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    pub(crate) nodes: Vec<ClusterNode>,
}

/// One node; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct ClusterNode {
    process: Child,
    pub(crate) port: u16,
    _directory: TempDir,
}

impl RedisCluster {
    /// Starts three masters and waits until they agree on who has which slot.
    pub(crate) fn start() -> Self {
        let nodes: Vec<ClusterNode> = (0..MASTERS).map(|_| ClusterNode::start()).collect();
        for (n, node) in nodes.iter().enumerate() {
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("ADDSLOTS").arg((n * SLOTS / MASTERS..(n + 1) * SLOTS / MASTERS).collect::<Vec<_>>());
            let _: String = node.ask_this(&slots);
            let _: String = node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
        }
        let cluster = Self { nodes };
        for node in cluster.nodes.iter().skip(1) {
            let _: String = cluster.first().ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()]);
        }
        cluster.wait("the nodes know each other", |node| {
            node.ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        });
        cluster
    }

    fn first(&self) -> &ClusterNode {
        self.nodes.first().expect("a node")
    }

    /// The URL of a queue, by way of the first node.
    pub(crate) fn url(&self, queue: &str) -> String {
        format!("redis://127.0.0.1:{}/0?queue={queue}", self.first().port)
    }

    pub(crate) fn wait(&self, what: &str, is: impl Fn(&ClusterNode) -> bool) {
        wait(what, || self.nodes.iter().all(&is));
    }
}

#[expect(clippy::disallowed_methods, reason = "no runtime here")]
pub(crate) fn wait(what: &str, is: impl Fn() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(STEP);
    }
}

impl ClusterNode {
    pub(crate) fn start() -> Self {
        (0..5).find_map(|_| Self::try_start()).expect("redis-server did not start")
    }

    fn try_start() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS])
            .args(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"])
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is needed: apt-get install redis-server");
        let mut node = Self { process, port, _directory: directory };
        for _ in 0..1000 {
            if node.try_ask::<String>(&["PING"]).is_ok() {
                return Some(node);
            }
            if node.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return None;
            }
            std::thread::sleep(STEP);
        }
        None
    }

    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub(crate) fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        self.try_ask_this(&command)
    }

    fn ask_this<T: FromRedisValue>(&self, command: &redis::Cmd) -> T {
        self.try_ask_this(command).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_ask_this<T: FromRedisValue>(&self, command: &redis::Cmd) -> redis::RedisResult<T> {
        let mut connection = redis::Client::open(("127.0.0.1", self.port))?.get_connection()?;
        Ok(redis::from_redis_value(connection.req_command(command)?)?)
    }
}

impl Drop for ClusterNode {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that is free, and so is the one 10,000 above it, where a cluster's nodes speak with each other.
fn free_port() -> u16 {
    let bound = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|free| free.local_addr()).ok();
    (0..1000)
        .find_map(|_| {
            let free = bound(0)?.port();
            bound(free.checked_add(10_000)?).map(|_| free)
        })
        .expect("a free port")
}
