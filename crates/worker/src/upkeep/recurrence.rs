//! Recurring batches: at each instant of a template's schedule, a run: a batch of its own with the template's jobs.
//!
//! ```text
//! garden (cron: 0 22 * * *, advanced to yesterday)
//!    └─ 22:00 ─▶ stage its jobs as garden-2026-11-23 ─▶ update its settings ─▶ publish it and advance the template to 22:00
//! ```
//!
//! The first worker makes the run, and the others may try too. Publishing the run and advancing the template are one atomic
//! step, which succeeds only if the template's schedule is still the one that the worker began with: however long it slept in
//! between, and whatever became of a run that others made meanwhile (finished, forgotten), an instant is paid for once. A
//! worker that dies half-way leaves an admission that nobody sees and the next one drops.

use std::time::Duration;

use tracing::{debug, error, info, warn};
use veobatch_core::{BatchId, Cron, JobId, Schedule, StateName, Timestamp, millis};
use veobatch_ledger::{
    Admission, BatchSummary, BatchUpdate, Batches, JobFilter, LedgerError, NewJob, STAGE_CHUNK, TemplateAdvance,
};

use crate::runtime::context::Context;

/// How long a missed run is still made.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(3600);

/// The result of making a run.
enum Run {
    /// It exists, with so many jobs added by this worker.
    Made(u64),
    /// Another worker is making it, or this worker is shutting down: try again later.
    Later,
    /// It can never be made.
    Impossible,
}

/// The pending instant of the template `batch`, unless nobody wants its runs now.
fn pending(batch: &BatchSummary, cron: &Cron) -> Option<Timestamp> {
    let is_at_rest = batch.paused || batch.cancelling || batch.count(StateName::Queued) == 0;
    cron.pending().filter(|_| !is_at_rest)
}

/// Whether `batch` is a template with a run to make at `now`.
pub(super) fn is_due(batch: &BatchSummary, now: Timestamp) -> bool {
    let schedule = &batch.terms.schedule;
    Schedule::recurs(schedule)
        && Schedule::parse(schedule).is_ok_and(|schedule| {
            schedule.cron.is_some_and(|cron| pending(batch, &cron).is_some_and(|instant| instant <= now))
        })
}

/// Makes the next run of `template` if it is due. One at a time, so that a tick stays short.
pub(super) async fn recur(
    context: &Context,
    template: &BatchSummary,
    schedule: &Schedule,
    cron: &Cron,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let Some(instant) = pending(template, cron).filter(|instant| *instant <= now) else { return Ok(()) };
    let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(millis(CATCH_UP_LIMIT)));
    if instant < oldest {
        warn!(template = %template.batch, first = %instant, "runs that were due more than an hour ago are skipped");
        let up_to = Timestamp::from_millis(oldest.as_millis().saturating_sub(1));
        take(context, advance(template, schedule, cron, up_to)).await?;
        return Ok(());
    }
    let name = format!("{}{}", template.batch, cron.stamp(instant));
    let advance = advance(template, schedule, cron, instant);
    let run = match BatchId::parse(&name) {
        Ok(batch) => make(context, template, schedule, &batch, &advance, now).await?,
        Err(error) => {
            error!(template = %template.batch, name, %error, "a run cannot be made: its name is not usable");
            Run::Impossible
        }
    };
    match run {
        Run::Made(new) if new > 0 => info!(template = %template.batch, batch = name, jobs = new, "a run was made"),
        Run::Impossible => take(context, advance).await?,
        Run::Made(_) | Run::Later => {}
    }
    Ok(())
}

/// All instants of `template` up to `instant` are dealt with.
fn advance(template: &BatchSummary, schedule: &Schedule, cron: &Cron, instant: Timestamp) -> TemplateAdvance {
    let next = Schedule { cron: Some(cron.clone().since(instant)), ..schedule.clone() };
    TemplateAdvance { template: template.batch.clone(), from: template.terms.schedule.clone(), to: next.to_string() }
}

/// Deals with instants for which no run is made.
async fn take(context: &Context, advance: TemplateAdvance) -> Result<(), LedgerError> {
    let TemplateAdvance { template, from, to } = advance;
    let change = BatchUpdate { schedule: Some(to), only_if: Some(from), ..BatchUpdate::default() };
    update(context, &template, &change).await
}

/// Makes the run `batch`, with what of the template is queued and with its terms.
async fn make(
    context: &Context,
    template: &BatchSummary,
    schedule: &Schedule,
    batch: &BatchId,
    advance: &TemplateAdvance,
    now: Timestamp,
) -> Result<Run, LedgerError> {
    let admission = Admission::random();
    let run = match stage(context, template, batch, &admission).await {
        Err(LedgerError::Busy { .. } | LedgerError::Dropped) => {
            debug!(%batch, "somebody else is making this run");
            return Ok(Run::Later);
        }
        result => result?,
    };
    let Run::Made(new) = run else {
        context.ledger.abandon(&admission, std::slice::from_ref(batch)).await?;
        return Ok(run);
    };
    // A run that is there already has its own terms, and somebody may have changed them.
    let is_shown = !context.ledger.list(&Batches::Named(vec![batch.clone()])).await?.is_empty();
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
        update(context, batch, &terms).await?;
    }
    match context.ledger.publish(&admission, std::slice::from_ref(batch), Some(advance)).await {
        Err(LedgerError::Dropped) => {
            debug!(%batch, "somebody else has dealt with this run");
            context.ledger.abandon(&admission, std::slice::from_ref(batch)).await.map(|()| Run::Later)
        }
        result => result.map(|()| Run::Made(new)),
    }
}

/// Stages the template's queued jobs page by page.
async fn stage(
    context: &Context,
    template: &BatchSummary,
    batch: &BatchId,
    admission: &Admission,
) -> Result<Run, LedgerError> {
    let (mut new, mut after): (u64, Option<JobId>) = (0, None);
    loop {
        let page =
            context.ledger.page(&template.batch, JobFilter::In(StateName::Queued), after.as_ref(), STAGE_CHUNK).await?;
        let Some(last) = page.last() else { return Ok(Run::Made(new)) };
        after = Some(last.key.job.clone());
        let jobs: Vec<NewJob> =
            page.into_iter().map(|stored| NewJob { id: stored.key.job, spec: stored.spec }).collect();
        let staged = context.ledger.stage(admission, batch, &jobs).await?;
        if let Some(job) = staged.conflicts.first() {
            error!(template = %template.batch, %batch, %job, "a run cannot be made: a batch of its name has other jobs");
            return Ok(Run::Impossible);
        }
        new += staged.new;
        if context.shutdown.closing.is_cancelled() {
            return Ok(Run::Later);
        }
    }
}

/// Changes the settings of a batch, which may have been forgotten meanwhile.
pub(super) async fn update(context: &Context, batch: &BatchId, change: &BatchUpdate) -> Result<(), LedgerError> {
    match context.ledger.update_batch(batch, change).await {
        Err(LedgerError::UnknownBatch(_)) => {
            warn!(%batch, "the batch was forgotten while its schedule was being kept");
            Ok(())
        }
        result => result,
    }
}
