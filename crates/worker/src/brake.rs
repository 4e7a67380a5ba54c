//! Submissions wait while what they would make could not be saved: the disk is nearly full, or saving is far behind.
//!
//! Looked at every few seconds by the maintenance, beside the work; the claimer of submissions only reads the outcome.
//! Finished videos wait at the service for 14 days, so what is in flight when the brake is put on is not in danger.

use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};
use veobatch_core::StateName;
use veobatch_ledger::{BatchSummary, LedgerError};

use crate::blocking;
use crate::worker::Worker;

/// So many videos may always wait to be saved.
const FEW: u64 = 50;

/// And so many times the account's cap: a night's hiccup of the file host is no reason to stop.
const TIMES_THE_CAP: u64 = 2;

/// Whether submissions of this process wait, and what for.
#[derive(Debug)]
pub(crate) struct Brake {
    /// Free bytes that the output's file system must have; 0 where this process saves nothing.
    min_free: u64,
    why: Mutex<Option<Hindered>>,
}

/// What submissions wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hindered {
    /// The disk has only so many bytes left.
    Disk(u64),
    /// So many videos wait to be saved.
    Behind(u64),
}

impl Brake {
    pub(crate) fn new(min_free: u64) -> Self {
        Self { min_free, why: Mutex::new(None) }
    }

    /// Whether submissions must wait.
    pub(crate) fn is_on(&self) -> bool {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Looks at the disk and at the batches, and says it once if submissions begin to wait, or go on.
    pub(crate) async fn look(&self, worker: &Worker, batches: &[BatchSummary]) -> Result<(), LedgerError> {
        let behind = batches.iter().map(|batch| batch.count(StateName::Downloading)).sum();
        // The cap is asked for only where it may matter.
        let cap = if behind > FEW { worker.ledger.account().await?.pace.max_in_flight } else { 0 };
        let free = if self.min_free > 0 { free(worker).await } else { None };
        let is = hindered(free, self.min_free, behind, cap);
        let was = std::mem::replace(&mut *self.why.lock().unwrap_or_else(PoisonError::into_inner), is);
        let kind = |why: Option<Hindered>| why.map(|why| std::mem::discriminant(&why));
        if kind(was) != kind(is) {
            say(is, self.min_free);
        }
        Ok(())
    }
}

async fn free(worker: &Worker) -> Option<u64> {
    let output = worker.output.clone();
    // What cannot be asked is no reason to wait: a directory that is gone shows when something is saved.
    blocking::run(move || output.free()).await.flatten().ok()
}

fn hindered(free: Option<u64>, min_free: u64, behind: u64, cap: u32) -> Option<Hindered> {
    match free {
        Some(free) if free < min_free => Some(Hindered::Disk(free)),
        Some(_) | None => (behind > FEW.max(TIMES_THE_CAP * u64::from(cap))).then_some(Hindered::Behind(behind)),
    }
}

fn say(why: Option<Hindered>, min_free: u64) {
    match why {
        Some(Hindered::Disk(free)) => {
            warn!(
                free,
                min_free, "submissions wait: the output directory's disk is nearly full (bytes; see --min-free)"
            );
        }
        Some(Hindered::Behind(waiting)) => warn!(waiting, "submissions wait: so many videos wait to be saved"),
        None => info!("submissions go on: there is room for what they make"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_wait_for_a_nearly_full_disk_and_for_saving_that_is_far_behind() {
        use Hindered::{Behind, Disk};
        for (free, behind, cap, why) in [
            (Some(1000), 0, 100, None),
            (Some(999), 0, 100, Some(Disk(999))),
            (None, 50, 1, None),
            (None, 51, 1, Some(Behind(51))),
            (None, 200, 100, None),
            (Some(1000), 201, 100, Some(Behind(201))),
            (Some(0), 201, 100, Some(Disk(0))),
        ] {
            assert_eq!(hindered(free, 1000, behind, cap), why, "{free:?} {behind} {cap}");
        }
    }
}
