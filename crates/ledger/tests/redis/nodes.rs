//! What is done to a cluster, and asked of its nodes, where a case is about them.

use crate::redis_cluster::{ClusterNode, RedisCluster, wait};

impl RedisCluster {
    /// Another node, which follows this master.
    pub(crate) fn add_replica_of(&mut self, master: u16) {
        let id: String = self.node(master).ask(&["CLUSTER", "MYID"]);
        let replica = ClusterNode::start();
        let _: String = replica.ask(&["CLUSTER", "MEET", "127.0.0.1", &master.to_string()]);
        // All of them: one that follows before it has met the others is not elected by them.
        let knows = || {
            let nodes: String = replica.ask(&["CLUSTER", "NODES"]);
            nodes.contains(&id) && nodes.matches(" connected").count() == self.nodes.len() + 1
        };
        wait("the replica knows all nodes", || {
            knows() && replica.ask::<String>(&["CLUSTER", "INFO"]).contains("state:ok")
        });
        wait("it may follow it", || replica.try_ask::<String>(&["CLUSTER", "REPLICATE", &id]).is_ok());
        wait("it follows it", || replica.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up"));
        let port = format!(":{}@", replica.port);
        self.nodes.push(replica);
        self.wait("all know the replica", |node| {
            let nodes: String = node.ask(&["CLUSTER", "NODES"]);
            nodes.lines().any(|line| line.contains(&port) && line.contains("slave"))
        });
    }

    pub(crate) fn node(&self, port: u16) -> &ClusterNode {
        self.nodes.iter().find(|node| node.port == port).expect("a node of the cluster")
    }

    pub(crate) fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }

    /// The port of the node that has this queue, as the first node that answers knows it.
    pub(crate) fn owner(&self, queue: &str) -> u16 {
        let slot = self.slot(queue);
        let known: Vec<(usize, usize, redis::Value)> =
            self.nodes.iter().find_map(|node| node.try_ask(&["CLUSTER", "SLOTS"]).ok()).map(ranges).expect("an answer");
        let (_, _, node) = known.into_iter().find(|(from, to, _)| (*from..=*to).contains(&slot)).expect("an owner");
        redis::from_redis_value::<(String, u16, String)>(node).map(|(_, port, _)| port).expect("a node")
    }

    pub(crate) fn slot(&self, queue: &str) -> usize {
        let any =
            self.nodes.iter().find_map(|node| node.try_ask(&["CLUSTER", "KEYSLOT", &format!("{{{queue}}}:")]).ok());
        any.expect("an answer")
    }

    /// Kills the node, which is a member no more.
    pub(crate) fn kill(&mut self, port: u16) {
        self.nodes.retain(|node| node.port != port);
    }
}

/// Ranges of slots with their first node: host, port, id.
fn ranges(told: Vec<Vec<redis::Value>>) -> Vec<(usize, usize, redis::Value)> {
    let range = |parts: Vec<redis::Value>| {
        let mut parts = parts.into_iter();
        let mut number = || redis::from_redis_value(parts.next().expect("a slot")).expect("a number");
        let (from, to) = (number(), number());
        let redis::Value::Array(mut node) = parts.next().expect("a node") else { panic!("a node") };
        node.truncate(3);
        (from, to, redis::Value::Array(node))
    };
    told.into_iter().map(range).collect()
}

/// The URL of a queue, by way of this node.
pub(crate) fn url_by(port: u16, queue: &str) -> String {
    format!("redis://127.0.0.1:{port}/0?queue={queue}")
}
