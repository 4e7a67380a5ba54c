//! What the scripts answer, read into the ledger's own types.

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use veobatch_core::{BatchId, Credits, Intent, JobId, JobKey, StateName, Timestamp, Token};

use crate::LedgerError;
use crate::job::{Claimed, Fence, JobRef, Lease, Stored, Version};

/// Between a job's id and its price class: no id has it.
pub(super) const CLASS_MARK: u8 = 0x1f;

/// A job as the scripts return it (`row` in `prelude.lua`).
#[derive(Debug)]
pub(super) struct Row {
    batch: u32,
    seq: u32,
    name: String,
    job: Option<Vec<u8>>,
    state: Option<Vec<u8>>,
    leased: u64,
    fence: String,
    deliveries: u32,
}

impl FromRedisValue for Row {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (batch, seq, name, job, state, leased, fence, deliveries) = from_redis_value(value)?;
        Ok(Self { batch, seq, name, job, state, leased, fence, deliveries })
    }
}

impl Row {
    pub(super) fn stored(self, now: Timestamp) -> Result<Stored, LedgerError> {
        let (head, rest) = self.state.as_deref().map(split).unzip();
        let head = head.map(Head::parse).transpose()?.unwrap_or_default();
        let (name, body) = rest.flatten().map(split).unzip();
        let (id, spec) = self.job.as_deref().map(split).unzip();
        let key = JobKey { batch: batch_id(&self.name)?, job: job_id(id.or(name).unwrap_or_default())? };
        let (spec, body) = (spec.flatten(), body.flatten().filter(|body| !body.is_empty()));
        let job = JobRef { batch: self.batch, seq: self.seq };
        let mut stored = Stored::assemble(key, job, spec, body, head.intent, Version(head.version), now)?;
        stored.leased_until = (self.leased > now.as_millis()).then(|| Timestamp::from_millis(self.leased));
        Ok(stored)
    }

    pub(super) fn claimed(self, now: Timestamp) -> Result<Claimed, LedgerError> {
        let lease = Lease { job: JobRef { batch: self.batch, seq: self.seq }, fence: Fence(self.fence.clone()) };
        let deliveries = self.deliveries;
        Ok(Claimed { stored: self.stored(now)?, lease, deliveries })
    }
}

/// What the client needs of a state's header (`headed` in `prelude.lua`).
#[derive(Debug, Default, PartialEq)]
struct Head {
    version: u64,
    intent: Option<Intent>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, LedgerError> {
        let read = || {
            let text = std::str::from_utf8(bytes).ok()?;
            let words: Vec<&str> = text.split(' ').collect();
            let [version, _nonce, _due, state, _lane, _priority, _flight, credits, token, at] = words.as_slice() else {
                return None;
            };
            let intent = match StateName::parse(state)? {
                StateName::Submitting => Some(Intent {
                    token: Token::parse(token)?,
                    at: Timestamp::from_millis(at.parse().ok()?),
                    credits: Credits::from_millis(credits.parse().ok()?),
                }),
                StateName::Queued
                | StateName::Generating
                | StateName::Upscaling
                | StateName::Downloading
                | StateName::Done
                | StateName::Failed
                | StateName::InDoubt
                | StateName::Cancelled => None,
            };
            Some(Self { version: version.parse().ok()?, intent })
        };
        read().ok_or_else(|| damaged("a job's state", bytes))
    }
}

/// Splits at the first line break.
fn split(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    (parts.next().unwrap_or_default(), parts.next())
}

fn batch_id(name: &str) -> Result<BatchId, LedgerError> {
    BatchId::parse(name).map_err(|_| damaged("a batch's name", name.as_bytes()))
}

/// The id in the first line of an entry in `:j`, where the price class stands behind it.
fn job_id(bytes: &[u8]) -> Result<JobId, LedgerError> {
    let id = bytes.split(|byte| *byte == CLASS_MARK).next().unwrap_or_default();
    std::str::from_utf8(id).ok().and_then(|text| JobId::parse(text).ok()).ok_or_else(|| damaged("a job's name", bytes))
}

/// The name of a job, from its batch's name and its entry in `:j`.
pub(super) fn job_key(batch: &str, job: &[u8]) -> Result<JobKey, LedgerError> {
    Ok(JobKey { batch: batch_id(batch)?, job: job_id(split(job).0)? })
}

pub(super) fn damaged(what: &str, bytes: &[u8]) -> LedgerError {
    LedgerError::Damaged(format!("{what} reads {:?}", String::from_utf8_lossy(bytes)))
}

/// A point in time that may be absent.
pub(super) fn when(ms: u64) -> Option<Timestamp> {
    (ms > 0).then(|| Timestamp::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: Option<&str>) -> Row {
        Row {
            batch: 1,
            seq: 7,
            name: "garden".into(),
            job: Some(b"cat-01\x1fveo3_fast/720p\n{\"p\":\"a cat\"}".to_vec()),
            state: state.map(|text| text.as_bytes().to_vec()),
            leased: 0,
            fence: String::new(),
            deliveries: 0,
        }
    }

    #[test]
    fn a_job_without_an_entry_is_fresh() {
        let stored = row(None).stored(Timestamp::from_millis(5)).unwrap();
        assert_eq!(stored.key.to_string(), "garden/cat-01");
        assert_eq!((stored.version, stored.record.state.name()), (Version(0), StateName::Queued));
        assert_eq!(stored.spec.prompt, "a cat");
    }

    #[test]
    fn an_intent_is_read_as_submitting() {
        let token = Token::from_bits(7);
        let state = format!("3 - - submitting - 0 * 60000 {token} 42\ncat-01\n");
        let stored = row(Some(&state)).stored(Timestamp::from_millis(5)).unwrap();
        assert_eq!((stored.version, stored.record.state.name()), (Version(3), StateName::Submitting));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_damage() {
        assert!(matches!(row(Some("x y\n{}")).stored(Timestamp::default()), Err(LedgerError::Damaged(_))));
    }
}
