//! A server that is another one than before, and claims that must outlive theirs.

use std::process::Command;
use std::time::Duration;

use veobatch_core::Token;
use veobatch_ledger::{Admission, LedgerError, SubmissionClaim, Waiting};

use crate::{MINUTE, Scene, jobs};

/// A call's total time limit, and how long nothing is granted after a change of the server.
const STALL: Duration = Duration::from_secs(80);
const PAUSE: Duration = Duration::from_secs(90);

/// A batch of some jobs on a server of its own.
async fn night() -> Scene {
    let scene = Scene::new().await;
    let admission = Admission::random();
    scene.stage(&admission, &jobs("a", 5)).await.unwrap();
    scene.publish(&admission).await.unwrap();
    scene
}

async fn claim(scene: &Scene, token: u128) -> SubmissionClaim {
    scene.ledger.claim_submission(&Token::from_bits(token), None, MINUTE, STALL).await.unwrap()
}

async fn grants(scene: &Scene, token: u128) {
    assert!(matches!(claim(scene, token).await, SubmissionClaim::Granted(_)));
}

/// Makes `replica` follow `master`, and waits until it does.
async fn follow(replica: &Scene, master: &Scene) {
    let _: String = master.ask(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    let port = master.server.url().rsplit(':').next().unwrap().trim_end_matches("/0").to_owned();
    let _: String = replica.ask(&["REPLICAOF", "127.0.0.1", &port]).await;
    while !replica.ask::<String>(&["INFO", "replication"]).await.contains("master_link_status:up") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_replica_that_is_promoted_grants_nothing_before_the_journals_have_spoken() {
    let (master, replica) = (night().await, Scene::new().await);
    follow(&replica, &master).await;
    grants(&master, 1).await;
    master.ledger.confirm().await.unwrap();
    let _: String = replica.ask(&["REPLICAOF", "NO", "ONE"]).await;

    let now = replica.ledger.now().await.unwrap();
    let SubmissionClaim::Wait { why: Waiting::Recovery, until: Some(until), .. } = claim(&replica, 2).await else {
        panic!("granted at once")
    };
    assert!(until.since(now) >= PAUSE, "{:?}", until.since(now));
    assert_eq!(replica.ledger.account().await.unwrap().recovering_until, Some(until));
    let SubmissionClaim::Wait { until: again, .. } = claim(&replica, 3).await else { panic!("granted") };
    assert_eq!(again, Some(until), "the wait starts once");
    // What the replica knows was granted is granted again: its call may be made, since its claim is here.
    grants(&replica, 1).await;

    let _: i64 = replica.ask(&["HSET", "{veobatch}:meta", "recovers", "1"]).await;
    while matches!(claim(&replica, 2).await, SubmissionClaim::Wait { why: Waiting::Slot, .. }) {}
    assert_eq!(replica.ledger.account().await.unwrap().recovering_until, None);
}

#[tokio::test]
async fn a_confirmed_claim_is_on_the_replica_and_one_that_is_not_there_is_not_confirmed() {
    let (master, replica) = (night().await, Scene::new().await);
    grants(&master, 1).await;
    master.ledger.confirm().await.unwrap();
    follow(&replica, &master).await;
    while matches!(claim(&master, 2).await, SubmissionClaim::Wait { .. }) {}
    master.ledger.confirm().await.unwrap();
    let there: bool = replica.ask(&["HEXISTS", "{veobatch}:i", Token::from_bits(2).as_str()]).await;
    assert!(there);

    let info: String = replica.ask(&["INFO", "server"]).await;
    let process = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().trim().to_owned();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &process]).status().unwrap().success());
    signal("-STOP");
    while matches!(claim(&master, 3).await, SubmissionClaim::Wait { .. }) {}
    let refused = master.ledger.confirm().await;
    assert!(matches!(refused, Err(LedgerError::Unavailable(_))), "{refused:?}");
    signal("-CONT");
    master.ledger.confirm().await.unwrap();
}

#[tokio::test]
async fn a_server_that_writes_once_a_second_is_waited_for_where_it_can_be() {
    let scene = night().await;
    let _: String = scene.ask(&["CONFIG", "SET", "appendfsync", "everysec"]).await;
    grants(&scene, 1).await;
    scene.ledger.confirm().await.unwrap();
    let known: Vec<redis::Value> = scene.ask(&["COMMAND", "INFO", "WAITAOF"]).await;
    let stats: String = scene.ask(&["INFO", "commandstats"]).await;
    assert_eq!(stats.contains("cmdstat_waitaof:calls=1"), known != [redis::Value::Nil], "{stats}");
}
