//! The store as a whole: its clock, its binding, its format, its places.

use std::time::Duration;

use veobatch_ledger::{Binding, Ledger as _, LedgerError, Nonce};

use crate::bench::{Bench, LONG, accepted, admit, job, jobs, read, submission_for, token, until};

pub(crate) async fn time_does_not_run_backwards(bench: &Bench) {
    let second = bench.second().await;
    let mut before = bench.ledger.info().await.unwrap().now;
    for _ in 0..50 {
        let now = bench.ledger.info().await.unwrap().now;
        assert!(now >= before);
        before = second.info().await.unwrap().now;
        assert!(before >= now);
    }
}

pub(crate) async fn a_ledger_is_bound_at_its_first_use_and_checked_afterwards(bench: &Bench) {
    let key = |key: &'static str| move |salt: &[u8]| format!("{key}+{}", salt.len());
    let ledger = &bench.ledger;
    assert!(!ledger.bind("https://one", &key("a"), Binding::Check).await.unwrap());
    assert!(!ledger.bind("https://two", &key("b"), Binding::Check).await.unwrap(), "asking binds nothing");
    ledger.bind("https://one", &key("a"), Binding::Bind).await.unwrap();
    assert!(ledger.bind("https://one", &key("a"), Binding::Check).await.unwrap());
    assert!(matches!(ledger.bind("https://one", &key("b"), Binding::Check).await, Err(LedgerError::Bound { .. })));
    ledger.bind("https://one", &key("a"), Binding::Bind).await.unwrap();
    bench.second().await.bind("https://one", &key("a"), Binding::Bind).await.unwrap();

    let Err(LedgerError::Bound { what }) = ledger.bind("https://two", &key("a"), Binding::Bind).await else {
        panic!("another base")
    };
    assert!(what.contains("https://one"), "{what}");
    let Err(LedgerError::Bound { what }) = ledger.bind("https://one", &key("b"), Binding::Bind).await else {
        panic!("another key")
    };
    assert!(!what.contains("a+"), "{what}");
}

pub(crate) async fn a_ledger_keeps_its_id_from_its_first_binding_on(bench: &Bench) {
    let second = bench.second().await;
    let key = |_: &[u8]| "key".to_owned();
    let (one, two) = tokio::join!(
        bench.ledger.bind("https://one", &key, Binding::Bind),
        second.bind("https://one", &key, Binding::Bind)
    );
    one.unwrap();
    two.unwrap();
    let id = bench.ledger.info().await.unwrap().identity.id;
    assert_eq!(second.info().await.unwrap().identity.id, id);
    second.bind("https://one", &key, Binding::Bind).await.unwrap();
    assert_eq!(bench.reopen().await.unwrap().info().await.unwrap().identity.id, id);
    let other = veobatch_ledger::SqliteLedger::open(&bench.directory().path().join("other.db")).await.unwrap();
    assert_ne!(other.info().await.unwrap().identity.id, id);
}

pub(crate) async fn a_file_counts_its_grants_and_an_older_copy_of_it_counted_fewer(bench: &Bench) {
    let ledger = &bench.ledger;
    let before = ledger.info().await.unwrap().identity;
    let Some(file) = bench.file() else {
        assert_eq!(before.grants, None, "a server tells by itself that it may have gone back");
        return;
    };
    assert_eq!(before.grants, Some(0));
    admit(ledger, "night", &jobs("a", 3)).await;
    submission_for(ledger, &token(1), None, LONG).await;
    let copy = bench.directory().path().join("copy.db");
    // As a backup is made: all of it, as of one moment.
    rusqlite::Connection::open(&file).unwrap().execute("VACUUM INTO ?", [copy.to_str().unwrap()]).unwrap();
    submission_for(ledger, &token(2), None, LONG).await;
    submission_for(ledger, &token(2), None, LONG).await;
    assert_eq!(ledger.confirm(&token(2)).await.unwrap(), Some(2), "a grant that is asked for again is the same one");
    let copy = veobatch_ledger::SqliteLedger::open(&copy).await.unwrap();
    let restored = copy.info().await.unwrap().identity;
    assert_eq!((restored.id, restored.grants), (before.id, Some(1)));
    assert_eq!(accepted(&copy, 2).await.grants, Some(2));
    assert_eq!(accepted(&copy, 1).await.grants, Some(2), "it never counts fewer");
}

