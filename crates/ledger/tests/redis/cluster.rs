//! Queues on the nodes of a cluster, and nodes that change under them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;
use veobatch_core::{State, StateName, Task, TaskId, Token};
use veobatch_ledger::{
    AccountUpdate, Admission, Blocked, LedgerError, LedgerUrl, Nonce, Put, SharedLedger, Stored, SubmissionClaim, open,
};

use crate::nodes::url_by;
use crate::redis_cluster::RedisCluster;
use crate::{MINUTE, jobs, night};

const JOBS: usize = 400;

async fn cluster() -> RedisCluster {
    tokio::task::spawn_blocking(RedisCluster::start).await.unwrap()
}

async fn open_url(url: &str) -> SharedLedger {
    open(&LedgerUrl::parse(url).unwrap()).await.unwrap()
}

async fn admit(ledger: &SharedLedger) {
    let rate = Some((1_000_000, Duration::from_secs(1)));
    ledger
        .update_account(&AccountUpdate { rate, max_in_flight: Some(1_000_000), ..AccountUpdate::default() })
        .await
        .unwrap();
    let admission = Admission::random();
    ledger.stage(&admission, &night(), &jobs("a", JOBS)).await.unwrap();
    ledger.publish(&admission, &[night()], None).await.unwrap();
}

/// Two queues of different nodes.
fn two_queues(cluster: &RedisCluster) -> [String; 2] {
    let names = (0..20).map(|n| format!("queue-{n}"));
    let mut owned = names.map(|name| (cluster.owner(&name), name));
    let (first, one) = owned.next().unwrap();
    let (_, other) = owned.find(|(owner, _)| *owner != first).unwrap();
    [one, other]
}

#[tokio::test]
async fn two_queues_are_on_two_nodes_and_know_nothing_of_each_other() {
    let cluster = cluster().await;
    let queues = two_queues(&cluster);
    let owners = queues.each_ref().map(|queue| cluster.owner(queue));
    // Both by way of every node, whoever has them.
    for port in cluster.ports() {
        for queue in &queues {
            open_url(&url_by(port, queue)).await;
        }
    }
    let [one, other] = [&queues[0], &queues[1]].map(|queue| cluster.url(queue));
    let (one, other) = (open_url(&one).await, open_url(&other).await);
    admit(&one).await;
    assert_eq!(other.batches().await.unwrap(), []);
    admit(&other).await;
    let token = Token::from_bits(7);
    for ledger in [&one, &other] {
        assert!(matches!(ledger.claim_submission(&token, None, MINUTE, MINUTE).await, Ok(SubmissionClaim::Granted(_))));
        ledger.confirm(&token).await.unwrap();
    }

    for port in cluster.ports() {
        let keys: Vec<String> = cluster.node(port).ask(&["KEYS", "*"]);
        for (queue, owner) in queues.iter().zip(owners) {
            let is_here = keys.iter().any(|key| key.starts_with(&format!("{{{queue}}}:")));
            assert_eq!(is_here, owner == port, "{queue} on {port}");
        }
    }
    // What is promised is what the queue's own node promises.
    let _: String = cluster.node(owners[1]).ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(one.start_worker().await.unwrap().guarantee.dangers.len(), 0);
    assert_eq!(other.start_worker().await.unwrap().guarantee.dangers.len(), 1);
}

/// Workers that claim and are told of acceptance, until every job was granted. Says what went wrong on the way.
async fn submit_all(ledger: SharedLedger) -> BTreeSet<String> {
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let ledger = ledger.clone();
        workers.spawn(async move {
            let (mut outages, mut granted) = (0, Vec::new());
            loop {
                let token = Token::from_bits(u128::from(Nonce::random().0));
                let claim = again(&mut outages, || ledger.claim_submission(&token, None, MINUTE, MINUTE)).await;
                match claim.unwrap() {
                    SubmissionClaim::Granted(claimed) => {
                        granted.push(claimed.stored.key.job.to_string());
                        let put = generating(&claimed.stored);
                        again(&mut outages, || ledger.put(&put)).await.unwrap();
                    }
                    SubmissionClaim::Wait { why: Blocked::Work, .. } => return granted,
                    SubmissionClaim::Wait { .. } => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        });
    }
    let all: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), JOBS, "each once");
    all.into_iter().collect()
}

