//! The answer of a script or a pipeline, read part by part.

use redis::{FromRedisValue, Value};
use veobatch_core::Timestamp;
use veobatch_core::account::Blocked;

use super::row::damaged;
use crate::LedgerError;

/// What is left to be read of an answer.
#[derive(Debug)]
pub(super) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(super) fn of(parts: Vec<Value>) -> Self {
        Self(parts.into_iter())
    }

    /// The next part.
    pub(super) fn take<T: FromRedisValue>(&mut self) -> Result<T, LedgerError> {
        read(self.0.next().unwrap_or(Value::Nil))
    }

    /// The next part, a time in ms.
    pub(super) fn time(&mut self) -> Result<Timestamp, LedgerError> {
        self.take().map(Timestamp::from_millis)
    }

    /// The next part, why nothing is granted.
    pub(super) fn blocked(&mut self) -> Result<Blocked, LedgerError> {
        let word: String = self.take()?;
        Blocked::parse(&word).ok_or_else(|| damaged("the answer to a claim", word.as_bytes()))
    }
}

/// Reads one value.
pub(super) fn read<T: FromRedisValue>(value: Value) -> Result<T, LedgerError> {
    redis::from_redis_value(value).map_err(|error| LedgerError::Damaged(error.to_string()))
}
