//! Storing a change: the arguments of `put.lua`, and its answer. Puts that wait for the same connection share a call.

use redis::{RedisError, Value};
use serde_json::json;
use veobatch_core::{Facets, Flight, millis};

use super::connection::meaning;
use super::ledger::RedisLedger;
use super::reply::Reply;
use super::row::{damaged, job_key};
use crate::{Arrival, GateReport, LedgerError, Put, Settle, Version};

impl RedisLedger {
    pub(super) async fn put_one(&self, put: &Put) -> Result<Version, LedgerError> {
        let answer = self.collector.put(&self.server, &self.scripts.put, &arguments(put)?).await;
        self.stored(answer)
    }

    /// What the script says of one put.
    fn stored(&self, answer: Result<Vec<Value>, RedisError>) -> Result<Version, LedgerError> {
        let mut reply = Reply::of(answer.map_err(|error| meaning(&error))?);
        let word: String = reply.take()?;
        match word.as_str() {
            "ok" => {
                let version = Version(reply.take()?);
                if reply.take()? {
                    self.wake.wake();
                }
                Ok(version)
            }
            "changed" => Err(LedgerError::Changed),
            "lost" => Err(LedgerError::LostLease),
            "taken" => {
                let batch: String = reply.take()?;
                let job: Vec<u8> = reply.take()?;
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
