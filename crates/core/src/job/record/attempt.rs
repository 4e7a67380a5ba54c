//! One try to submit a job.

use serde::{Deserialize, Serialize};

use crate::job::defaults::is_default;
use crate::money::Credits;
use crate::names::id::Token;
use crate::time::Timestamp;

/// One try to submit a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its token.
    #[serde(rename = "t")]
    pub token: Token,
    /// 1 for the first.
    #[serde(rename = "n")]
    pub number: u32,
    /// When its intent was written.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// What was set aside for it in its claim.
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    pub price: Credits,
}

/// An attempt that may have been paid for, while the job's state is about something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAttempt {
    /// Which attempt.
    #[serde(rename = "a")]
    pub attempt: Attempt,
    /// Why nobody knows whether it was paid for.
    #[serde(rename = "w")]
    pub why: String,
    /// The service called back for it without saying which task it is.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub called: bool,
}
