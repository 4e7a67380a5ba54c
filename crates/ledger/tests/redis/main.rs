//! What only the ledger on Redis does: what the conformance suite cannot wait for, or cannot see.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a case that cannot go on has failed")]

mod account_rules;
mod cluster;
mod nodes;
mod recovery;
#[path = "../conformance/redis_cluster.rs"]
mod redis_cluster;
#[path = "../conformance/redis_server.rs"]
mod redis_server;

use std::time::Duration;

use redis::FromRedisValue;
use redis_server::RedisServer;
use tokio::task::JoinSet;
use veobatch_core::{BatchId, Files, JobId, Record, Spec, State, StateName, Task, TaskId, Token, WorkPolicy};
use veobatch_ledger::{
    Admission, Batches, Changed, Compaction, JobFilter, LedgerError, LedgerUrl, NewJob, NoRetry, Nonce, Put,
    STAGE_CHUNK, SharedLedger, Stored, SubmissionClaim, Version, open, restate,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A server, the ledger on it, and a look at its keys.
struct Scene {
    ledger: SharedLedger,
    server: RedisServer,
}

impl Scene {
    async fn new() -> Self {
        let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
        Self { ledger: open(&LedgerUrl::parse(&server.url()).unwrap()).await.unwrap(), server }
    }

    async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(self.server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut asked = redis::Cmd::new();
        asked.arg(command).query_async(&mut connection).await.unwrap()
    }

    async fn stage(&self, admission: &Admission, jobs: &[NewJob]) -> Result<u64, LedgerError> {
        let mut new = 0;
        for chunk in jobs.chunks(STAGE_CHUNK) {
            new += self.ledger.stage(admission, &night(), chunk).await?.new;
        }
        Ok(new)
    }

    async fn publish(&self, admission: &Admission) -> Result<(), LedgerError> {
        self.ledger.publish(admission, &[night()], None).await
    }

    /// The admission that is staging has made no progress for more than a minute.
    async fn a_minute_without_progress(&self) {
        let _: i64 = self.ask(&["HSET", "{veobatch}:b1", "at", "1"]).await;
    }

    /// Jobs that are done, each with a task.
    async fn admit_done(&self, count: usize) {
        let admission = Admission::random();
        self.stage(&admission, &jobs("a", count)).await.unwrap();
        self.publish(&admission).await.unwrap();
        for stored in self.ledger.page(&night(), JobFilter::All, None, count).await.unwrap() {
            let id = TaskId::parse(&format!("task-{}", stored.job.seq)).unwrap();
            let task = Task { id: id.clone(), attempt: 1, at: stored.now };
            let record = Record { state: State::Done { task, files: Files::Usual(1) }, ..stored.record };
            let (body, facets) = (record.body(), record.facets());
            let (job, version, nonce) = (stored.job, stored.version, Nonce::random());
            let put = Put { job, version, fence: None, nonce, body, facets, task: Some(id), settle: None, spec: None };
            self.ledger.put(&put).await.unwrap();
        }
    }

    async fn names(&self) -> Vec<String> {
        let page = self.ledger.page(&night(), JobFilter::All, None, 1000).await.unwrap();
        page.into_iter().map(|stored| stored.key.job.to_string()).collect()
    }
}

fn night() -> BatchId {
    BatchId::parse("night").unwrap()
}

fn job(id: &str, priority: i16) -> NewJob {
    let policy = WorkPolicy { priority, ..WorkPolicy::default() };
    NewJob { id: JobId::parse(id).unwrap(), spec: Spec { prompt: id.to_owned(), policy, ..Spec::default() } }
}

fn jobs(stem: &str, count: usize) -> Vec<NewJob> {
    (0..count).map(|n| job(&format!("{stem}{n}"), i16::try_from(n % 3).unwrap())).collect()
}

#[tokio::test]
async fn an_admission_that_died_is_dropped_by_the_next_and_told_if_it_comes_back() {
    let scene = Scene::new().await;
    let (dead, next) = (Admission::random(), Admission::random());
    scene.stage(&dead, &jobs("a", 450)).await.unwrap();
    assert!(matches!(scene.stage(&next, &jobs("b", 3)).await, Err(LedgerError::Busy { .. })));

    scene.a_minute_without_progress().await;
    assert_eq!(scene.stage(&next, &[job("a7", 0), job("b0", 5)]).await.unwrap(), 2);
    assert!(matches!(scene.stage(&dead, &jobs("a", 1)).await, Err(LedgerError::Dropped)));
    scene.publish(&next).await.unwrap();
    assert!(matches!(scene.publish(&dead).await, Err(LedgerError::Dropped)));
    assert_eq!(scene.names().await, ["a7", "b0"]);

    assert_eq!(scene.stage(&dead, &jobs("a", 9)).await.unwrap(), 8);
    scene.publish(&dead).await.unwrap();
    assert_eq!(scene.names().await.len(), 10);
}

#[tokio::test]
async fn what_was_dropped_is_never_submitted() {
    let scene = Scene::new().await;
    let (dead, next) = (Admission::random(), Admission::random());
    scene.stage(&dead, &jobs("a", 450)).await.unwrap();
    scene.a_minute_without_progress().await;
    scene.stage(&next, &[job("b0", 0), job("b1", 2)]).await.unwrap();
    scene.publish(&next).await.unwrap();
    let rate = Some((100_000, Duration::from_secs(1)));
    scene
        .ledger
        .update_account(&veobatch_ledger::AccountUpdate {
            rate,
            max_in_flight: None,
            ..veobatch_ledger::AccountUpdate::default()
        })
        .await
        .unwrap();

    let mut granted = Vec::new();
    for n in 0..20 {
        match scene.ledger.claim_submission(&Token::from_bits(n), None, MINUTE, MINUTE).await.unwrap() {
            SubmissionClaim::Granted(claimed) => granted.push(claimed.stored.key.job.to_string()),
            SubmissionClaim::Wait { .. } => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    assert_eq!(granted, ["b1", "b0"]);
}

#[tokio::test]
async fn what_became_of_the_slots_is_forgotten_after_some_days() {
    let scene = Scene::new().await;
    let admission = Admission::random();
    scene.stage(&admission, &jobs("a", 2)).await.unwrap();
    scene.publish(&admission).await.unwrap();
    let granted = scene.ledger.claim_submission(&Token::from_bits(1), None, MINUTE, MINUTE).await.unwrap();
    assert!(matches!(granted, SubmissionClaim::Granted(_)), "{granted:?}");
    let hours: Vec<String> = scene.ask(&["KEYS", "{veobatch}:u[0-9]*"]).await;
    assert!(!hours.is_empty());
    for hour in hours {
        let left: i64 = scene.ask(&["TTL", &hour]).await;
        assert!((72 * 3600..=80 * 3600).contains(&left), "{hour}: {left}");
    }
}

/// As [`veobatch_ledger`]'s own computation, which the file uses, has it.
#[tokio::test]
async fn a_lowered_allowance_is_found_again_carefully() {
    let scene = Scene::new().await;
    for (minutes, allowed) in [(0, 14_000), (2, 16_000), (4, 18_000), (19, 19_000), (34, 20_000), (600, 20_000)] {
        let now = scene.ledger.info().await.unwrap().now.as_millis();
        let since = (now - minutes * 60_000).to_string();
        scene.ask::<i64>(&["HSET", "{veobatch}:acct", "low", "14", "low_since", &since, "peak", "20"]).await;
        let seen = scene.ledger.account(0).await.unwrap().allowance;
        assert!((allowed..allowed + 5).contains(&seen), "{minutes}: {seen}");
    }
    let ahead = (scene.ledger.info().await.unwrap().now.as_millis() + 60_000).to_string();
    scene.ask::<i64>(&["HSET", "{veobatch}:acct", "low", "0.3", "low_since", &ahead]).await;
    assert_eq!(scene.ledger.account(0).await.unwrap().allowance, 1000, "one always goes");
}

#[tokio::test]
async fn a_queue_from_before_says_of_every_batch_whether_it_is_at_rest() {
    let scene = Scene::new().await;
    scene.admit_done(2).await;
    let admission = Admission::random();
    let day = BatchId::parse("day").unwrap();
    scene.ledger.stage(&admission, &day, &jobs("a", 1)).await.unwrap();
    scene.ledger.publish(&admission, std::slice::from_ref(&day), None).await.unwrap();
    let _: i64 = scene.ask(&["DEL", "{veobatch}:live", "{veobatch}:rest", "{veobatch}:whole"]).await;
    let _: i64 = scene.ask(&["HDEL", "{veobatch}:meta", "rested"]).await;
    let since = scene.ledger.info().await.unwrap().now;
    let names = async |which| {
        let batches = scene.ledger.list(&which).await.unwrap();
        batches.into_iter().map(|summary| summary.batch.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(Batches::Active).await, ["day"]);
    assert_eq!(names(Batches::Recent { since }).await, ["night", "day"]);
    assert_eq!(names(Batches::Whole { before: since }).await, ["night"]);
}

#[tokio::test]
async fn an_abandoned_batch_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let before: i64 = scene.ask(&["DBSIZE"]).await;
    let admission = Admission::random();
    scene.stage(&admission, &jobs("a", 450)).await.unwrap();
    scene.ledger.abandon(&admission, &[night()]).await.unwrap();
    assert_eq!(scene.ask::<i64>(&["DBSIZE"]).await, before);
    assert!(matches!(scene.publish(&admission).await, Err(LedgerError::Dropped)));
}

#[tokio::test]
async fn names_of_any_length_and_number_are_known_again() {
    let scene = Scene::new().await;
    let long = |n: usize| job(&format!("{}{n}", "ä".repeat(50)), 0);
    let all: Vec<NewJob> = (0..1000).map(long).chain(jobs("a", 5000)).collect();
    let admission = Admission::random();
    assert_eq!(scene.stage(&admission, &all).await.unwrap(), 6000);
    assert_eq!(scene.stage(&admission, &all).await.unwrap(), 0);
    scene.publish(&admission).await.unwrap();
    let known = scene.ledger.compare(&night(), &all).await.unwrap();
    assert_eq!((known.known, known.conflicts), (6000, Vec::new()));
}

#[tokio::test]
async fn a_queued_job_takes_less_than_450_bytes() {
    let scene = Scene::new().await;
    let job = |n: usize| NewJob {
        id: JobId::parse(&format!("job-{n:012}")).unwrap(),
        spec: Spec { prompt: "x".repeat(200), ..Spec::default() },
    };
    let used = async || -> u64 {
        let info: String = scene.ask(&["INFO", "memory"]).await;
        info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
    };
    let before = used().await;
    let admission = Admission::random();
    scene.stage(&admission, &(0..20_000).map(job).collect::<Vec<_>>()).await.unwrap();
    scene.publish(&admission).await.unwrap();
    let each = (used().await - before) / 20_000;
    assert!(each < 450, "{each}");
}

#[tokio::test]
async fn a_format_of_tomorrow_is_refused() {
    let scene = Scene::new().await;
    let _: i64 = scene.ask(&["HSET", "{veobatch}:meta", "format", "99"]).await;
    let refused = open(&LedgerUrl::parse(&scene.server.url()).unwrap()).await;
    assert!(matches!(refused, Err(LedgerError::Format { found, .. }) if found == "99"));
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let scene = Scene::new().await;
    let admission = Admission::random();
    scene.stage(&admission, &jobs("a", 3)).await.unwrap();
    let _: String = scene.ask(&["SCRIPT", "FLUSH"]).await;
    scene.stage(&admission, &jobs("b", 3)).await.unwrap();
    scene.publish(&admission).await.unwrap();
    let batches = scene.ledger.batches().await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.count(StateName::Queued)).sum::<u64>(), 6);
}

#[tokio::test]
async fn a_broken_connection_is_an_outage_and_made_anew() {
    let scene = Scene::new().await;
    let _: i64 = scene.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match scene.ledger.info().await {
            Ok(_) => break,
            Err(LedgerError::Unavailable(_)) => assert!(tokio::time::Instant::now() < deadline),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_room_is_an_outage_and_nothing_is_half_done() {
    let scene = Scene::new().await;
    let admission = Admission::random();
    scene.stage(&admission, &jobs("a", 3)).await.unwrap();
    let _: String = scene.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = scene.stage(&admission, &jobs("b", 200)).await;
    assert!(matches!(refused, Err(LedgerError::Unavailable(_))), "{refused:?}");
    let _: String = scene.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(scene.stage(&admission, &jobs("b", 200)).await.unwrap(), 200);
}

#[tokio::test]
async fn changes_of_one_job_that_share_a_call_are_made_one_after_another() {
    let scene = Scene::new().await;
    let admission = Admission::random();
    scene.stage(&admission, &jobs("a", 3)).await.unwrap();
    scene.publish(&admission).await.unwrap();
    let page = scene.ledger.page(&night(), JobFilter::All, None, 3).await.unwrap();
    // The first two are sent at once, each alone; what comes meanwhile shares the next call.
    let mut changes = JoinSet::new();
    for stored in [&page[0], &page[1], &page[2], &page[2], &page[2], &page[2]] {
        let put = Put {
            job: stored.job,
            version: stored.version,
            fence: None,
            nonce: Nonce::random(),
            body: stored.record.body(),
            facets: stored.record.facets(),
            task: None,
            settle: None,
            spec: None,
        };
        let ledger = scene.ledger.clone();
        changes.spawn(async move { (put.job, ledger.put(&put).await) });
    }
    let mut contested = Vec::new();
    for (job, result) in changes.join_all().await {
        if job == page[2].job {
            contested.push(result);
        } else {
            assert_eq!(result.unwrap(), Version(1));
        }
    }
    assert_eq!(contested.iter().filter(|result| matches!(result, Ok(Version(1)))).count(), 1);
    assert_eq!(contested.iter().filter(|result| matches!(result, Err(LedgerError::Changed))).count(), 3);
}

#[tokio::test]
async fn what_a_file_says_anew_of_many_jobs_is_set_in_few_calls() {
    let scene = Scene::new().await;
    let admission = Admission::random();
    let all = jobs("a", STAGE_CHUNK);
    scene.stage(&admission, &all).await.unwrap();
    scene.publish(&admission).await.unwrap();
    let twice = |mut job: NewJob| {
        job.spec.policy.max_attempts = 2;
        job
    };
    let calls = async || -> u64 {
        let info: String = scene.ask(&["INFO", "commandstats"]).await;
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
        line.split(',').next().unwrap().parse().unwrap()
    };
    let before = calls().await;
    let known = scene.ledger.compare(&night(), &all.into_iter().map(twice).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(known.restated.len(), STAGE_CHUNK);
    let mut set = JoinSet::new();
    for restatement in known.restated {
        let ledger = scene.ledger.clone();
        set.spawn(async move { restate(&*ledger, restatement, &mut NoRetry).await });
    }
    for result in set.join_all().await {
        assert!(matches!(result.unwrap(), Changed::Moved { to, .. } if to.max_attempts == 2));
    }
    let calls = calls().await - before;
    assert!(calls < 40, "{calls} calls for {STAGE_CHUNK} jobs");
}

#[tokio::test]
async fn the_servers_settings_are_put_in_words() {
    let scene = Scene::new().await;
    let said = scene.ledger.start_worker().await.unwrap().guarantee;
    assert!(said.dangers.is_empty(), "{said:?}");
    assert!(said.warnings.iter().any(|words| words.contains("everysec")), "{said:?}");
    let _: String = scene.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let _: String = scene.ask(&["CONFIG", "SET", "appendonly", "no"]).await;
    assert_eq!(scene.ledger.start_worker().await.unwrap().guarantee.dangers.len(), 2);
}

#[tokio::test]
async fn a_compacted_job_has_no_entry_of_its_own_and_a_forgotten_batch_leaves_no_key() {
    let scene = Scene::new().await;
    scene.admit_done(400).await;
    assert_eq!(scene.ask::<i64>(&["HLEN", "{veobatch}:t"]).await, 400);
    let whole = scene.ledger.page(&night(), JobFilter::Whole, None, 1000).await.unwrap();
    let compact =
        |stored: &Stored| Compaction { job: stored.job, version: stored.version, body: b"[\"t\",1,1]".to_vec() };
    let compactions: Vec<_> = whole.iter().map(compact).collect();
    assert_eq!(scene.ledger.compact(&compactions).await.unwrap(), 400);
    for part in [":j", ":s"] {
        assert_eq!(scene.ask::<u8>(&["EXISTS", &format!("{{veobatch}}:b1{part}")]).await, 0, "{part}");
    }

    scene.ledger.forget(Some(&night())).await.unwrap();
    while scene.ledger.forget(None).await.unwrap() {}
    let left = scene.ask::<Vec<String>>(&["KEYS", "*"]).await;
    assert!(left.iter().all(|key| !key.contains(":b1") && !key.contains(":t") && !key.contains("gone")), "{left:?}");
    assert_eq!(scene.ask::<i64>(&["HLEN", "{veobatch}:t"]).await, 0);
}
