//! A prompt file: a batch and its jobs.

use veobatch_core::{BatchId, JobId, Resolution, Spec, WorkPolicy};
use veobatch_ledger::{Admission, Ledger as _, LedgerError, NewJob};

use super::ledger::LedgerLine;

/// A prompt file: a batch and its jobs.
#[derive(Clone, Debug)]
pub(super) struct PromptFile {
    pub(super) batch: BatchId,
    pub(super) jobs: Vec<NewJob>,
}

impl PromptFile {
    pub(super) fn new(name: &str, jobs: u64, max_attempts: u64, larger: bool) -> Self {
        let job = |n| NewJob {
            id: JobId::parse(&format!("{name}-{n}")).unwrap(),
            spec: Spec {
                prompt: format!("a video of {name}-{n}"),
                policy: WorkPolicy { max_attempts: u32::try_from(max_attempts).unwrap(), ..WorkPolicy::default() },
                resolution: if larger && n % 2 == 0 { Resolution::P1080 } else { Resolution::P720 },
                ..Spec::default()
            },
        };
        Self { batch: BatchId::parse(name).unwrap(), jobs: (0..jobs).map(job).collect() }
    }

    /// Enqueues the first `count` jobs; those that are known already are left as they are.
    pub(super) async fn enqueue(&self, line: &LedgerLine, count: usize) -> Result<u64, LedgerError> {
        let admission = Admission::random();
        let staged = line.stage(&admission, &self.batch, &self.jobs[..count]).await?;
        assert!(staged.conflicts.is_empty(), "{staged:?}");
        line.publish(&admission, std::slice::from_ref(&self.batch), None).await?;
        Ok(staged.new)
    }
}
