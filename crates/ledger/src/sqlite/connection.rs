//! The threads that talk to the file: one writes, one reads.
//!
//! The writer takes every operation that waits (at most [`GROUP`]), runs them in one transaction, commits, and only then
//! answers: what an answer says is durable. A group that changed nothing costs no sync.
//!
//! Operations check before they write, so one that is refused leaves nothing behind and hurts nobody. One that fails after
//! it began to write (the disk is full, the file is damaged) undoes its whole group: it is told why, the others to ask
//! again. (A savepoint for each would hurt nobody either, but copies every page that an operation touches: half the speed.)
//!
//! In a simulation there is no thread: the caller runs its operation itself, as a group of one.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;
use veobatch_core::Timestamp;

use super::clock::Clock;
use super::row::{get_time, put_time};
use super::transaction::Transaction;
use super::{marks, schema};
use crate::{LedgerError, Wake};

/// Most operations in one transaction.
const GROUP: usize = 512;

/// While the wall clock is behind, the time is stored so often even if nothing changes.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// After a commit, for a second process that waits for the file: it tries every 300 µs.
const PAUSE: Duration = Duration::from_micros(100);

type Reply = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;
/// Given a transaction, or why there can be none; says whether it failed.
type Operation = Box<dyn FnOnce(Result<&mut Transaction<'_>, &LedgerError>) -> (bool, Reply) + Send>;

/// Whoever has a connection of their own.
#[derive(Debug)]
pub(super) struct ConnectionThread(Executor);

#[derive(Debug)]
enum Executor {
    Thread { queue: Option<Sender<Operation>>, thread: Option<JoinHandle<()>> },
    Caller(Mutex<Writer>),
}

impl ConnectionThread {
    /// The one that writes. `alone`: no other process can have this file open.
    pub(super) fn writing(sql: Connection, clock: Arc<Clock>, wake: Wake, alone: bool) -> Result<Self, LedgerError> {
        Self::start("ledger-writer", move |queue| {
            let mut writer = Writer { sql, clock, wake };
            while let Some(group) = next_group(queue) {
                writer.run(group);
                if !alone {
                    std::thread::sleep(PAUSE);
                }
            }
        })
    }

    /// The one that reads.
    pub(super) fn reading(sql: Connection, clock: Arc<Clock>) -> Result<Self, LedgerError> {
        Self::start("ledger-reader", move |queue| {
            while let Ok(operation) = queue.recv() {
                let (_, answer) = operation(Ok(&mut Transaction::new(&sql, clock.read())));
                answer(Ok(()));
            }
        })
    }

    /// No thread: whoever asks does it.
    pub(super) fn here(sql: Connection, clock: Arc<Clock>, wake: Wake) -> Self {
        Self(Executor::Caller(Mutex::new(Writer { sql, clock, wake })))
    }

    /// Works with the connection itself, where no thread has it.
    #[cfg(feature = "simulated")]
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        match &self.0 {
            Executor::Caller(writer) => work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner).sql),
            Executor::Thread { .. } => Err(LedgerError::Unavailable("a thread has it".to_owned())),
        }
    }

    fn start(name: &str, work: impl FnOnce(&Receiver<Operation>) + Send + 'static) -> Result<Self, LedgerError> {
        let (queue, operations) = channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&operations))
            .map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        Ok(Self(Executor::Thread { queue: Some(queue), thread: Some(thread) }))
    }

    /// Has `operation` done; resolves once its outcome is durable.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Transaction<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let operation: Operation = Box::new(move |tx| {
            let result = tx.map_err(Clone::clone).and_then(operation);
            let failed = result.is_err();
            let answer: Reply = Box::new(move |committed| {
                // Nobody waits any more: the outcome is the same.
                let _ = answer.send(committed.and(result));
            });
            (failed, answer)
        });
        let closed = || LedgerError::Unavailable("the ledger is closed".to_owned());
        match &self.0 {
            Executor::Thread { queue, .. } => {
                queue.as_ref().ok_or_else(closed)?.send(operation).map_err(|_| closed())?;
            }
            Executor::Caller(writer) => writer.lock().unwrap_or_else(PoisonError::into_inner).run(vec![operation]),
        }
        answered.await.map_err(|_| closed())?
    }
}

impl Drop for ConnectionThread {
    fn drop(&mut self) {
        let Executor::Thread { queue, thread } = &mut self.0 else { return };
        *queue = None;
        if let Some(thread) = thread.take() {
            // A thread that panicked has told its story already.
            let _ = thread.join();
        }
    }
}

fn next_group(queue: &Receiver<Operation>) -> Option<Vec<Operation>> {
    let mut group = vec![queue.recv().ok()?];
    group.extend(queue.try_iter().take(GROUP - 1));
    Some(group)
}

#[derive(Debug)]
struct Writer {
    sql: Connection,
    clock: Arc<Clock>,
    wake: Wake,
}

impl Writer {
    fn run(&mut self, group: Vec<Operation>) {
        let mut answers = Vec::with_capacity(group.len());
        let mut operations = group.into_iter();
        let committed = self.commit(&mut operations, &mut answers);
        for answer in answers {
            answer(committed.as_ref().map(|_| ()).map_err(Clone::clone));
        }
        let why = committed.as_ref().err().cloned().unwrap_or(LedgerError::Changed);
        for operation in operations {
            let (_, answer) = operation(Err(&why));
            answer(Ok(()));
        }
        if matches!(committed, Ok(true)) {
            self.wake.wake_next();
        }
    }

    fn commit(
        &mut self,
        operations: &mut dyn Iterator<Item = Operation>,
        answers: &mut Vec<Reply>,
    ) -> Result<bool, LedgerError> {
        let said = |error: rusqlite::Error| LedgerError::Unavailable(error.to_string());
        let transaction = self.sql.transaction_with_behavior(TransactionBehavior::Immediate).map_err(said)?;
        schema::check_format(&transaction).map_err(LedgerError::Unavailable)?;
        marks::check_usable(&transaction)?;
        let before = transaction.total_changes();
        let stored = stored_clock(&transaction).map_err(said)?;
        let clock = self.clock.at_least(stored);
        let mut tx = Transaction::new(&transaction, clock);
        for operation in operations {
            let written = transaction.total_changes();
            let (failed, answer) = operation(Ok(&mut tx));
            if failed && transaction.total_changes() != written {
                transaction.rollback().map_err(said)?;
                answer(Ok(()));
                return Err(LedgerError::Unavailable("another operation of its group failed".to_owned()));
            }
            answers.push(answer);
        }
        let wakes = tx.wakes;
        // Other processes see how far it is only by what is stored: a wall clock that is behind tells them nothing.
        let is_late = !clock.ahead().is_zero() && clock.now.since(stored) >= STORED_WITHIN;
        let is_changed = transaction.total_changes() != before;
        if is_changed {
            marks::stamp(&transaction, clock.now).map_err(said)?;
        }
        if is_changed || is_late {
            store_clock(&transaction, clock.now).map_err(said)?;
        }
        transaction.commit().map_err(said)?;
        Ok(wakes)
    }
}

fn stored_clock(sql: &Connection) -> rusqlite::Result<Timestamp> {
    sql.prepare_cached("SELECT ledger_time FROM account")?.query_row([], |row| get_time(row, 0))
}

fn store_clock(sql: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    sql.prepare_cached("UPDATE account SET ledger_time = ?")?.execute([put_time(now)])
}