pub(crate) async fn the_salt_is_the_ledgers_own(bench: &Bench) {
    let salt = |ledger: veobatch_ledger::SharedLedger| async move {
        let seen = std::sync::Mutex::new(Vec::new());
        let keep = |salt: &[u8]| {
            *seen.lock().unwrap() = salt.to_vec();
            "key".to_owned()
        };
        ledger.bind("https://one", &keep, Binding::Bind).await.unwrap();
        seen.into_inner().unwrap()
    };
    let first = salt(bench.second().await).await;
    assert!(first.len() >= 8);
    assert_eq!(first, salt(bench.second().await).await);
    let other = tempfile::tempdir().unwrap();
    let other = veobatch_ledger::SqliteLedger::open(&other.path().join("x.db")).await.unwrap();
    assert_ne!(first, salt(std::sync::Arc::new(other)).await);
}

pub(crate) async fn what_is_stored_is_there_for_a_second_handle_and_after_reopening(bench: &Bench) {
    admit(&bench.ledger, "night", &jobs("a", 3)).await;
    assert_eq!(read(&bench.second().await, "night", "a00001").await.key.job.as_str(), "a00001");
    assert_eq!(read(&bench.reopen().await.unwrap(), "night", "a00002").await.version.0, 0);
}

pub(crate) async fn a_ledger_of_an_unknown_format_is_refused_and_left_alone(bench: &Bench) {
    // Redis: its own tests know where the format is written.
    if bench.file().is_none() {
        return;
    }
    let foreign = bench.directory().path().join("foreign.db");
    let words =
        b"This is a letter, not a ledger. It is longer than a hundred bytes, so that it could well be the header \
                  of something.";
    std::fs::write(&foreign, words).unwrap();
    refused(&foreign).await;
    assert_eq!(std::fs::read(&foreign).unwrap(), words);

    let newer = bench.directory().path().join("newer.db");
    drop(veobatch_ledger::SqliteLedger::open(&newer).await.unwrap());
    let mut bytes = std::fs::read(&newer).unwrap();
    // The "user version" in the header (SQLite's file format, offset 60), where the format is.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&newer, &bytes).unwrap();
    assert!(refused(&newer).await.contains("99"));
    assert_eq!(std::fs::read(&newer).unwrap(), bytes);
}

async fn refused(path: &std::path::Path) -> String {
    match veobatch_ledger::SqliteLedger::open(path).await {
        Err(LedgerError::Format { found, .. }) => found,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn only_one_process_works_on_a_file(bench: &Bench) {
    let place = bench.ledger.start_worker().await.unwrap();
    let second = bench.second().await;
    if place.lock.is_none() {
        assert!(second.start_worker().await.unwrap().lock.is_none(), "any number may work here");
        return;
    }
    assert!(matches!(second.start_worker().await, Err(LedgerError::WorkerPresent)));
    // The other commands work beside it.
    admit(&second, "night", &[job("a")]).await;
    drop(place);
    assert!(second.start_worker().await.unwrap().lock.is_some());
}

pub(crate) async fn a_change_that_makes_something_due_wakes_whoever_waits(bench: &Bench) {
    let ledger = std::sync::Arc::clone(&bench.ledger);
    let (started, mut waiting) = tokio::sync::watch::channel(0_u32);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let start = ledger.start_worker().await.unwrap();
        started.send_replace(1);
        start.wake.notified().await;
    });
    waiting.wait_for(|n| *n == 1).await.unwrap();
    until("the signal comes", async || {
        admit(&bench.ledger, &format!("b{}", Nonce::random().0), &[job("a")]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        tasks.try_join_next()
    })
    .await
    .unwrap();
}
