//! The stored forms of a record: its body, and the intent that the ledger keeps beside it.

use super::Record;
use super::attempt::Attempt;
use super::compact::Short;
use super::state::{Intent, State};
use crate::job::spec::Spec;

impl Record {
    /// Reads what the ledger stores: the body (absent until the first change) and the intent beside it.
    ///
    /// `spec` is needed only where there is no body.
    pub fn load(body: Option<&[u8]>, intent: Option<Intent>, spec: &Spec) -> Result<Self, serde_json::Error> {
        let mut record = match body {
            Some(body) if Short::is(body) => Short::read(body)?,
            Some(body) => serde_json::from_slice(body)?,
            None => Self::fresh(spec),
        };
        if let Some(Intent { token, at, credits }) = intent {
            let (number, price) = (record.attempts + 1, credits.saturating_sub(record.credits));
            record.state = State::Submitting { attempt: Attempt { token, number, at, price } };
            record.credits = credits;
        }
        Ok(record)
    }

    /// The body to store. The intent is the ledger's: `submitting` is stored as `queued` beneath it.
    pub fn body(&self) -> Vec<u8> {
        let bytes = match &self.state {
            State::Submitting { attempt } => {
                let credits = self.credits.saturating_sub(attempt.price);
                serde_json::to_vec(&Self { state: State::Queued { due: None }, credits, ..self.clone() })
            }
            State::Queued { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::Done { .. }
            | State::InDoubt { .. }
            | State::Failed { .. }
            | State::Cancelled => serde_json::to_vec(self),
        };
        bytes.unwrap_or_default()
    }
}
