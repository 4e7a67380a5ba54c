//! What of the checked jobs the ledger knows already, without storing anything.

use serde::Serialize;
use veobatch_core::{BatchId, JobKey, Prices, Spec};
use veobatch_ledger::{Known, Ledger, LedgerError, Lookup, NewJob, content_name};

use super::chunks::{Chunk, chunks};
use super::error::AdmitError;
use super::restate::{PolicyChange, PolicyChanges};
use crate::check::checked::Checked;
use crate::estimate::{Estimate, Tally};
use crate::problem::{Problem, Problems};

/// Most conflicts that are looked at closely enough to say what differs.
const EXPLAINED: usize = 100;

/// What of a batch is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The batch.
    pub batch: BatchId,
    /// Jobs that an admission would add.
    pub new: u64,
    /// Jobs that the ledger has, with the same content.
    pub known: u64,
    /// How many of the new ones the admission's limit allows.
    #[serde(skip)]
    pub admitted: u64,
    /// What an admission would set for known jobs, of how to work at them.
    pub policy: Vec<PolicyChange>,
    #[serde(skip)]
    tally: Tally,
}

impl Compared {
    /// What those that are allowed are expected to cost.
    pub fn estimate(&self, prices: &Prices) -> Estimate {
        self.tally.estimate(prices)
    }
}

/// What of all checked jobs is known.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// By batch, in the order of the sources.
    pub batches: Vec<Compared>,
    /// Known ids with other content: an admission will be refused.
    pub conflicts: Problems,
}

impl Comparison {
    /// How many jobs an admission would add: all new ones, or as many of them as its limit allows.
    pub fn admitted(&self) -> u64 {
        self.batches.iter().map(|batch| batch.admitted).sum()
    }

    /// What those are expected to cost.
    pub fn estimate(&self, prices: &Prices) -> Estimate {
        self.batches.iter().map(|batch| batch.estimate(prices)).sum()
    }
}

/// Compares all checked jobs with the ledger.
pub async fn compare(ledger: &dyn Ledger, checked: &Checked) -> Result<Comparison, AdmitError> {
    compare_first(ledger, checked, None).await
}

/// As [`compare`]; what would be admitted, and its cost, are those of the first `limit` new jobs.
pub async fn compare_first(
    ledger: &dyn Ledger,
    checked: &Checked,
    limit: Option<u64>,
) -> Result<Comparison, AdmitError> {
    let nothing = |batch: &BatchId| {
        let (new, known, admitted, tally) = (0, 0, 0, Tally::default());
        Compared { batch: batch.clone(), new, known, admitted, policy: Vec::new(), tally }
    };
    let batches: Vec<_> = checked.batches.iter().map(nothing).collect();
    let mut policies = vec![PolicyChanges::default(); batches.len()];
    let mut comparison = Comparison { batches, ..Comparison::default() };
    let mut room = limit.unwrap_or(u64::MAX);
    let mut chunks = chunks(checked);
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk?;
        let Some(compared) = comparison.batches.get_mut(chunk.batch as usize) else { continue };
        let known = ledger.compare(&compared.batch, &chunk.jobs).await?;
        let new = new_in(&chunk.jobs, &known);
        compared.new += new;
        compared.known += known.known;
        if let Some(policy) = policies.get_mut(chunk.batch as usize) {
            known.restated.iter().for_each(|restatement| policy.foresee(restatement));
        }
        let admitted = new.min(room);
        if admitted > 0 {
            room -= admitted;
            compared.admitted += admitted;
            if let Some(spec) = uniform(&chunk.jobs) {
                compared.tally.add(spec, admitted);
            } else {
                let new = new_among(ledger, &compared.batch, &chunk.jobs, new).await?;
                for n in new.into_iter().take(usize::try_from(admitted).unwrap_or(usize::MAX)) {
                    if let Some(job) = chunk.jobs.get(n) {
                        compared.tally.add(&job.spec, 1);
                    }
                }
            }
        }
        explain(ledger, checked, &chunk, &known.conflicts, &mut comparison.conflicts).await?;
    }
    for (compared, policy) in comparison.batches.iter_mut().zip(&policies) {
        compared.policy = policy.list();
    }
    Ok(comparison)
}

/// A spec that costs what each of `jobs` costs.
fn uniform(jobs: &[NewJob]) -> Option<&Spec> {
    let first = &jobs.first()?.spec;
    jobs.iter().all(|job| job.spec.model == first.model && job.spec.resolution == first.resolution).then_some(first)
}

