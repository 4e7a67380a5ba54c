//! Whether strays are still being followed or saved, once the jobs themselves are at rest.
//!
//! The counts of a batch do not show that. What is due in a lane does, for the whole ledger; only if something is due, and only
//! certain batches matter, their settled jobs are read, once.

use veobatch_core::{BatchId, JobKey, Lane, StateName};
use veobatch_ledger::{JobFilter, Ledger, LedgerError, Lookup};

use crate::runtime::leases::LEASE;

/// Jobs read per page.
const PAGE: usize = 200;

/// The jobs with open strays in the awaited batches, once they were searched for.
#[derive(Debug, Default)]
pub(crate) struct PendingStrays(Option<Vec<JobKey>>);

impl PendingStrays {
    /// The batches move again: there may be more strays.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Whether nothing of `batches` (`None`: all) is being followed or saved any more. Their jobs are at rest.
    pub(crate) async fn are_over(
        &mut self,
        ledger: &dyn Ledger,
        batches: Option<&[BatchId]>,
    ) -> Result<bool, LedgerError> {
        if !is_anything_due(ledger).await? {
            return Ok(true);
        }
        let Some(batches) = batches else { return Ok(false) };
        let known = match self.0.take() {
            Some(known) => known,
            None => with_strays(ledger, batches).await?,
        };
        let mut open = Vec::with_capacity(known.len());
        for key in known {
            let job = ledger.find(Lookup::Name(&key)).await?;
            open.extend(job.filter(|job| job.record.next_stray().is_some()).map(|_| key));
        }
        Ok(self.0.insert(open).is_empty())
    }
}

/// Whether anything is due, now or later, in the lanes of paid tasks. A claim of zero jobs tells.
async fn is_anything_due(ledger: &dyn Ledger) -> Result<bool, LedgerError> {
    for lane in [Lane::Follow, Lane::Save] {
        if ledger.claim(lane, 0, LEASE).await?.1.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn with_strays(ledger: &dyn Ledger, batches: &[BatchId]) -> Result<Vec<JobKey>, LedgerError> {
    let mut found = Vec::new();
    for batch in batches {
        for state in [StateName::Done, StateName::Failed, StateName::InDoubt, StateName::Cancelled] {
            let mut after = None;
            loop {
                let page = ledger.page(batch, JobFilter::In(state), after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.job.clone());
                let open = page.into_iter().filter(|job| job.record.next_stray().is_some());
                found.extend(open.map(|job| job.key));
            }
        }
    }
    Ok(found)
}
