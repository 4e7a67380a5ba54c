//! Bringing jobs in: staged in chunks that nobody sees, then published all at once.

use veobatch_core::{BatchId, JobId, Timestamp};

use super::ledger::RedisLedger;
use super::reply::Reply;
use super::row::{CLASS_MARK, Row, damaged};
use super::scripts::texts;
use crate::digest;
use crate::ledger::job::Restatement;
use crate::migration::{Older, looks_made};
use crate::{Admission, Known, LedgerError, NewJob, STAGING_TIMEOUT, Staged, TemplateAdvance};

impl RedisLedger {
    pub(super) async fn stage_jobs(
        &self,
        admission: &Admission,
        batch: &BatchId,
        jobs: &[NewJob],
    ) -> Result<Staged, LedgerError> {
        let timeout = STAGING_TIMEOUT.as_millis().to_string();
        let mut args = texts([admission.0.as_str(), &batch.folded(), batch.as_str(), &timeout]);
        for job in jobs {
            let priority = job.spec.policy.priority.to_string().into_bytes();
            args.extend([job.id.folded().into_bytes(), entry(job), priority, older_entry(job), digests(job)]);
        }
        loop {
            let answer: Vec<redis::Value> = self.server.run(&self.scripts.stage, &args).await?;
            match StageAnswer::parse(answer)? {
                StageAnswer::Staged { new, known, conflicts, restated } => {
                    return Ok(Staged { new, known, conflicts: ids(jobs, &conflicts), restated });
                }
                StageAnswer::Busy => return Err(LedgerError::Busy { batch: batch.clone() }),
                StageAnswer::Dropped => return Err(LedgerError::Dropped),
                StageAnswer::Again => {}
            }
        }
    }

    pub(super) async fn publish_batches(
        &self,
        admission: &Admission,
        batches: &[BatchId],
        advance: Option<&TemplateAdvance>,
    ) -> Result<(), LedgerError> {
        let (template, from, to) =
            advance.map(|advance| (advance.template.folded(), &*advance.from, &*advance.to)).unwrap_or_default();
        let mut args = texts([admission.0.as_str(), &template, from, to]);
        args.extend(batches.iter().map(|batch| batch.folded().into_bytes()));
        let answer: String = self.server.run(&self.scripts.publish, &args).await?;
        match answer.as_str() {
            "published" => Ok(()),
            "dropped" => Err(LedgerError::Dropped),
            other => Err(damaged("the answer to a publication", other.as_bytes())),
        }
    }

    pub(super) async fn abandon_batches(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        let mut args = texts([admission.0.as_str()]);
        args.extend(batches.iter().map(|batch| batch.folded().into_bytes()));
        while self.server.run::<u8>(&self.scripts.abandon, &args).await? == 1 {}
        Ok(())
    }

    pub(super) async fn compare_jobs(&self, batch: &BatchId, jobs: &[NewJob]) -> Result<Known, LedgerError> {
        let mut all = Known::default();
        // Lua's stack holds a few thousand values, and others wait meanwhile.
        for jobs in jobs.chunks(crate::STAGE_CHUNK) {
            let mut args = texts([batch.folded().as_str()]);
            for job in jobs {
                args.extend([job.id.folded().into_bytes(), entry(job), older_entry(job), digests(job)]);
            }
            let (known, conflicts, now, positions, rows): (u64, Vec<usize>, u64, Vec<usize>, Vec<Row>) =
                self.server.run(&self.scripts.compare, &args).await?;
            all.known += known;
            all.conflicts.extend(ids(jobs, &conflicts));
            for (job, row) in positions.iter().filter_map(|at| jobs.get(*at)).zip(rows) {
                // One that cannot be read is nothing that could be changed, and no reason to refuse the others.
                if let Ok(stored) = row.stored(Timestamp::from_millis(now))? {
                    all.restated.push(Restatement { stored, says: job.spec.policy });
                }
            }
        }
        Ok(all)
    }
}

/// What the script says of a chunk.
enum StageAnswer {
    Staged {
        new: u64,
        known: u64,
        conflicts: Vec<usize>,
        restated: u64,
    },
    Busy,
    Dropped,
    /// Somebody else's remains are being cleared away: ask again.
    Again,
}

impl StageAnswer {
    fn parse(parts: Vec<redis::Value>) -> Result<Self, LedgerError> {
        let mut reply = Reply::of(parts);
        let word: String = reply.take()?;
        Ok(match word.as_str() {
            "staged" => Self::Staged {
                new: reply.take()?,
                known: reply.take()?,
                conflicts: reply.take()?,
                restated: reply.take()?,
            },
            "busy" => Self::Busy,
            "dropped" => Self::Dropped,
            "again" => Self::Again,
            other => return Err(damaged("the answer to a staging", other.as_bytes())),
        })
    }
}

/// The entry in `:j`: by its first two lines (id and price class, content) jobs are told apart.
fn entry(job: &NewJob) -> Vec<u8> {
    entry_of(job.id.as_str(), job, &job.spec.to_bytes())
}

/// The entry as format 1 had it; empty if it is the same. Finished jobs of that time are recognized by it.
fn older_entry(job: &NewJob) -> Vec<u8> {
    Older::of(&job.id, &job.spec).map_or_else(Vec::new, |older| {
        // An id that was given is compared as it is written.
        let id = if looks_made(&older.id) { &older.id } else { job.id.as_str() };
        entry_of(id, job, &older.spec)
    })
}

/// The digests that a file keeps of the content, and of what format 1 had in its place: of jobs that came from one.
fn digests(job: &NewJob) -> Vec<u8> {
    let mut all = digest::of_content(&job.spec.content());
    all.extend(Older::of(&job.id, &job.spec).iter().flat_map(|older| digest::of_content(&older.spec)));
    all
}

fn entry_of(id: &str, job: &NewJob, spec: &[u8]) -> Vec<u8> {
    [id.as_bytes(), &[CLASS_MARK], job.spec.price_class().as_bytes(), b"\n", spec].concat()
}

fn ids(jobs: &[NewJob], positions: &[usize]) -> Vec<JobId> {
    positions.iter().filter_map(|at| jobs.get(*at)).map(|job| job.id.clone()).collect()
}
