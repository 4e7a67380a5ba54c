//! Whether there is capacity for the videos of further submissions: the output directory is usable, its disk has room, and
//! saving keeps up. If not, submissions wait (`submit/backpressure.rs`).
//!
//! A task of its own, because the disk may hang. Finished videos stay at the service for 14 days, so videos in flight are not
//! in danger when submissions stop. The ledger is told, so that `status` on other machines shows it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{info, warn};
use veobatch_core::StateName;
use veobatch_ledger::{LedgerError, NoteKind};

use crate::account::access::Access;
use crate::runtime::blocking::Slow;
use crate::runtime::context::Context;
use crate::runtime::supervise::{PeriodicTask, SHORT_TICK_LIMIT};
use crate::save::output::Output;
use crate::submit::backpressure::Backpressure;
use crate::upkeep::batches::Batches;

/// Interval of the checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// A disk that does not answer within this time hangs.
const DISK_LIMIT: Duration = Duration::from_secs(5);

/// This many videos may always wait to be saved.
const MIN_BACKLOG: u64 = 50;

/// This many times the account's cap may wait too: a short outage of the file host is no reason to stop.
const BACKLOG_PER_CAP: u64 = 2;

/// Interval of notes in the ledger. A note that is older than a minute is considered outdated.
const NOTE_INTERVAL: Duration = Duration::from_secs(20);

/// Checks the capacity.
#[derive(Debug)]
pub(crate) struct CapacityCheck {
    context: Arc<Context>,
    batches: Arc<Batches>,
    backpressure: Arc<Backpressure>,
    access: Arc<Access>,
    /// `None` if this process saves nothing.
    disk: Option<OutputDisk>,
    /// Whether this process submits.
    submits: bool,
    shortage: Option<Shortage>,
    noted: Option<Instant>,
}

/// The disk of the output directory, and how many free bytes it must have.
#[derive(Debug)]
pub(crate) struct OutputDisk {
    output: Output,
    min_free: u64,
    answer: Slow<io::Result<Option<u64>>>,
}

/// Why submissions wait.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shortage {
    /// The ledger is an older copy.
    Restored(String),
    /// The output directory cannot be used.
    Output(String),
    /// The disk has only so many free bytes.
    Disk { free: u64, min_free: u64 },
    /// So many videos wait to be saved.
    Backlog(u64),
    /// The service does not let this process in.
    Access(String),
}

impl OutputDisk {
    pub(crate) fn new(output: Output, min_free: u64) -> Self {
        Self { output, min_free, answer: Slow::default() }
    }

    /// Why nothing can be saved on it, if so.
    async fn shortage(&mut self) -> Option<Shortage> {
        let output = self.output.clone();
        let check = move || output.check().map(|()| output.free().ok());
        match self.answer.run(DISK_LIMIT, check).await {
            Some(Ok(Ok(free))) => disk_shortage(free, self.min_free),
            Some(Ok(Err(error)) | Err(error)) => Some(Shortage::Output(error.to_string())),
            None => {
                let message = "the output directory does not answer (a network disk whose server is gone?)";
                Some(Shortage::Output(message.to_owned()))
            }
        }
    }
}

impl CapacityCheck {
    pub(crate) fn new(
        context: Arc<Context>,
        batches: Arc<Batches>,
        backpressure: Arc<Backpressure>,
        access: Arc<Access>,
        disk: Option<OutputDisk>,
        submits: bool,
    ) -> Self {
        Self { context, batches, backpressure, access, disk, submits, shortage: None, noted: None }
    }

    /// The first shortage there is.
    async fn find(&mut self) -> Result<Option<Shortage>, LedgerError> {
        if let Some(message) = self.backpressure.held() {
            return Ok(Some(Shortage::Restored(message.to_owned())));
        }
        if let Some(disk) = &mut self.disk
            && let Some(shortage) = disk.shortage().await
        {
            return Ok(Some(shortage));
        }
        let waiting = self.batches.latest().iter().map(|batch| batch.count(StateName::Downloading)).sum();
        // The cap is read only if it matters.
        if waiting > MIN_BACKLOG {
            let cap = self.context.ledger.account(0).await?.pace.max_in_flight;
            if let Some(shortage) = backlog(waiting, cap) {
                return Ok(Some(shortage));
            }
        }
        Ok(self.access.why_closed().map(Shortage::Access))
    }

    /// Tells the ledger, for people on other machines.
    async fn note(&mut self, message: Option<String>) -> Result<(), LedgerError> {
        let is_due = match &message {
            Some(_) => self.noted.is_none_or(|at| at.elapsed() >= NOTE_INTERVAL),
            None => self.noted.is_some(),
        };
        if is_due {
            self.noted = message.as_ref().map(|_| Instant::now());
            self.context.ledger.note(NoteKind::Braked, message.as_deref()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl PeriodicTask for CapacityCheck {
    fn name(&self) -> &'static str {
        "check the capacity for videos"
    }

    fn time_limit(&self) -> Duration {
        SHORT_TICK_LIMIT
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        let found = self.find().await?;
        self.backpressure.set(found.is_some());
        let message = found.as_ref().map(message);
        let kind = |shortage: &Option<Shortage>| shortage.as_ref().map(std::mem::discriminant);
        if kind(&self.shortage) != kind(&found) {
            if let Some(message) = &message {
                warn!("submissions wait: {message}");
            } else {
                info!("submissions continue");
            }
        }
        self.shortage = found;
        if self.submits {
            self.note(message).await?;
        }
        Ok(CHECK_INTERVAL)
    }
}

fn disk_shortage(free: Option<u64>, min_free: u64) -> Option<Shortage> {
    free.filter(|free| *free < min_free).map(|free| Shortage::Disk { free, min_free })
}

fn backlog(waiting: u64, cap: u32) -> Option<Shortage> {
    (waiting > MIN_BACKLOG.max(BACKLOG_PER_CAP * u64::from(cap))).then_some(Shortage::Backlog(waiting))
}

fn message(shortage: &Shortage) -> String {
    // Bytes have too many digits to read.
    let size = |bytes: u64| format!("{} MiB", bytes >> 20);
    match shortage {
        Shortage::Restored(message) | Shortage::Output(message) | Shortage::Access(message) => message.clone(),
        Shortage::Disk { free, min_free } => {
            let (free, min_free) = (size(*free), size(*min_free));
            format!("the output directory's disk is nearly full: {free} are free, and --min-free is {min_free}")
        }
        Shortage::Backlog(waiting) => format!("{waiting} videos wait to be saved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_wait_for_a_nearly_full_disk_and_for_saving_that_is_far_behind() {
        for (free, is_short) in [(Some(1000), false), (Some(999), true), (Some(0), true), (None, false)] {
            assert_eq!(disk_shortage(free, 1000).is_some(), is_short, "{free:?}");
        }
        for (waiting, cap, is_short) in [(50, 1, false), (51, 1, true), (200, 100, false), (201, 100, true)] {
            assert_eq!(backlog(waiting, cap).is_some(), is_short, "{waiting} {cap}");
        }
    }

    #[tokio::test]
    async fn submissions_wait_for_a_usable_output() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("videos");
        let mut disk = OutputDisk::new(Output::open(&root).unwrap(), 0);
        assert_eq!(disk.shortage().await, None);
        std::fs::remove_dir(&root).unwrap();
        let shortage = disk.shortage().await.unwrap();
        assert!(matches!(&shortage, Shortage::Output(why) if why.contains("is gone")), "{shortage:?}");
    }
}
