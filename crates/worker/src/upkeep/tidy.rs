//! Removes part files that nobody will resume from the output directory.

use std::time::Duration;

use async_trait::async_trait;
use veobatch_ledger::LedgerError;

use crate::runtime::blocking::Slow;
use crate::runtime::supervise::{PeriodicTask, SHORT_TICK_LIMIT};
use crate::save::output::{Output, PART_EXPIRY};

/// Removes old part files.
#[derive(Debug)]
pub(crate) struct OldParts {
    output: Output,
    removal: Slow<()>,
}

impl OldParts {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, removal: Slow::default() }
    }
}

#[async_trait]
impl PeriodicTask for OldParts {
    fn name(&self) -> &'static str {
        "remove old part files"
    }

    fn time_limit(&self) -> Duration {
        2 * SHORT_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        let output = self.output.clone();
        // A large directory may take longer, and a hanging disk for ever: the next tick waits for the same work.
        let done = self.removal.run(SHORT_TICK_LIMIT, move || output.remove_old_parts()).await;
        Ok(if done.is_some() { PART_EXPIRY } else { SHORT_TICK_LIMIT })
    }
}
