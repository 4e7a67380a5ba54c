//! Puts that wait for the same connection share a call.
//!
//! No task and no timer: whoever comes while fewer than [`CALLS`] are under way takes everything that waits, up to
//! [`MOST`], and hands out the answers. A caller that is dropped meanwhile takes nobody with it: the others find their
//! answer missing and put again, which is harmless.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use redis::{RedisError, Script, Value};
use tokio::sync::{Semaphore, oneshot};

use super::server::Server;

/// Most puts in one call: longer scripts make the others wait.
const MOST: usize = 64;

/// Calls under way: one that runs while the next collects.
const CALLS: usize = 2;

type PutAnswer = Result<Vec<Value>, RedisError>;

/// A put that waits to be sent.
#[derive(Debug)]
struct WaitingPut {
    args: Vec<Vec<u8>>,
    answer: oneshot::Sender<PutAnswer>,
}

/// The puts that wait.
#[derive(Debug)]
pub(super) struct Collector {
    waiting: Mutex<VecDeque<WaitingPut>>,
    calls: Semaphore,
}

impl Collector {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::new(VecDeque::new()), calls: Semaphore::new(CALLS) }
    }

    /// Puts, together with others if there are some.
    pub(super) async fn put(&self, server: &Server, script: &Script, args: &[Vec<u8>]) -> PutAnswer {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.lock().push_back(WaitingPut { args: args.to_vec(), answer });
            let told = loop {
                let permit = tokio::select! {
                    biased;
                    told = &mut answered => break told,
                    permit = self.calls.acquire() => permit,
                };
                let taken = self.take();
                if taken.is_empty() {
                    // Somebody sends this put already.
                    drop(permit);
                    break answered.await;
                }
                call(server, script, taken).await;
            };
            // An answer that is missing was somebody's who was dropped: put again.
            if let Ok(answer) = told {
                return answer;
            }
        }
    }

    /// What waits, without those whose caller is gone: their time is over.
    fn take(&self) -> Vec<WaitingPut> {
        let mut waiting = self.lock();
        let mut taken = Vec::new();
        while taken.len() < MOST {
            match waiting.pop_front() {
                Some(put) if put.answer.is_closed() => {}
                Some(put) => taken.push(put),
                None => break,
            }
        }
        taken
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<WaitingPut>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends them and hands out the answers.
async fn call(server: &Server, script: &Script, puts: Vec<WaitingPut>) {
    let (args, answers): (Vec<_>, Vec<_>) = puts.into_iter().map(|put| (put.args, put.answer)).unzip();
    let args: Vec<Vec<u8>> = args.into_iter().flatten().collect();
    // A receiver that is gone wants no answer.
    match server.try_run::<Vec<Vec<Value>>>(script, &args).await {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.send(Ok(result));
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}
