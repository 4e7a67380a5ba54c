//! The row of a job as an export has it.

use redis::{FromRedisValue, Value};
use veobatch_core::StateName;

use crate::digest::CLASS_MARK;
use crate::transfer::{Bytes, Job, Unreadable, digits};

/// A job as `page.lua` returns it.
pub(super) struct Row {
    entry: Vec<u8>,
    state: Vec<u8>,
    kept: (Vec<u8>, Vec<u8>, String, Vec<u8>, String),
    due: (String, String),
    flight: String,
    rank: String,
    unreadable: String,
}

impl FromRedisValue for Row {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let (entry, state, id, digest, version, body, credits, lane, due, flight, rank, unreadable) =
            redis::from_redis_value(value)?;
        let kept = (id, digest, version, body, credits);
        Ok(Self { entry, state, kept, due: (lane, due), flight, rank, unreadable })
    }
}

/// Splits at the first `mark`.
fn split(bytes: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    let mut parts = bytes.splitn(2, |byte| *byte == mark);
    (parts.next().unwrap_or_default(), parts.next())
}

/// A time as a score.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are far below 2^53")]
fn score(text: &str) -> Option<u64> {
    text.parse::<f64>().ok().map(|ms| ms.max(0.0) as u64)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Row {
    /// As an export has it.
    pub(super) fn job(self, batch: u32, seq: u32) -> Job {
        let (head, spec) = split(&self.entry, b'\n');
        let (id, class) = split(head, CLASS_MARK);
        let (kept_id, digest, version, body, credits) = &self.kept;
        let is_dropped = !kept_id.is_empty();
        let mut job = Job {
            batch,
            seq,
            id: lossy(if self.entry.is_empty() { kept_id } else { id }),
            state: StateName::Queued.as_str().to_owned(),
            spec: spec.map(|spec| Bytes(spec.to_vec())),
            class: class.map(lossy),
            priority: self.rank.parse().unwrap_or_default(),
            due: score(&self.due.1).map(|at| (self.due.0.clone(), at)),
            flight: score(&self.flight),
            digest: is_dropped.then(|| digits(digest)),
            unreadable: self
                .unreadable
                .split_once(' ')
                .and_then(|(since, why)| Some(Unreadable { since: since.parse().ok()?, why: why.to_owned() })),
            ..Job::default()
        };
        if self.state.is_empty() && is_dropped {
            StateName::Done.as_str().clone_into(&mut job.state);
            job.compact = true;
            job.version = version.parse().unwrap_or_default();
            job.credits = credits.parse().unwrap_or_default();
            job.body = Some(Bytes(body.clone()));
        } else if !self.state.is_empty() && headed(&mut job, &self.state).is_none() {
            "unknown".clone_into(&mut job.state);
            job.entry = Some(Bytes(self.state));
        }
        job
    }
}

/// Reads an entry of `:s` (`headed` in `prelude.lua`); `None` if it is not what this format knows.
fn headed(job: &mut Job, stored: &[u8]) -> Option<()> {
    let (head, rest) = split(stored, b'\n');
    let (id, body) = split(rest?, b'\n');
    let words: Vec<&str> = std::str::from_utf8(head).ok()?.split(' ').collect();
    let [version, _nonce, _due, state, _lane, priority, _flight, credits, token, at] = words.as_slice() else {
        return None;
    };
    let attempt = (*token != "-").then(|| Some(((*token).to_owned(), at.parse().ok()?)));
    let (version, credits) = (version.parse().ok()?, credits.parse().ok()?);
    if let Some(attempt) = attempt {
        job.attempt = Some(attempt?);
    }
    (job.version, job.credits) = (version, credits);
    (*state).clone_into(&mut job.state);
    job.priority = if *state == StateName::Queued.as_str() { priority.parse().unwrap_or_default() } else { 0 };
    job.body = body.filter(|body| !body.is_empty()).map(|body| Bytes(body.to_vec()));
    if job.id.is_empty() {
        job.id = lossy(id);
    }
    Some(())
}
