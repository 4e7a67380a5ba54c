//! What needs a person: failures by reason, jobs in doubt, videos that cannot be saved, tasks that were paid for
//! beside their job.
//!
//! Looks at a bounded number of jobs of each batch and says so where there are more.

pub(crate) mod text;

use serde_json::{Value, json};
use veobatch_core::{FailureKind, JobKey, OpenAttempt, State, StateName, Stray};
use veobatch_ledger::{BatchSummary, JobFilter, Ledger, Stored, Unreadable};

use crate::failure::Result;
use crate::report::json;

/// Jobs of each batch and state that are looked at.
pub(crate) const LOOK: usize = 1000;

/// Where tasks that were kept beside their job may be found: wherever a job can be when late evidence comes.
const STRAYS_IN: &[StateName] = &[
    StateName::Queued,
    StateName::Generating,
    StateName::Upscaling,
    StateName::Downloading,
    StateName::Done,
    StateName::Cancelled,
];

/// What was found in some batches.
#[derive(Debug, Default)]
pub(crate) struct Attention {
    pub(crate) failures: Vec<Failures>,
    pub(crate) doubts: Vec<Doubt>,
    /// What keeps videos from being saved: the reason, how many, and one of them.
    pub(crate) unsaved: Vec<(String, u64, JobKey)>,
    pub(crate) strays: Vec<(JobKey, Stray)>,
    /// What this program cannot read.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Attempts that may have been paid for beside a job that has a task of its own.
    pub(crate) open: Vec<(JobKey, OpenAttempt)>,
    /// More jobs failed, or are in doubt, than were looked at.
    pub(crate) is_partial: bool,
    /// More jobs may have a task beside them, or a video that cannot be saved, than were looked at.
    pub(crate) is_partial_beside: bool,
}

/// Jobs of one batch that failed for the same reason.
#[derive(Debug)]
pub(crate) struct Failures {
    pub(crate) first: JobKey,
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
    pub(crate) count: u64,
}

/// A job whose paid call's outcome is unknown.
#[derive(Debug)]
pub(crate) struct Doubt {
    pub(crate) key: JobKey,
    pub(crate) why: String,
    /// Attempts of it that may have been paid for.
    pub(crate) open: usize,
}

impl Attention {
    /// Looks through `batches`; for strays among jobs that are not at their end only if `is_thorough`.
    pub(crate) async fn of(ledger: &dyn Ledger, batches: &[BatchSummary], is_thorough: bool) -> Result<Self> {
        let mut attention = Self::default();
        for batch in batches {
            let more = if is_thorough { STRAYS_IN } else { &[] };
            for &state in [StateName::Failed, StateName::InDoubt].iter().chain(more) {
                if batch.count(state) == 0 {
                    continue;
                }
                let jobs = if state == StateName::Done {
                    // What is compact has no task beside it.
                    ledger.page(&batch.batch, JobFilter::Whole, None, LOOK).await
                } else {
                    ledger.page(&batch.batch, JobFilter::In(state), None, LOOK).await
                };
                let jobs = jobs?;
                let is_all =
                    jobs.len() < LOOK || u64::try_from(jobs.len()).is_ok_and(|seen| seen >= batch.count(state));
                let is_partial =
                    if more.contains(&state) { &mut attention.is_partial_beside } else { &mut attention.is_partial };
                *is_partial |= !is_all;
                for job in &jobs {
                    attention.take(job);
                }
            }
        }
        attention.unreadable = unreadable_of(ledger, batches).await?;
        attention.is_partial |= attention.unreadable.len() >= LOOK;
        attention.failures.sort_by_key(|failures| std::cmp::Reverse(failures.count));
        Ok(attention)
    }

