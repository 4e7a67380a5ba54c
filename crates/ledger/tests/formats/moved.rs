//! Ledgers of format 1, brought to the present one and moved to the other kind: second names, digests of either kind and jobs
//! that are not recognized yet go along.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use veobatch_ledger::{LedgerUrl, Moving, check, export, open};

use crate::expected;
use crate::load::Fixture;
use crate::redis_server::RedisServer;
use crate::server::Kept;

async fn moved(source: &LedgerUrl, target: &LedgerUrl, folder: &Path) {
    let path = folder.join("all.jsonl");
    let mut lines = Vec::new();
    export(source, &mut lines).await.unwrap();
    std::fs::write(&path, lines).unwrap();
    let moving = Moving::begin(check(&path).unwrap(), Some(source), target).await.unwrap().unwrap();
    moving.finish(|_| ()).await.unwrap();
    let ledger = open(target).await.unwrap();
    expected::is_whole(&*ledger).await;
    expected::knows_its_lines(&*ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_format_1_is_known_line_by_line_once_it_was_moved_to_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veobatch.db");
    let file = Connection::open(&path).unwrap();
    file.pragma_update(None, "journal_mode", "wal").unwrap();
    file.execute_batch(&Fixture::new("format-1", "sqlite", Duration::from_secs(300), "http://localhost").sql())
        .unwrap();
    drop(file);
    let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
    moved(&LedgerUrl::Sqlite(path), &LedgerUrl::parse(&server.url()).unwrap(), folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_format_1_is_known_line_by_line_once_it_was_moved_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::new(Duration::from_secs(300)).await;
    let target = LedgerUrl::Sqlite(folder.path().join("new.db"));
    moved(&LedgerUrl::parse(&kept.server.url()).unwrap(), &target, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_imported_to_is_known_before_anything_is_granted() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (LedgerUrl::Sqlite(folder.path().join("old.db")), folder.path().join("all.jsonl"));
    let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
    let mut lines = Vec::new();
    export(&source, &mut lines).await.unwrap();
    std::fs::write(&path, lines).unwrap();
    let target = LedgerUrl::parse(&server.url()).unwrap();
    let moving = Moving::begin(check(&path).unwrap(), Some(&source), &target).await.unwrap().unwrap();
    moving.finish(|_| ()).await.unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let known: Option<String> =
        redis::cmd("HGET").arg("{veobatch}:meta").arg("server").query_async(&mut connection).await.unwrap();
    assert!(known.is_some(), "a server that goes back to here is another one");
}
