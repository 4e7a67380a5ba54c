//! The account's balance around a paid call whose outcome is unknown: evidence for a person, which moves nothing by itself.

use serde::{Deserialize, Serialize};

use super::credits::Credits;
use crate::time::Timestamp;

/// What the balance was before and after an attempt in doubt, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// The last one that was known before the attempt's intent was written.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Reading>,
    /// One that was read a moment after the doubt arose.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Reading>,
    /// Other submissions that the process which read both sent in between, at most. Others may have sent more.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub others: u64,
}

/// A balance, as it was read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// How much was left.
    #[serde(rename = "c")]
    pub credits: Credits,
    /// When the service said so, by the ledger's clock.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

impl Balances {
    /// How much less there was after than before; negative if there was more. `None` unless both are known.
    pub fn spent(&self) -> Option<Credits> {
        Some(self.before?.credits - self.after?.credits)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
