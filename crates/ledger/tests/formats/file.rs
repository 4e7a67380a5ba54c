//! On `SQLite`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use veobatch_core::BatchId;
use veobatch_ledger::{BatchFlag, Ledger as _, LedgerError, SqliteLedger};

use crate::expected;
use crate::load::Fixture;

/// The ledger as it was kept, in a file.
fn kept(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("veobatch.db");
    let file = Connection::open(&path).unwrap();
    file.pragma_update(None, "journal_mode", "wal").unwrap();
    file.execute_batch(&Fixture::new("format-1", "sqlite", Duration::from_secs(60), "http://localhost").sql()).unwrap();
    path
}

fn format(path: &Path) -> u32 {
    Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Everything that is in the file's schema.
fn schema(path: &Path) -> Vec<(String, String, Option<String>)> {
    let file = Connection::open(path).unwrap();
    let mut all = file.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").unwrap();
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_file_of_format_1_is_opened_whole_and_is_like_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = kept(&folder);
    assert_eq!(format(&path), 1);
    expected::is_whole(&SqliteLedger::open(&path).await.unwrap()).await;
    assert_eq!(format(&path), 2);
    expected::is_whole(&SqliteLedger::open(&path).await.unwrap()).await;

    let new = folder.path().join("new.db");
    drop(SqliteLedger::open(&new).await.unwrap());
    assert_eq!((schema(&path), format(&path)), (schema(&new), format(&new)));
}

#[tokio::test]
async fn a_file_of_format_1_knows_every_line_of_its_prompt_files() {
    let folder = tempfile::tempdir().unwrap();
    expected::knows_its_lines(&SqliteLedger::open(&kept(&folder)).await.unwrap()).await;
}

#[tokio::test]
async fn a_file_that_an_older_worker_works_on_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = kept(&folder);
    let place = File::create(path.with_extension("db.lock")).unwrap();
    place.try_lock().unwrap();
    let refused = SqliteLedger::open(&path).await.unwrap_err();
    assert!(matches!(&refused, LedgerError::Outdated { why, .. } if why.contains("worker")), "{refused}");
    assert_eq!(format(&path), 1);
    drop(place);
    SqliteLedger::open(&path).await.unwrap();
    assert_eq!(format(&path), 2);
}

#[tokio::test]
async fn an_older_program_that_has_the_file_open_cannot_change_it_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = kept(&folder);
    let older = Connection::open(&path).unwrap();
    // What a program of format 1 does first in each of its changes.
    let mut first = older.prepare("SELECT clock FROM account").unwrap();
    first.query_row([], |row| row.get::<_, i64>(0)).unwrap();
    SqliteLedger::open(&path).await.unwrap();
    let stopped = first.query_row([], |row| row.get::<_, i64>(0)).unwrap_err();
    assert!(stopped.to_string().contains("clock"), "{stopped}");
}

#[tokio::test]
async fn this_program_stops_at_its_next_change_when_a_newer_one_has_changed_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = kept(&folder);
    let ledger = SqliteLedger::open(&path).await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 3).unwrap();
    let night = BatchId::parse("night").unwrap();
    let stopped = ledger.update_batch(&night, &BatchFlag::Paused(true).into()).await.unwrap_err();
    assert!(stopped.to_string().contains("format 3"), "{stopped}");
    assert!(
        (&ledger as &dyn veobatch_ledger::Ledger)
            .batches()
            .await
            .unwrap()
            .iter()
            .all(|batch| batch.batch != night || !batch.paused)
    );
}
