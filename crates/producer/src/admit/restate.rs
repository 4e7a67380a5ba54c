//! What files say anew of how to work at jobs that are known: it is set, chunk by chunk, and told.
//!
//! The changes of a chunk are under way at the same time, so the ledger makes many in one transaction, or in one call.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream;
use serde::Serialize;
use veobatch_core::{BatchId, Record};
use veobatch_ledger::{Changed, Ledger, LedgerError, NoRetry, Restatement, STAGE_CHUNK};

use super::chunks::chunks;
use super::error::AdmitError;
use crate::check::checked::Checked;

/// Known jobs for which a file says something else than the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// Which field.
    pub field: &'static str,
    /// What held before.
    pub from: i64,
    /// What holds now.
    pub to: i64,
    /// How many jobs.
    pub jobs: u64,
}

/// What was set, or would be, by field and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyChanges(BTreeMap<(&'static str, i64, i64), u64>);

impl PolicyChanges {
    /// Counts what would be set.
    pub(crate) fn foresee(&mut self, Restatement { stored, says }: &Restatement) {
        let restated = stored.spec.policy.restated(*says);
        let Record { priority, max_attempts, .. } = &stored.record;
        self.add("priority", *priority, restated.priority.unwrap_or(*priority));
        self.add("max_attempts", *max_attempts, restated.max_attempts.unwrap_or(*max_attempts));
    }

    /// Counts what was set.
    fn count(&mut self, from: &Record, to: &Record) {
        self.add("priority", from.priority, to.priority);
        self.add("max_attempts", from.max_attempts, to.max_attempts);
    }

    fn add<T: Into<i64>>(&mut self, field: &'static str, from: T, to: T) {
        let (from, to) = (from.into(), to.into());
        if from != to {
            *self.0.entry((field, from, to)).or_default() += 1;
        }
    }

    /// As a list, what concerns most jobs first.
    pub(crate) fn list(&self) -> Vec<PolicyChange> {
        let change =
            |(&(field, from, to), &jobs): (&(&'static str, i64, i64), &u64)| PolicyChange { field, from, to, jobs };
        let mut list: Vec<_> = self.0.iter().map(change).collect();
        list.sort_by_key(|change| std::cmp::Reverse(change.jobs));
        list
    }
}

/// Sets what the files say anew of how to work at known jobs that are neither done nor cancelled. Moves none of them.
/// Returns the batches in which something changed.
///
/// # Errors
/// As [`crate::admit()`]; some jobs may be changed then, and the same call may be repeated.
pub async fn restate(ledger: &dyn Ledger, checked: &Checked) -> Result<Vec<(BatchId, Vec<PolicyChange>)>, AdmitError> {
    let mut changes = vec![PolicyChanges::default(); checked.batches.len()];
    let mut chunks = chunks(checked);
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk?;
        let n = chunk.batch as usize;
        let (Some(batch), Some(changes)) = (checked.batches.get(n), changes.get_mut(n)) else { continue };
        let restated = ledger.compare(batch, &chunk.jobs).await?.restated;
        let mut set = stream::iter(restated)
            .map(async |restatement| veobatch_ledger::restate(ledger, restatement, &mut NoRetry).await)
            .buffer_unordered(STAGE_CHUNK);
        while let Some(result) = set.next().await {
            match result {
                Ok(Changed::Moved { from, to }) => changes.count(&from, &to),
                // Somebody else was faster, has ended or forgotten it; or this program cannot read it any more.
                Ok(Changed::Same(_) | Changed::Lost)
                | Err(LedgerError::UnknownBatch(_) | LedgerError::Unreadable { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let of = checked.batches.iter().cloned().zip(changes.iter().map(PolicyChanges::list));
    Ok(of.filter(|(_, changes)| !changes.is_empty()).collect())
}
