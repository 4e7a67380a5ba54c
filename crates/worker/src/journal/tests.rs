use veobatch_core::{BatchId, JobId};
use veobatch_ledger::LedgerId;

use super::line::{Finding, findings};
use super::*;
use crate::runtime::blocking::inline;
use crate::runtime::disk::fault::{self, Fault};

fn journals(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(PREFIX)).collect()
}

fn ledger() -> Identity {
    Identity { id: LedgerId::parse("00000000000000aa").unwrap(), grants: None, is_copy: false }
}

fn key() -> JobKey {
    JobKey { batch: BatchId::parse("b").unwrap(), job: JobId::parse("j").unwrap() }
}

#[tokio::test]
async fn a_journal_that_grew_is_rewritten_with_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::start(dir.path(), &ledger(), false).unwrap();
    let open = Token::from_bits(7);
    journal.sending(&open, &key(), None).await.unwrap();
    journal.0.written().rewrite_at = 1000;
    for n in 100..150 {
        let token = Token::from_bits(n);
        journal.claiming(&token).await.unwrap();
        journal.settled(&token).await.unwrap();
    }
    journal.0.written().broken = true;
    journal.settled(&Token::from_bits(9)).await.unwrap();
    let [path] = journals(dir.path()).try_into().unwrap();
    let text = fs::read(path).unwrap();
    assert_eq!(findings(&text).open, [Finding::Interrupted { token: open.clone(), job: key() }]);
    assert!(text.len() < 500);
    journal.settled(&open).await.unwrap();
    journal.finish().unwrap();
    assert_eq!(journals(dir.path()).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_ledger_was_told_is_remembered_for_an_hour_where_it_may_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::start(dir.path(), &ledger(), true).unwrap();
    let paid = async |n: u128| {
        let token = Token::from_bits(n);
        journal.sending(&token, &key(), None).await.unwrap();
        journal.answer(&token, &Outcome::Unknown("reset".to_owned())).await.unwrap();
        journal.settled(&token).await.unwrap();
    };
    paid(1).await;
    journal.0.written().broken = true;
    tokio::time::advance(KEEP / 2).await;
    paid(2).await;
    assert_eq!(journal.recent().len(), 2);
    journal.finish().unwrap();
    let [path] = journals(dir.path()).try_into().unwrap();
    assert_eq!(findings(&fs::read(path).unwrap()).settled, journal.recent());

    tokio::time::advance(KEEP * 2 / 3).await;
    paid(3).await;
    assert_eq!(
        journal.recent().iter().map(Finding::token).collect::<Vec<_>>(),
        [&Token::from_bits(2), &Token::from_bits(3)]
    );
}

#[tokio::test]
async fn what_the_ledger_was_told_is_remembered_and_not_open_though_the_disk_was_full() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::start(dir.path(), &ledger(), true).unwrap();
    let (token, next) = (Token::from_bits(7), Token::from_bits(8));
    inline::set(true);
    journal.sending(&token, &key(), None).await.unwrap();
    fault::set(Some(Box::new(|_| Some(Fault::Full(5)))));
    journal.settled(&token).await.unwrap_err();
    journal.sending(&next, &key(), None).await.unwrap_err();
    fault::set(None);
    assert_eq!(journal.recent(), [Finding::Interrupted { token: token.clone(), job: key() }]);
    journal.claiming(&next).await.unwrap();
    inline::set(false);
    let [path] = journals(dir.path()).try_into().unwrap();
    let found = findings(&fs::read(path).unwrap());
    assert_eq!((found.settled, found.open), (journal.recent(), vec![Finding::NeverSent(next)]));
}

/// The first of two that wait for the disk is told that its sync failed. The system has forgotten both lines by then, and
/// has nothing left to fail about.
#[tokio::test]
async fn after_a_sync_that_failed_nothing_is_called_durable_until_it_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::start(dir.path(), &ledger(), false).unwrap();
    let (one, two, three) = (Token::from_bits(1), Token::from_bits(2), Token::from_bits(3));
    let sending = |token: &Token| Line::Sending { token: token.clone(), job: key() };
    let (first, second) = (journal.0.append(sending(&one)).unwrap(), journal.0.append(sending(&two)).unwrap());
    fault::set(Some(Box::new(|_| Some(Fault::Sync))));
    journal.0.sync(first).unwrap_err();
    fault::set(None);
    journal.0.sync(second).unwrap_err();
    journal.0.sync(first).unwrap_err();

    // Nor is it written anew as long as that cannot be synced.
    fault::set(Some(Box::new(|_| Some(Fault::Sync))));
    journal.0.append(sending(&three)).unwrap_err();
    fault::set(None);

    let old = journal.on_disk().0;
    journal.sending(&three, &key(), None).await.unwrap();
    let (path, lines) = journal.on_disk();
    assert_ne!(path, old, "a file whose sync failed is not written to again");
    let open = findings(&fs::read(path).unwrap()).open;
    assert_eq!(open, [one, two, three].map(|token| Finding::Interrupted { token, job: key() }));
    assert_eq!(lines, 3);
}

#[tokio::test]
async fn the_journal_of_a_process_is_locked_while_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::start(dir.path(), &ledger(), false).unwrap();
    let [path] = journals(dir.path()).try_into().unwrap();
    let second = File::options().append(true).open(path).unwrap();
    assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
    drop(journal);
    assert!(second.try_lock().is_ok());
}