    fn take(&mut self, job: &Stored) {
        if !matches!(job.record.state, State::InDoubt { .. }) {
            self.open.extend(job.record.open.iter().map(|open| (job.key.clone(), open.clone())));
        }
        self.strays.extend(job.record.strays.iter().map(|stray| (job.key.clone(), stray.clone())));
        match &job.record.state {
            State::Failed { failure, .. } => {
                let alike = self.failures.iter_mut().find(|other| {
                    other.first.batch == job.key.batch && other.kind == failure.kind && other.reason == failure.message
                });
                match alike {
                    Some(failures) => failures.count += 1,
                    None => self.failures.push(Failures {
                        first: job.key.clone(),
                        kind: failure.kind,
                        reason: failure.message.clone(),
                        count: 1,
                    }),
                }
            }
            State::InDoubt { why, .. } => {
                let open = job.record.open.len() + 1;
                self.doubts.push(Doubt { key: job.key.clone(), why: why.clone(), open });
            }
            State::Downloading { .. } => self.take_unsaved(job),
            State::Queued { .. }
            | State::Submitting { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Done { .. }
            | State::Cancelled => {}
        }
    }

    fn take_unsaved(&mut self, job: &Stored) {
        let Some(trouble) = &job.record.trouble else { return };
        match self.unsaved.iter_mut().find(|(reason, ..)| reason == trouble) {
            Some((_, count, _)) => *count += 1,
            None => self.unsaved.push((trouble.clone(), 1, job.key.clone())),
        }
    }

    /// As further keys of `status --json`.
    pub(crate) fn extend(&self, document: &mut Value) {
        let failures = self.failures.iter().map(|failures| {
            json!({"batch": failures.first.batch, "reason": failures.reason, "kind": kind(failures.kind),
                   "count": failures.count, "example": failures.first.job})
        });
        let doubts =
            self.doubts.iter().map(|doubt| json!({"batch": doubt.key.batch, "job": doubt.key.job, "why": doubt.why, "open_attempts": doubt.open}));
        let unsaved = self.unsaved.iter().map(
            |(reason, count, key)| json!({"reason": reason, "count": count, "batch": key.batch, "example": key.job}),
        );
        let strays = self.strays.iter().map(|(key, stray)| {
            let mut document = json::stray(stray, key);
            if let Value::Object(object) = &mut document {
                object.insert("batch".to_owned(), json!(key.batch));
                object.insert("job".to_owned(), json!(key.job));
            }
            document
        });
        let unreadable = self.unreadable.iter().map(|job| {
            json!({"batch": job.key.batch, "job": job.key.job, "state": job.state.map(StateName::as_str),
                   "why": job.why, "since": json::Time(job.since)})
        });
        let open = self.open.iter().map(
            |(key, open)| json!({"batch": key.batch, "job": key.job, "attempt": open.attempt.number, "why": open.why}),
        );
        let Value::Object(document) = document else { return };
        document.insert("open_attempts".to_owned(), open.collect());
        document.insert("failures".to_owned(), failures.collect());
        document.insert("in_doubt".to_owned(), doubts.collect());
        document.insert("unsaved".to_owned(), unsaved.collect());
        document.insert("strays".to_owned(), strays.collect());
        document.insert("unreadable".to_owned(), unreadable.collect());
        document.insert("partial".to_owned(), json!(self.is_partial));
        document.insert("partial_beside".to_owned(), json!(self.is_partial_beside));
    }
}

/// The jobs of `batches` that this program cannot read, of those that were met; at most [`LOOK`].
pub(crate) async fn unreadable_of(ledger: &dyn Ledger, batches: &[BatchSummary]) -> Result<Vec<Unreadable>> {
    let mut all = ledger.unreadable(LOOK).await?;
    let is_meant = |job: &Unreadable| batches.iter().any(|batch| batch.batch.folded() == job.key.batch.folded());
    all.retain(is_meant);
    Ok(all)
}

/// The kind of a failure, in a word.
pub(crate) fn kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Refused => "refused",
        FailureKind::Policy => "policy",
        FailureKind::Generation => "generation",
        FailureKind::NoOutput => "no_output",
        FailureKind::Lost => "lost",
        FailureKind::GivenUp => "given_up",
    }
}
