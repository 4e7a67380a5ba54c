//! A server that is another one than before, and claims that must outlive theirs.

use std::process::Command;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use veobatch_core::{Lane, Record, State, Task, TaskId, Token};
use veobatch_ledger::{
    Admission, Blocked, LedgerError, LedgerUrl, Nonce, Put, SharedLedger, SubmissionClaim, UpgradeClaim, open,
};

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

fn port(scene: &Scene) -> u16 {
    scene.server.url().rsplit(':').next().unwrap().trim_end_matches("/0").parse().unwrap()
}

/// An address that leads to the server in charge, as a virtual one does: whoever is connected when another one takes over
/// is cut off.
struct Address {
    url: LedgerUrl,
    leads_to: watch::Sender<u16>,
    _open: JoinSet<()>,
}

impl Address {
    async fn of(scene: &Scene) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://127.0.0.1:{}/0", listener.local_addr().unwrap().port());
        let (leads_to, in_charge) = watch::channel(port(scene));
        let mut open = JoinSet::new();
        open.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut in_charge = in_charge.clone();
                passing.spawn(async move {
                    let port = *in_charge.borrow_and_update();
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = in_charge.changed() => {}
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    }
                });
            }
        });
        Self { url: LedgerUrl::parse(&url).unwrap(), leads_to, _open: open }
    }
}

/// Makes `replica` follow `master`, and waits until it does.
async fn follow(replica: &Scene, master: &Scene) {
    let _: String = master.ask(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    let _: String = replica.ask(&["REPLICAOF", "127.0.0.1", &port(master).to_string()]).await;
    while !replica.ask::<String>(&["INFO", "replication"]).await.contains("master_link_status:up") {
        tokio::task::yield_now().await;
    }
}

/// Its first grant may be what such a server has forgotten.
#[tokio::test]
async fn a_server_that_went_back_to_before_its_first_grant_is_known_to_be_another_one() {
    let scene = night().await;
    let known: String = scene.ask(&["HGET", "{veobatch}:meta", "server"]).await;
    assert!(known.contains(' '), "{known}");
    // As its file would have it after a start: another run of the server wrote it.
    scene.ask::<i64>(&["HSET", "{veobatch}:meta", "server", "another run"]).await;
    assert!(matches!(claim(&scene, 1).await, SubmissionClaim::Wait { why: Blocked::Recovery, .. }));
}

/// What was submitted before the change may still arrive, and the slots that it took may be forgotten.
#[tokio::test]
async fn an_upgrade_that_counts_in_the_pace_waits_for_the_journals_too() {
    let scene = night().await;
    let SubmissionClaim::Granted(claimed) = claim(&scene, 1).await else { panic!("not granted") };
    let due = claimed.stored.now;
    let task = Task { id: TaskId::parse("task-1").unwrap(), attempt: 1, at: due };
    let state = State::Downloading { task, urls: vec![], size: None, upgraded: true, stale: true, tries: 0, due };
    let record = Record { state, ..claimed.stored.record.clone() };
    let put = Put {
        job: claimed.stored.job,
        version: claimed.stored.version,
        fence: Some(claimed.lease.fence.clone()),
        nonce: Nonce::random(),
        body: record.body(),
        facets: record.facets(),
        task: None,
        settle: None,
        spec: None,
    };
    scene.ledger.put(&put).await.unwrap();
    let (mut held, _) = scene.ledger.claim(Lane::Save, 1, MINUTE).await.unwrap();
    let lease = held.pop().unwrap().lease;
    scene.ask::<i64>(&["HSET", "{veobatch}:meta", "server", "another run"]).await;
    let now = scene.ledger.info().await.unwrap().now;
    let wait = scene.ledger.claim_upgrade(&lease, &Token::from_bits(2), Some(STALL)).await.unwrap();
    let UpgradeClaim::Wait { why: Blocked::Recovery, until, .. } = wait else { panic!("{wait:?}") };
    assert!(until.since(now) >= PAUSE, "{:?}", until.since(now));
    let free = scene.ledger.claim_upgrade(&lease, &Token::from_bits(3), None).await.unwrap();
    assert!(matches!(free, UpgradeClaim::Granted(_)), "{free:?}");
}

#[tokio::test]
async fn a_replica_that_is_promoted_grants_nothing_before_the_journals_have_spoken() {
    let (master, replica) = (night().await, Scene::new().await);
    follow(&replica, &master).await;
    grants(&master, 1).await;
    master.ledger.confirm(&Token::from_bits(1)).await.unwrap();
    let _: String = replica.ask(&["REPLICAOF", "NO", "ONE"]).await;

    let now = replica.ledger.info().await.unwrap().now;
    let SubmissionClaim::Wait { why: Blocked::Recovery, until: Some(until), .. } = claim(&replica, 2).await else {
        panic!("granted at once")
    };
    assert!(until.since(now) >= PAUSE, "{:?}", until.since(now));
    assert_eq!(replica.ledger.account(0).await.unwrap().recovering_until, Some(until));
    let SubmissionClaim::Wait { until: again, .. } = claim(&replica, 3).await else { panic!("granted") };
    assert_eq!(again, Some(until), "the wait starts once");
    // What the replica knows was granted is granted again: its call may be made, since its claim is here.
    grants(&replica, 1).await;

    let _: i64 = replica.ask(&["HSET", "{veobatch}:meta", "recovers", "1"]).await;
    while matches!(claim(&replica, 2).await, SubmissionClaim::Wait { why: Blocked::Slot, .. }) {}
    assert_eq!(replica.ledger.account(0).await.unwrap().recovering_until, None);
}

#[tokio::test]
async fn a_confirmed_claim_is_on_the_replica_and_one_that_is_not_there_is_not_confirmed() {
    let (master, replica) = (night().await, Scene::new().await);
    let confirm = async |token| master.ledger.confirm(&Token::from_bits(token)).await;
    grants(&master, 1).await;
    confirm(1).await.unwrap();
    follow(&replica, &master).await;
    while matches!(claim(&master, 2).await, SubmissionClaim::Wait { .. }) {}
    confirm(2).await.unwrap();
    let there: bool = replica.ask(&["HEXISTS", "{veobatch}:i", Token::from_bits(2).as_str()]).await;
    assert!(there);

    let info: String = replica.ask(&["INFO", "server"]).await;
    let process = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().trim().to_owned();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &process]).status().unwrap().success());
    signal("-STOP");
    while matches!(claim(&master, 3).await, SubmissionClaim::Wait { .. }) {}
    let refused = confirm(3).await;
    assert!(matches!(refused, Err(LedgerError::Unavailable(_))), "{refused:?}");
    signal("-CONT");
    confirm(3).await.unwrap();
}

