//! Submissions wait while what they would make could not be saved: the output directory is gone, its disk is nearly full, or
//! saving is far behind.
//!
//! Looked at every few seconds beside the work, by a task of its own: the disk may hang. The claimer of submissions only
//! reads the outcome. Finished videos wait at the service for 14 days, so what is in flight when the backpressure is put on is not
//! in danger. The ledger is told, for people who look from elsewhere.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{info, warn};
use veobatch_core::StateName;
use veobatch_ledger::{BatchSummary, LedgerError, NoteKind};

use crate::runtime::blocking::Slow;
use crate::runtime::worker::Worker;
use crate::upkeep::PeriodicTask;
use crate::upkeep::maintenance::SHORT;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// A disk that does not answer in this time hangs.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// So many videos may always wait to be saved.
const FEW: u64 = 50;

/// And so many times the account's cap: a night's hiccup of the file host is no reason to stop.
const TIMES_THE_CAP: u64 = 2;

/// The ledger is told again so often: what was said longer ago than a minute may be over.
const TOLD_AGAIN: Duration = Duration::from_secs(20);

/// Whether submissions of this process wait, and what for.
#[derive(Debug)]
pub(crate) struct Backpressure {
    /// Free bytes that the output's file system must have; `None` where this process saves nothing.
    min_free: Option<u64>,
    /// It submits at all.
    submits: bool,
    /// The ledger was restored, and no person has agreed to go on yet: until this process ends.
    held: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    why: Option<Cause>,
    told: Option<Instant>,
}

/// What submissions wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    /// The ledger is an older copy.
    Restored(String),
    /// The output directory cannot be used.
    Output(String),
    /// The disk has only so many bytes left.
    Disk(u64),
    /// So many videos wait to be saved.
    Behind(u64),
    /// The service does not let this process in.
    Access(String),
}

impl Backpressure {
    pub(crate) fn new(min_free: Option<u64>, submits: bool, held: Option<String>) -> Self {
        Self { min_free, submits, held, state: Mutex::default() }
    }

    /// Whether submissions must wait.
    pub(crate) fn is_on(&self) -> bool {
        self.is_held() || self.state().why.is_some()
    }

    /// Whether they wait for a person, so that nothing that is queued moves by itself.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Looks at the batches, and takes note of what is known of the `disk`; says it once if submissions begin to wait, or
    /// go on.
    async fn look(
        &self,
        worker: &Worker,
        batches: &[BatchSummary],
        disk: Result<Option<u64>, String>,
    ) -> Result<(), LedgerError> {
        let behind = batches.iter().map(|batch| batch.count(StateName::Downloading)).sum();
        // The cap is asked for only where it may matter.
        let cap = if behind > FEW { worker.ledger.account(0).await?.pace.max_in_flight } else { 0 };
        let held = self.held.clone().map(Cause::Restored);
        let is = held.or_else(|| cause(disk, self.min_free.unwrap_or_default(), behind, cap));
        let is = is.or_else(|| worker.access.words().map(Cause::Access));
        let words = is.as_ref().map(|why| self.words(why));
        let was = std::mem::replace(&mut self.state().why, is.clone());
        let kind = |why: &Option<Cause>| why.as_ref().map(std::mem::discriminant);
        if kind(&was) != kind(&is) {
            if let Some(words) = &words {
                warn!("submissions wait: {words}");
            } else {
                info!("submissions go on");
            }
        }
        if self.submits { self.tell(worker, words).await } else { Ok(()) }
    }

    async fn tell(&self, worker: &Worker, words: Option<String>) -> Result<(), LedgerError> {
        let told = self.state().told;
        let is_due = match &words {
            Some(_) => told.is_none_or(|at| at.elapsed() >= TOLD_AGAIN),
            None => told.is_some(),
        };
        if is_due {
            self.state().told = words.as_ref().map(|_| Instant::now());
            worker.ledger.note(NoteKind::Braked, words.as_deref()).await?;
        }
        Ok(())
    }

    fn words(&self, why: &Cause) -> String {
        match why {
            Cause::Restored(words) | Cause::Output(words) | Cause::Access(words) => words.clone(),
            Cause::Disk(free) => format!(
                "the output directory's disk is nearly full: {} are free, and --min-free is {}",
                size(*free),
                size(self.min_free.unwrap_or_default())
            ),
            Cause::Behind(waiting) => format!("{waiting} videos wait to be saved"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks whether there is room for what submissions would make.
#[derive(Debug, Default)]
pub(crate) struct CapacityCheck {
    disk: Slow<io::Result<Option<u64>>>,
}

impl CapacityCheck {
    /// Bytes that are free on the output's disk, if that can be asked; or why nothing can be saved there.
    async fn disk(&mut self, worker: &Worker) -> Result<Option<u64>, String> {
        let output = worker.output.clone();
        let look = move || output.check().map(|()| output.free().ok());
        match self.disk.run(ANSWERS_WITHIN, look).await {
            Some(free) => free.flatten().map_err(|error| error.to_string()),
            None => Err("the output directory does not answer (a network disk whose server is gone?)".to_owned()),
        }
    }
}

#[async_trait]
impl PeriodicTask for CapacityCheck {
    fn name(&self) -> &'static str {
        "look whether there is room for videos"
    }

    fn limit(&self) -> Duration {
        SHORT
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        let backpressure = &worker.backpressure;
        let disk = if backpressure.min_free.is_some() { self.disk(worker).await } else { Ok(None) };
        backpressure.look(worker, &worker.batches.latest(), disk).await?;
        Ok(LOOK)
    }
}

fn cause(disk: Result<Option<u64>, String>, min_free: u64, behind: u64, cap: u32) -> Option<Cause> {
    match disk {
        Err(words) => Some(Cause::Output(words)),
        Ok(Some(free)) if free < min_free => Some(Cause::Disk(free)),
        Ok(_) => (behind > FEW.max(TIMES_THE_CAP * u64::from(cap))).then_some(Cause::Behind(behind)),
    }
}

/// `812 MiB`; bytes are too many digits to read.
fn size(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_wait_for_a_usable_output_a_nearly_full_disk_and_for_saving_that_is_far_behind() {
        use Cause::{Behind, Disk, Output};
        let gone = || Err("is gone".to_owned());
        for (disk, behind, cap, why) in [
            (Ok(Some(1000)), 0, 100, None),
            (Ok(Some(999)), 0, 100, Some(Disk(999))),
            (Ok(None), 50, 1, None),
            (Ok(None), 51, 1, Some(Behind(51))),
            (Ok(None), 200, 100, None),
            (Ok(Some(1000)), 201, 100, Some(Behind(201))),
            (Ok(Some(0)), 201, 100, Some(Disk(0))),
            (gone(), 201, 100, Some(Output("is gone".to_owned()))),
        ] {
            let case = format!("{disk:?} {behind} {cap}");
            assert_eq!(cause(disk, 1000, behind, cap), why, "{case}");
        }
    }
}