/// Waits an outage out.
async fn again<T, A>(outages: &mut u32, ask: impl Fn() -> A) -> Result<T, LedgerError>
where
    A: Future<Output = Result<T, LedgerError>>,
{
    loop {
        match ask().await {
            Err(LedgerError::Unavailable(_)) => {
                *outages += 1;
                assert!(*outages < 4000, "the queue was not found again");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            told => return told,
        }
    }
}

fn generating(stored: &Stored) -> Put {
    let id = TaskId::parse(&format!("task-{}", stored.job.seq)).unwrap();
    let task = Task { id: id.clone(), attempt: 1, at: stored.now };
    let (polls, misses, due) = (0, 0, stored.now);
    let state = State::Generating { task, polls, misses, due, called: false };
    let record = veobatch_core::Record { state, ..stored.record.clone() };
    let (job, version, nonce) = (stored.job, stored.version, Nonce::random());
    let (body, facets) = (record.body(), record.facets());
    Put { job, version, fence: None, nonce, body, facets, task: Some(id), settle: None, spec: None }
}

/// The journals have spoken: nobody waits for them here.
async fn recovered(cluster: &RedisCluster, queue: &str, owner: u16) {
    let key = format!("{{{queue}}}:meta");
    let run: String = cluster.node(owner).ask(&["INFO", "server"]);
    let run = run.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap().trim().to_owned();
    while !cluster.node(owner).ask::<Option<String>>(&["HGET", &key, "server"]).is_some_and(|it| it.starts_with(&run)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let _: i64 = cluster.node(owner).ask(&["HSET", &key, "recovers", "1"]);
}

async fn count(ledger: &SharedLedger, state: StateName) -> u64 {
    ledger.batches().await.unwrap().iter().map(|batch| batch.count(state)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_whose_slot_moves_while_claims_go_on_stands_still_and_goes_on() {
    let cluster = cluster().await;
    let [queue, other] = two_queues(&cluster);
    let (from, to) = (cluster.owner(&queue), cluster.owner(&other));
    let ledger = open_url(&url_by(from, &queue)).await;
    admit(&ledger).await;
    let mut working = JoinSet::new();
    working.spawn(submit_all(ledger.clone()));
    while count(&ledger, StateName::Generating).await < 20 {
        tokio::task::yield_now().await;
    }

    let slot = cluster.slot(&queue).to_string();
    let id = |port: u16| cluster.node(port).ask::<String>(&["CLUSTER", "MYID"]);
    let _: String = cluster.node(to).ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
    let _: String = cluster.node(from).ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    let before: i64 = cluster.node(from).ask(&["HGET", &format!("{{{queue}}}:b1"), "c:queued"]);
    assert!(before > 0, "there is work left");
    loop {
        let keys: Vec<String> = cluster.node(from).ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "3"]);
        if keys.is_empty() {
            break;
        }
        let port = to.to_string();
        let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        words.extend(keys.iter().map(String::as_str));
        let _: String = cluster.node(from).ask(&words);
    }
    for port in [to, from] {
        let _: String = cluster.node(port).ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
    }
    let after: i64 = cluster.node(to).ask(&["HGET", &format!("{{{queue}}}:b1"), "c:queued"]);
    assert_eq!(after, before, "nothing was half done on the way");

    recovered(&cluster, &queue, to).await;
    assert_eq!(working.join_next().await.unwrap().unwrap().len(), JOBS);
    assert_eq!(count(&ledger, StateName::Generating).await, JOBS as u64);
    let token = Token::from_bits(1);
    assert!(matches!(ledger.confirm(&token).await, Err(LedgerError::LostLease)), "asked of the new node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_followed_by_its_replica_and_what_was_confirmed_is_there() {
    let mut cluster = cluster().await;
    let [queue, _] = two_queues(&cluster);
    let master = cluster.owner(&queue);
    cluster.add_replica_of(master);
    // By way of the node that is going to die: the others must be known by then.
    let ledger = open_url(&url_by(master, &queue)).await;
    admit(&ledger).await;
    let token = Token::from_bits(1);
    assert!(matches!(ledger.claim_submission(&token, None, MINUTE, MINUTE).await, Ok(SubmissionClaim::Granted(_))));
    ledger.confirm(&token).await.unwrap();
    cluster.kill(master);

    // Asked again, it is the same grant, and now of a node without replicas: nothing is left to wait for.
    let mut outages = 0;
    let claim = again(&mut outages, || ledger.claim_submission(&token, None, MINUTE, MINUTE)).await;
    assert!(matches!(claim, Ok(SubmissionClaim::Granted(_))), "{claim:?}");
    assert!(outages > 0);
    again(&mut outages, || ledger.confirm(&token)).await.unwrap();
    let owner = cluster.owner(&queue);
    assert_ne!(owner, master);
    let next = Token::from_bits(2);
    let wait = again(&mut outages, || ledger.claim_submission(&next, None, MINUTE, MINUTE)).await;
    assert!(matches!(wait, Ok(SubmissionClaim::Wait { why: Blocked::Recovery, .. })), "{wait:?}");
    recovered(&cluster, &queue, owner).await;
    let claim = again(&mut outages, || ledger.claim_submission(&next, None, MINUTE, MINUTE)).await;
    assert!(matches!(claim, Ok(SubmissionClaim::Granted(_))), "{claim:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hands_over_to_its_replica_is_not_asked_any_more() {
    let mut cluster = cluster().await;
    let [queue, _] = two_queues(&cluster);
    let before = cluster.owner(&queue);
    cluster.add_replica_of(before);
    let replica = *cluster.ports().last().unwrap();
    let ledger = open_url(&cluster.url(&queue)).await;
    admit(&ledger).await;
    let _: String = cluster.node(replica).ask(&["CLUSTER", "FAILOVER"]);
    cluster.wait("the replica was promoted", |node| {
        node.ask::<String>(&["CLUSTER", "NODES"])
            .lines()
            .any(|line| line.contains(&format!(":{replica}@")) && line.contains("master") && !line.contains("slave"))
    });
    let asked = |port: u16| {
        let stats: String = cluster.node(port).ask(&["INFO", "commandstats"]);
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_time:calls=")).map(str::to_owned);
        calls.map_or(0, |calls| calls.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    let (old, new) = (asked(before), asked(replica));
    ledger.info().await.unwrap();
    ledger.info().await.unwrap();
    assert_eq!(asked(replica), new + 2, "the time is that of the node that has the queue");
    assert!(asked(before) <= old + 1, "the other one is asked once at most");
    let _: String = cluster.node(replica).ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(ledger.start_worker().await.unwrap().guarantee.dangers.len(), 1);
}
