//! Recurring batches: at each instant of a template, a batch of its own with the template's jobs.
//!
//! ```text
//! garden (cron: 0 22 * * *, dealt with up to yesterday)
//!    └─ 22:00 ─▶ stage its jobs as garden-2026-11-23 ─▶ arrange ─▶ publish, and the template: "dealt with up to 22:00"
//! ```
//!
//! Whichever worker comes first makes it, and the others may try too. That the run is there and that its instant is dealt
//! with become true in one step, and only if the template's schedule is still the one that the worker began with: however
//! long it slept in between, and whatever became of a run that others made meanwhile (finished, forgotten), an instant is
//! paid for once. A worker that dies half-way leaves an admission that nobody sees and the next one drops.

use std::time::Duration;

use tracing::{debug, error, info, warn};
use veobatch_core::{BatchId, Cron, JobId, Schedule, StateName, Timestamp, millis};
use veobatch_ledger::{
    Admission, BatchSummary, BatchUpdate, Batches, JobFilter, LedgerError, NewJob, STAGE_CHUNK, TemplateAdvance,
};

use crate::runtime::worker::Worker;
use crate::upkeep::schedules::arrange;

/// A run that nobody made in time is made up for so long.
const MADE_UP_WITHIN: Duration = Duration::from_secs(3600);

/// What became of a run.
enum Run {
    /// It is there, with so many jobs that this worker added.
    Made(u64),
    /// Somebody else is making it, or this worker is closing: looked at again.
    Later,
    /// It cannot be made, ever.
    Impossible,
}

/// Makes the next run of `template` if it is due, and says whether it was. One at a time, so that a look stays short.
pub(crate) async fn recur(
    worker: &Worker,
    template: &BatchSummary,
    schedule: &Schedule,
    cron: &Cron,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let is_at_rest = template.paused || template.cancelling || template.count(StateName::Queued) == 0;
    let Some(instant) = cron.pending().filter(|instant| *instant <= now && !is_at_rest) else {
        return Ok(false);
    };
    let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(millis(MADE_UP_WITHIN)));
    if instant < oldest {
        warn!(template = %template.batch, first = %instant, "runs that were due more than an hour ago are skipped");
        let up_to = Timestamp::from_millis(oldest.as_millis().saturating_sub(1));
        take(worker, advance(template, schedule, cron, up_to)).await?;
        return Ok(true);
    }
    let name = format!("{}{}", template.batch, cron.stamp(instant));
    let advance = advance(template, schedule, cron, instant);
    let run = match BatchId::parse(&name) {
        Ok(batch) => make(worker, template, schedule, &batch, &advance, now).await?,
        Err(error) => {
            error!(template = %template.batch, name, %error, "a run cannot be made: its name is not usable");
            Run::Impossible
        }
    };
    match run {
        Run::Made(new) if new > 0 => info!(template = %template.batch, batch = name, jobs = new, "a run was made"),
        Run::Impossible => take(worker, advance).await?,
        Run::Made(_) | Run::Later => {}
    }
    Ok(true)
}

/// All instants of `template` up to `instant` are dealt with.
fn advance(template: &BatchSummary, schedule: &Schedule, cron: &Cron, instant: Timestamp) -> TemplateAdvance {
    let next = Schedule { cron: Some(cron.clone().since(instant)), ..schedule.clone() };
    TemplateAdvance { template: template.batch.clone(), from: template.terms.schedule.clone(), to: next.to_string() }
}

/// Deals with instants for which no run is made.
async fn take(worker: &Worker, advance: TemplateAdvance) -> Result<(), LedgerError> {
    let TemplateAdvance { template, from, to } = advance;
    let change = BatchUpdate { schedule: Some(to), only_if: Some(from), ..BatchUpdate::default() };
    arrange(worker, &template, &change).await
}

/// Makes the run `batch`, with what of the template is queued and with its terms.
async fn make(
    worker: &Worker,
    template: &BatchSummary,
    schedule: &Schedule,
    batch: &BatchId,
    advance: &TemplateAdvance,
    now: Timestamp,
) -> Result<Run, LedgerError> {
    let admission = Admission::random();
    let run = match stage(worker, template, batch, &admission).await {
        Err(LedgerError::Busy { .. } | LedgerError::Dropped) => {
            debug!(%batch, "somebody else is making this run");
            return Ok(Run::Later);
        }
        result => result?,
    };
    let Run::Made(new) = run else {
        worker.ledger.abandon(&admission, std::slice::from_ref(batch)).await?;
        return Ok(run);
    };
    // A run that is there already has its own terms, and somebody may have changed them.
    let is_shown = !worker.ledger.list(&Batches::Named(vec![batch.clone()])).await?.is_empty();
    if new > 0 && !is_shown {
        let scheduled = schedule.of_a_run();
        let terms = BatchUpdate {
            flag: None,
            weight: Some(template.terms.weight),
            priority: Some(template.terms.priority),
            budget: Some(template.terms.budget),
            schedule: Some(scheduled.to_string()),
            range: Some(scheduled.open_range(now)),
            only_if: None,
        };
        arrange(worker, batch, &terms).await?;
    }
    match worker.ledger.publish(&admission, std::slice::from_ref(batch), Some(advance)).await {
        Err(LedgerError::Dropped) => {
            debug!(%batch, "somebody else has dealt with this run");
            worker.ledger.abandon(&admission, std::slice::from_ref(batch)).await.map(|()| Run::Later)
        }
        result => result.map(|()| Run::Made(new)),
    }
}

/// Stages the template's queued jobs page by page.
async fn stage(
    worker: &Worker,
    template: &BatchSummary,
    batch: &BatchId,
    admission: &Admission,
) -> Result<Run, LedgerError> {
    let (mut new, mut after): (u64, Option<JobId>) = (0, None);
    loop {
        let page =
            worker.ledger.page(&template.batch, JobFilter::In(StateName::Queued), after.as_ref(), STAGE_CHUNK).await?;
        let Some(last) = page.last() else { return Ok(Run::Made(new)) };
        after = Some(last.key.job.clone());
        let jobs: Vec<NewJob> =
            page.into_iter().map(|stored| NewJob { id: stored.key.job, spec: stored.spec }).collect();
        let staged = worker.ledger.stage(admission, batch, &jobs).await?;
        if let Some(job) = staged.conflicts.first() {
            error!(template = %template.batch, %batch, %job, "a run cannot be made: a batch of its name has other jobs");
            return Ok(Run::Impossible);
        }
        new += staged.new;
        if worker.shutdown.closing.is_cancelled() {
            return Ok(Run::Later);
        }
    }
}
