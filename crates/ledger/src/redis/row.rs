//! The row of a job: what the scripts answer, read into the ledger's own types.

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use veobatch_core::{BatchId, Credits, Intent, JobId, JobKey, StateName, Timestamp, Token};

use crate::LedgerError;
use crate::ledger::job::{Claimed, Fence, JobRef, Lease, Stored, Version};
use crate::ledger::unreadable::Unreadable;

pub(super) use crate::digest::CLASS_MARK;

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
    /// The job's name, which is known even where the rest cannot be read.
    pub(super) fn key(&self) -> Result<JobKey, LedgerError> {
        let id = self.job.as_deref().map(|job| split(job).0);
        // Where the spec was not brought, the second line of the state.
        let named = || self.state.as_deref().and_then(|state| split(state).1).map(|rest| split(rest).0);
        let id = id.or_else(named).unwrap_or_default();
        let named = job_id(id).or_else(|error| Unreadable::name(self.place()).ok_or(error))?;
        Ok(JobKey { batch: batch_id(&self.name)?, job: named })
    }

    /// Where it is.
    pub(super) fn place(&self) -> JobRef {
        JobRef { batch: self.batch, seq: self.seq }
    }

    /// The job, or that this program cannot read it.
    pub(super) fn stored(&self, now: Timestamp) -> Result<Result<Stored, Unreadable>, LedgerError> {
        let key = self.key()?;
        let read = self.read(key.clone(), now);
        Ok(read.map_err(|why| Unreadable::new(key, self.place(), self.state_name(), &why, now)))
    }

    fn read(&self, key: JobKey, now: Timestamp) -> Result<Stored, String> {
        let (head, rest) = self.state.as_deref().map(split).unzip();
        let head = head.map(Head::parse).transpose()?.unwrap_or_default();
        let body = rest.flatten().and_then(|rest| split(rest).1).filter(|body| !body.is_empty());
        let spec = self.job.as_deref().and_then(|job| split(job).1);
        let mut stored = Stored::assemble(key, self.place(), spec, body, head.intent, Version(head.version), now)?;
        stored.leased_until = (self.leased > now.as_millis()).then(|| Timestamp::from_millis(self.leased));
        Ok(stored)
    }

    /// The fourth word of the state's header; a fresh job has none.
    fn state_name(&self) -> Option<StateName> {
        let Some(state) = self.state.as_deref() else { return Some(StateName::Queued) };
        StateName::parse(std::str::from_utf8(split(state).0).ok()?.split(' ').nth(3)?)
    }

    /// The job under its lease, or that this program cannot read it.
    pub(super) fn claimed(self, now: Timestamp) -> Result<Result<Claimed, Unreadable>, LedgerError> {
        let fence = Fence(self.fence.clone());
        let lease = Lease { job: self.place(), fence: fence.clone() };
        Ok(match self.stored(now)? {
            Ok(stored) => Ok(Claimed { stored, lease, deliveries: self.deliveries, grant: None }),
            Err(job) => Err(Unreadable { fence: Some(fence), ..job }),
        })
    }
}

/// What the client needs of a state's header (`headed` in `prelude.lua`).
#[derive(Debug, Default, PartialEq)]
struct Head {
    version: u64,
    intent: Option<Intent>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
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
        read().ok_or_else(|| format!("its state reads {:?}", String::from_utf8_lossy(bytes)))
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
        let stored = row(None).stored(Timestamp::from_millis(5)).unwrap().unwrap();
        assert_eq!(stored.key.to_string(), "garden/cat-01");
        assert_eq!((stored.version, stored.record.state.name()), (Version(0), StateName::Queued));
        assert_eq!(stored.spec.prompt, "a cat");
    }

    #[test]
    fn an_intent_is_read_as_submitting() {
        let token = Token::from_bits(7);
        let state = format!("3 - - submitting - 0 * 60000 {token} 42\ncat-01\n");
        let stored = row(Some(&state)).stored(Timestamp::from_millis(5)).unwrap().unwrap();
        assert_eq!((stored.version, stored.record.state.name()), (Version(3), StateName::Submitting));
    }

    #[test]
    fn a_header_that_cannot_be_read_makes_its_job_unreadable_and_nothing_else() {
        let job = row(Some("x y\n{}")).stored(Timestamp::default()).unwrap().unwrap_err();
        assert_eq!((job.key.to_string().as_str(), job.state), ("garden/cat-01", None));
        assert!(job.why.contains("x y"), "{job:?}");
        let nameless = Row { job: None, ..row(Some("x y\n/\n{}")) };
        assert_eq!(nameless.key().unwrap().to_string(), "garden/unreadable-7");
    }
}