/// How many of `jobs` are new, by what a comparison says of the others.
pub(crate) fn new_in(jobs: &[NewJob], compared: &Known) -> u64 {
    (jobs.len() as u64).saturating_sub(compared.known).saturating_sub(compared.conflicts.len() as u64)
}

/// Which of `jobs` are new, given that `new` of them are: the ledger only counts, so the list is halved where it is mixed.
pub(crate) async fn new_among(
    ledger: &dyn Ledger,
    batch: &BatchId,
    jobs: &[NewJob],
    new: u64,
) -> Result<Vec<usize>, LedgerError> {
    let mut found = Vec::new();
    let mut open = vec![(0, jobs.len(), new)];
    while let Some((start, end, new)) = open.pop() {
        if new == 0 {
            continue;
        }
        if new == (end - start) as u64 {
            found.extend(start..end);
            continue;
        }
        let middle = usize::midpoint(start, end);
        let half = jobs.get(start..middle).unwrap_or_default();
        let left = new_in(half, &ledger.compare(batch, half).await?);
        open.push((middle, end, new.saturating_sub(left)));
        open.push((start, middle, left));
    }
    Ok(found)
}

/// Reports known ids with other content, with their places and with what differs.
pub(crate) async fn explain(
    ledger: &dyn Ledger,
    checked: &Checked,
    chunk: &Chunk,
    conflicts: &[veobatch_core::JobId],
    problems: &mut Problems,
) -> Result<(), LedgerError> {
    let Some(batch) = checked.batches.get(chunk.batch as usize) else { return Ok(()) };
    for id in conflicts {
        let place = chunk.jobs.iter().zip(&chunk.places).find(|(job, _)| job.id == *id);
        if let Some((_, (file, at))) = place.filter(|(job, _)| is_made(job)) {
            let file = checked.files.get(*file as usize).map_or("", String::as_str);
            problems.push(unrecognizable(batch).place(file, Some(*at)));
            continue;
        }
        let mut words = format!("this id exists in batch {batch} with other content");
        if problems.as_slice().len() < EXPLAINED {
            let key = JobKey { batch: batch.clone(), job: id.clone() };
            // Of a compacted job there is nothing left to name.
            let known = ledger.find(Lookup::Name(&key)).await?.filter(|stored| !stored.compacted);
            if let (Some(stored), Some((job, _))) = (known, place) {
                words = format!("this id exists in batch {batch} {}", difference(&stored.key.job, &stored.spec, job));
            }
        }
        let problem = Problem::new(words).text(id.as_str()).hint("give a changed job a new id");
        let (file, at) = place.map_or((0, None), |(_, (file, at))| (*file, Some(*at)));
        problems.push(problem.place(checked.files.get(file as usize).map_or("", String::as_str), at));
    }
    Ok(())
}

/// Whether the job's id was made from its content: then no other content can have it.
fn is_made(job: &NewJob) -> bool {
    job.id.as_str().starts_with(&content_name(&job.spec.content()))
}

/// A line without an id in a batch with jobs that an older version made compact: their content is gone, and so is the name
/// that such a line has now.
fn unrecognizable(batch: &BatchId) -> Problem {
    Problem::new(format!(
        "batch {batch} has finished jobs whose prompts an older version did not keep, and this line without an id may be one of them"
    ))
    .hint(format!(
        "give the line an id: that of the job that it is (veobatch jobs {batch} --state done), or a new one if it is a new job"
    ))
}

/// Completes "this id exists in batch …".
fn difference(id: &veobatch_core::JobId, known: &Spec, job: &NewJob) -> String {
    let spec = &job.spec;
    let fields = [
        ("prompt", known.prompt == spec.prompt),
        ("model", known.model == spec.model),
        ("aspect_ratio", known.aspect_ratio == spec.aspect_ratio),
        ("images", known.images == spec.images),
        ("generation_type", known.generation_type == spec.generation_type),
        ("resolution", known.resolution == spec.resolution),
        ("duration", known.duration == spec.duration),
        ("seed", known.seed == spec.seed),
        ("watermark", known.watermark == spec.watermark),
        ("enable_translation", known.enable_translation == spec.enable_translation),
        ("extra", known.extra == spec.extra),
    ];
    let other: Vec<&str> = fields.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
    if other.is_empty() { format!("as {id}") } else { format!("with another {}", other.join(", ")) }
}
