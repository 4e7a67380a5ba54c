//! On Redis.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisError, Script};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use veobatch_core::{BatchId, Lane, Timestamp, Token};
use veobatch_ledger::{
    AccountUpdate, Admission, BatchFlag, JobFilter, LedgerError, LedgerUrl, Lookup, SharedLedger, open,
};

use crate::expected;
use crate::load::Fixture;
use crate::redis_server::RedisServer;

/// Longer than the step waits for silence.
const LONG_AGO: Duration = Duration::from_secs(300);

/// A server with a ledger that was kept.
pub(crate) struct Kept {
    pub(crate) server: RedisServer,
    connection: MultiplexedConnection,
}

impl Kept {
    /// As if it had been made `age` ago.
    pub(crate) async fn new(age: Duration) -> Self {
        let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let kept = Self { server, connection };
        for command in Fixture::new("format-1", "redis", age, "http://localhost").commands() {
            let _: redis::Value = kept.ask(&words(&command)).await;
        }
        kept
    }

    async fn ask<T: FromRedisValue>(&self, command: &[Vec<u8>]) -> T {
        Cmd::new().arg(command).query_async(&mut self.connection.clone()).await.unwrap()
    }

    async fn say<T: FromRedisValue>(&self, command: &str) -> T {
        self.ask(&words(command)).await
    }

    async fn open(&self) -> Result<SharedLedger, LedgerError> {
        open(&LedgerUrl::parse(&self.server.url()).unwrap()).await
    }

    async fn format(&self) -> String {
        self.say("HGET {veobatch}:meta format").await
    }

    /// All there is: by key, its parts in order.
    async fn everything(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let keys: Vec<String> = self.say("KEYS *").await;
        let mut all = BTreeMap::new();
        for key in keys {
            let kind: String = self.ask(&[b"TYPE".to_vec(), key.clone().into_bytes()]).await;
            let (command, more, width): (&str, &[&str], usize) = match kind.as_str() {
                "string" => ("GET", &[], 1),
                "hash" => ("HGETALL", &[], 2),
                "set" => ("SMEMBERS", &[], 1),
                "zset" => ("ZRANGE", &["0", "-1", "WITHSCORES"], 2),
                other => panic!("{key} is a {other}"),
            };
            let mut asked = vec![command.as_bytes().to_vec(), key.clone().into_bytes()];
            asked.extend(more.iter().map(|word| word.as_bytes().to_vec()));
            let parts: Vec<Vec<u8>> =
                if kind == "string" { vec![self.ask(&asked).await] } else { self.ask(&asked).await };
            let mut parts: Vec<Vec<u8>> = parts.chunks(width).map(|part| part.join(&b"="[..])).collect();
            parts.sort();
            all.insert(key, parts);
        }
        all
    }
}

/// Nothing was changed.
fn same(before: &BTreeMap<String, Vec<Vec<u8>>>, after: &BTreeMap<String, Vec<Vec<u8>>>) {
    for key in before.keys().chain(after.keys()) {
        let text = |parts: &Vec<Vec<u8>>| parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        let [before, after] = [before, after].map(|all| all.get(key).map(text));
        let (before, after): (Option<Vec<String>>, Option<Vec<String>>) = (before, after);
        assert_eq!(after, before, "{key}");
    }
}

/// A command's words, as the server reads them inline: each in quotes, or without any.
fn words(command: &str) -> Vec<Vec<u8>> {
    let (mut all, mut rest) = (Vec::new(), command.as_bytes());
    while let Some(first) = rest.first() {
        match first {
            b' ' => rest = &rest[1..],
            b'"' => {
                let mut word = Vec::new();
                rest = &rest[1..];
                while rest[0] != b'"' {
                    if rest[0] == b'\\' {
                        word.push(u8::from_str_radix(std::str::from_utf8(&rest[2..4]).unwrap(), 16).unwrap());
                        rest = &rest[4..];
                    } else {
                        word.push(rest[0]);
                        rest = &rest[1..];
                    }
                }
                rest = &rest[1..];
                all.push(word);
            }
            _ => {
                let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
                all.push(rest[..end].to_vec());
                rest = &rest[end..];
            }
        }
    }
    all
}

#[tokio::test]
async fn a_ledger_of_format_1_is_opened_whole() {
    let kept = Kept::new(LONG_AGO).await;
    assert_eq!(kept.format().await, "1");
    expected::is_whole(&*kept.open().await.unwrap()).await;
    assert_eq!(kept.format().await, "2");
    let recovers: u64 = kept.say("HGET {veobatch}:meta recovers").await;
    assert_eq!(recovers, 0, "the pause is over");
    expected::is_whole(&*kept.open().await.unwrap()).await;
    let spec: String = kept.say("HGET {veobatch}:b6:j 11").await;
    let expected = "\n{\"p\":\"States: queued, with a policy\"}\n{\"y\":9,\"n\":2}";
    assert!(spec.ends_with(expected), "{spec}");
}

