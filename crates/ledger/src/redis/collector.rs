//! Puts that wait for the same connection share a call.
//!
//! No task and no timer: whoever comes while fewer than [`CALLS`] are under way takes everything that waits, up to
//! [`MOST`], and hands out the answers. A caller that is dropped meanwhile takes nobody with it: the others find their
//! answer missing and put again, which is harmless.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use redis::{RedisError, Value};
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};
use veobatch_core::{Facets, Flight, millis};

use super::RedisLedger;
use super::answers::{damaged, job_key};
use super::connection::meaning;
use crate::{Arrival, GateReport, LedgerError, Put, Settle, Version};

/// Most puts in one call: longer scripts make the others wait.
const MOST: usize = 64;

/// Calls under way: one that runs while the next collects.
const CALLS: usize = 2;

type Answer = Result<Vec<Value>, RedisError>;

/// A put that waits to be sent.
#[derive(Debug)]
struct Waiting {
    args: Vec<Vec<u8>>,
    answer: oneshot::Sender<Answer>,
}

/// The puts that wait.
#[derive(Debug)]
pub(super) struct Collector {
    waiting: Mutex<VecDeque<Waiting>>,
    calls: Semaphore,
}

impl Collector {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::new(VecDeque::new()), calls: Semaphore::new(CALLS) }
    }

    /// Puts, together with others if there are some.
    pub(super) async fn put(&self, ledger: &RedisLedger, put: &Put) -> Result<Version, LedgerError> {
        let args = arguments(put)?;
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.lock().push_back(Waiting { args: args.clone(), answer });
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
                call(ledger, taken).await;
            };
            // An answer that is missing was somebody's who was dropped: put again.
            if let Ok(answer) = told {
                return ledger.told(answer);
            }
        }
    }

    /// What waits, without those whose caller is gone: their time is over.
    fn take(&self) -> Vec<Waiting> {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends them and hands out the answers.
async fn call(ledger: &RedisLedger, puts: Vec<Waiting>) {
    let (args, answers): (Vec<_>, Vec<_>) = puts.into_iter().map(|put| (put.args, put.answer)).unzip();
    let args: Vec<Vec<u8>> = args.into_iter().flatten().collect();
    // A receiver that is gone wants no answer.
    match ledger.server.try_run::<Vec<Vec<Value>>>(&ledger.scripts.put, &args).await {
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

impl RedisLedger {
    /// What the script says of one put.
    fn told(&self, answer: Answer) -> Result<Version, LedgerError> {
        let unread = |error: redis::ParsingError| LedgerError::Damaged(error.to_string());
        let mut parts = answer.map_err(|error| meaning(&error))?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let word: String = redis::from_redis_value(next()).map_err(unread)?;
        match word.as_str() {
            "ok" => {
                let version = Version(redis::from_redis_value(next()).map_err(unread)?);
                if redis::from_redis_value(next()).map_err(unread)? {
                    self.nudge.notify_waiters();
                }
                Ok(version)
            }
            "changed" => Err(LedgerError::Changed),
            "lost" => Err(LedgerError::LostLease),
            "taken" => {
                let batch: String = redis::from_redis_value(next()).map_err(unread)?;
                let job: Vec<u8> = redis::from_redis_value(next()).map_err(unread)?;
                Err(LedgerError::TaskTaken { by: job_key(&batch, &job)? })
            }
            other => Err(damaged("the answer to a put", other.as_bytes())),
        }
    }
}

/// The arguments of one put, nine of them.
fn arguments(put: &Put) -> Result<Vec<Vec<u8>>, LedgerError> {
    let Facets { state, due, priority, flight, credits } = put.facets;
    let (lane, due) = due.map_or(("-", "-".to_owned()), |(lane, at)| (lane.as_str(), at.as_millis().to_string()));
    let flight = match flight {
        Flight::None => "-".to_owned(),
        Flight::Until(at) => at.as_millis().to_string(),
        Flight::Unlimited => "*".to_owned(),
    };
    Ok(vec![
        put.job.batch.to_string().into_bytes(),
        put.job.seq.to_string().into_bytes(),
        put.version.0.to_string().into_bytes(),
        put.fence.as_ref().map_or_else(Vec::new, |fence| fence.0.clone().into_bytes()),
        format!("{:016x}", put.nonce.0).into_bytes(),
        due.into_bytes(),
        format!("{} {lane} {priority} {flight} {}", state.as_str(), credits.as_millis()).into_bytes(),
        put.body.clone(),
        more(put)?,
    ])
}

/// What few puts bring: the task that the job owns from now on, what its file says by now, and the end of a paid call, as
/// `account_state.lua` reads it.
fn more(put: &Put) -> Result<Vec<u8>, LedgerError> {
    let mut all = serde_json::Map::new();
    if let Some(task) = &put.task {
        all.insert("task".to_owned(), json!(task));
    }
    if let Some(spec) = &put.spec {
        all.insert("spec".to_owned(), json!(String::from_utf8_lossy(&spec.to_bytes())));
    }
    if let Some(settle) = &put.settle {
        settlement(settle, &mut all);
    }
    if all.is_empty() { Ok(Vec::new()) } else { Ok(serde_json::to_vec(&all)?) }
}

fn settlement(settle: &Settle, all: &mut serde_json::Map<String, serde_json::Value>) {
    let arrival = match settle.arrival {
        Arrival::Ago(ago) | Arrival::Answered { ago, .. } => json!(millis(ago)),
        Arrival::Never => json!("never"),
        Arrival::Unknown => json!("unknown"),
    };
    let report = match &settle.gate {
        GateReport::Healthy => json!({ "gate": "healthy" }),
        GateReport::Troubled { why, wait } => json!({ "gate": "troubled", "why": why, "wait": millis(*wait) }),
        GateReport::Closed { why, wait, no_credits, too_many } => {
            json!({ "gate": "closed", "why": why, "wait": millis(*wait), "no_credits": no_credits, "too_many": too_many })
        }
        GateReport::Silent => json!({ "gate": "silent" }),
    };
    if let Arrival::Answered { took, .. } = settle.arrival {
        all.insert("took".to_owned(), json!(millis(took)));
    }
    all.insert("token".to_owned(), json!(settle.token));
    all.insert("arrival".to_owned(), arrival);
    if let serde_json::Value::Object(report) = report {
        all.extend(report);
    }
}