#[tokio::test]
async fn a_claim_that_the_promoted_server_does_not_know_is_not_confirmed_by_it() {
    let (master, promoted, other) = (night().await, Scene::new().await, Scene::new().await);
    follow(&promoted, &master).await;
    let address = Address::of(&master).await;
    let ledger = open(&address.url).await.unwrap();
    let [known, unknown] = [1, 2].map(Token::from_bits);
    let claim = async |token| loop {
        let claim = ledger.claim_submission(token, None, MINUTE, STALL).await.unwrap();
        if matches!(claim, SubmissionClaim::Granted(_)) {
            break;
        }
    };
    claim(&known).await;
    ledger.confirm(&known).await.unwrap();
    let _: String = promoted.ask(&["REPLICAOF", "NO", "ONE"]).await;
    claim(&unknown).await;

    // It has a replica of its own, so that there is somebody who confirms whatever is written.
    follow(&other, &promoted).await;
    address.leads_to.send_replace(port(&promoted));
    let (yes, no) = tokio::join!(confirmed(&ledger, &known), confirmed(&ledger, &unknown));
    yes.unwrap();
    assert!(matches!(no, Err(LedgerError::LostLease)), "{no:?}");
}

/// What is said of a claim once the new server is reached: who was connected to the old one learns of that first.
async fn confirmed(ledger: &SharedLedger, token: &Token) -> Result<(), LedgerError> {
    loop {
        match ledger.confirm(token).await {
            Err(LedgerError::Unavailable(_)) => {}
            told => return told.map(drop),
        }
    }
}

#[tokio::test]
async fn a_server_that_lost_its_file_confirms_nothing_that_it_granted_before() {
    let scene = night().await;
    grants(&scene, 1).await;
    scene.ledger.confirm(&Token::from_bits(1)).await.unwrap();
    let _: String = scene.ask(&["FLUSHALL"]).await;
    let refused = scene.ledger.confirm(&Token::from_bits(1)).await;
    assert!(matches!(refused, Err(LedgerError::LostLease)), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_writes_once_a_second_is_waited_for_where_it_can_be() {
    let scene = night().await;
    let _: String = scene.ask(&["CONFIG", "SET", "appendfsync", "everysec"]).await;
    grants(&scene, 1).await;
    scene.ledger.confirm(&Token::from_bits(1)).await.unwrap();
    let known: Vec<redis::Value> = scene.ask(&["COMMAND", "INFO", "WAITAOF"]).await;
    let stats: String = scene.ask(&["INFO", "commandstats"]).await;
    assert_eq!(stats.contains("cmdstat_waitaof:calls=1"), known != [redis::Value::Nil], "{stats}");
}