#[tokio::test]
async fn a_ledger_whose_names_an_unreleased_program_stored_in_another_way_is_refused() {
    let kept = Kept::new(LONG_AGO).await;
    drop(kept.open().await.unwrap());
    for small in ["{veobatch}:b6:i0", "{veobatch}:t0"] {
        let _: u64 = kept.say(&format!("HSET {small} a 1")).await;
        let before = kept.everything().await;
        let refused = kept.open().await.unwrap_err().to_string();
        assert!(refused.contains("veobatch ledger export"), "{refused}");
        same(&before, &kept.everything().await);
        let _: u64 = kept.say(&format!("DEL {small}")).await;
    }
    expected::is_whole(&*kept.open().await.unwrap()).await;
}

#[tokio::test]
async fn a_pause_that_began_before_the_step_goes_on_after_it() {
    let (kept, until) = (Kept::new(LONG_AGO).await, 4_000_000_000_000_u64);
    let _: u64 = kept.say(&format!("HSET {{veobatch}}:meta recovers {until}")).await;
    kept.open().await.unwrap();
    assert_eq!(kept.say::<u64>("HGET {veobatch}:meta recovers").await, until);
}

#[tokio::test]
async fn a_ledger_of_format_1_knows_every_line_of_its_prompt_files() {
    expected::knows_its_lines(&*Kept::new(LONG_AGO).await.open().await.unwrap()).await;
}

#[tokio::test]
async fn a_step_that_was_cut_off_is_taken_to_its_end_by_the_next() {
    let kept = Kept::new(LONG_AGO).await;
    for (old, new) in [("l", "leases"), ("log", "arrivals"), ("batches", "names")] {
        let _: String = kept.say(&format!("RENAME {{veobatch}}:{old} {{veobatch}}:{new}")).await;
        let _: String = kept.say(&format!("SET {{veobatch}}:{old} \"format 2\"")).await;
    }
    let _: u8 = kept.say("HSET {veobatch}:meta format 1>2").await;
    expected::is_whole(&*kept.open().await.unwrap()).await;
    assert_eq!(kept.format().await, "2");
}

#[tokio::test]
async fn a_ledger_that_older_workers_are_at_work_on_is_left_alone_and_they_are_named() {
    let kept = Kept::new(Duration::from_secs(10)).await;
    let _: u64 = kept.say("HSET {veobatch}:meta recovers 7").await;
    let before = kept.everything().await;
    let mut opening = JoinSet::new();
    let url = LedgerUrl::parse(&kept.server.url()).unwrap();
    opening.spawn(async move { open(&url).await.map(drop) });
    while kept.say::<u64>("HGET {veobatch}:meta recovers").await == 7 {
        sleep(Duration::from_millis(5)).await;
    }
    let pause: u64 = kept.say("HGET {veobatch}:meta recovers").await;
    let now: (u64, u64) = kept.say("TIME").await;
    assert!(pause > now.0 * 1000 + 80_000, "nothing is granted meanwhile");
    // A worker of format 1 looks after the job that is generating: as its claim does it.
    let (job, until) = ("6:7", now.0 * 1000 + 30_000);
    let _: u8 = kept.say(&format!("HSET {{veobatch}}:l {job} \"aabbccdd 1 follow\"")).await;
    let _: u8 = kept.say(&format!("ZADD {{veobatch}}:d:follow {until} {job}")).await;
    let refused = opening.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(&refused, LedgerError::Outdated { why, .. } if why.contains("states/generating")), "{refused}");
    let mut after = kept.everything().await;
    for key in ["{veobatch}:l", "{veobatch}:d:follow"] {
        after.insert(key.to_owned(), before[key].clone());
    }
    same(&before, &after);
}

#[tokio::test]
async fn the_step_waits_until_no_lease_was_taken_for_long_enough() {
    // The last thing that happened is a grant, less than three seconds before it is long enough ago.
    let kept = Kept::new(LONG_AGO).await;
    let now: (u64, u64) = kept.say("TIME").await;
    let _: u8 = kept.say(&format!("HSET {{veobatch}}:acct tat {}", now.0 * 1000 - 87_000)).await;
    let begun = Instant::now();
    expected::is_whole(&*kept.open().await.unwrap()).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "it waited");
    assert_eq!(kept.format().await, "2");
}

/// A script of format 1.
fn script(files: &[&str]) -> Script {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1/scripts");
    Script::new(
        &files
            .iter()
            .map(|file| std::fs::read_to_string(folder.join(format!("{file}.lua"))).unwrap())
            .collect::<String>(),
    )
}

#[tokio::test]
async fn a_program_of_format_1_that_is_still_running_changes_nothing_any_more() {
    let kept = Kept::new(LONG_AGO).await;
    let calls: [(&[&str], &[&str]); 6] = [
        (
            &["index", "queue", "staging", "finished", "stage"],
            &["a0", "late", "late", "60000", "a", "a\x1fveo3_fast/720p\n{}", "0"],
        ),
        (&["queue", "recovery", "publish"], &["a0", "", "", "", "states"]),
        (&["queue", "pace", "idle", "recovery", "grant"], &["00000000000000000000000000000001", "30000", "80000", "0"]),
        (&["many", "leave", "claim"], &["follow", "10", "30000", "aabb"]),
        (
            &["index", "queue", "many", "pace", "idle", "gate", "finished", "put"],
            &["6", "7", "3", "", "00000000000000aa", "-", "failed - 0 - 0", "{}", ""],
        ),
        (&["leases"], &["30000", "6", "8", "8eb21ec83a91cfe3"]),
    ];
    // They are what they are taken for: a claim of theirs takes something.
    let run = async |files: &[&str], args: &[&str]| -> Result<redis::Value, RedisError> {
        let script = script(&[&["prelude"], files].concat());
        script.key("{veobatch}:").arg(args).invoke_async(&mut kept.connection.clone()).await
    };
    kept.open().await.unwrap();
    // It is another server than the one that was kept; told once, that changes nothing any more.
    let _ = run(calls[2].0, calls[2].1).await;
    let before = kept.everything().await;
    for (files, args) in calls {
        let stopped = run(files, args).await.unwrap_err();
        assert!(stopped.to_string().contains("WRONGTYPE"), "{files:?}: {stopped}");
    }
    same(&before, &kept.everything().await);
}

#[tokio::test]
async fn a_new_ledger_stops_programs_of_format_1_too() {
    let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
    let ledger = open(&LedgerUrl::parse(&server.url()).unwrap()).await.unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    for is_emptied in [false, true] {
        if is_emptied {
            let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
            ledger.account(0).await.unwrap();
        }
        for key in ["l", "log", "batches"] {
            let kind: String =
                redis::cmd("TYPE").arg(format!("{{veobatch}}:{key}")).query_async(&mut connection).await.unwrap();
            assert_eq!(kind, "string", "{key} {is_emptied}");
        }
    }
    assert!(ledger.batches().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_script_stops_with_words_when_a_newer_program_has_changed_the_format() {
    let kept = Kept::new(LONG_AGO).await;
    let ledger = kept.open().await.unwrap();
    let (claimed, _) = ledger.claim(Lane::Follow, 1, Duration::from_secs(60)).await.unwrap();
    let leases = [claimed.first().expect("a job that is due").lease.clone()];
    let _: u8 = kept.say("HSET {veobatch}:meta format 3").await;
    let before = kept.everything().await;
    let (batch, key, token) =
        (BatchId::parse("states").unwrap(), expected::key("states", "queued"), Token::from_bits(1));
    let batches = std::slice::from_ref(&batch);
    let admission = Admission::random();
    let minute = Duration::from_secs(60);
    let results = [
        ledger.stage(&admission, &batch, &[]).await.map(drop),
        ledger.publish(&admission, batches, None).await,
        ledger.abandon(&admission, batches).await,
        ledger.claim_submission(&token, None, minute, minute).await.map(drop),
        ledger.claim(Lane::Follow, 1, minute).await.map(drop),
        ledger.renew(&leases, Some(minute)).await.map(drop),
        ledger.find(Lookup::Name(&key)).await.map(drop),
        ledger.page(&batch, JobFilter::All, None, 10).await.map(drop),
        ledger.forget(Some(&batch)).await.map(drop),
        ledger.update_batch(&batch, &BatchFlag::Paused(false).into()).await,
        ledger.account(0).await.map(drop),
        ledger.update_account(&AccountUpdate::default()).await.map(drop),
        ledger.account(1).await.map(drop),
        ledger.hear(Timestamp::from_millis(1)).await,
        ledger.update_account(&AccountUpdate { poll_rate: Some(7), ..AccountUpdate::default() }).await.map(drop),
    ];
    for (n, result) in results.into_iter().enumerate() {
        assert!(matches!(&result, Err(LedgerError::Format { found, .. }) if found == "3"), "{n}: {result:?}");
    }
    assert!(matches!(kept.open().await, Err(LedgerError::Format { found, .. }) if found == "3"));
    same(&before, &kept.everything().await);
}
