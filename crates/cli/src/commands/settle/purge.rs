//! `veobatch purge`: the details of finished jobs are dropped; or a whole batch is forgotten.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use veobatch_core::{JobKey, StateName};
use veobatch_ledger::{BatchSummary, JobFilter, Ledger, Stored};

use crate::args::parse::parse_age;
use crate::args::settings::Settings;
use crate::exit::{DONE, UNFINISHED};
use crate::failure::{Failure, Result};
use crate::output::format::counted;
use crate::output::{confirm, ui};
use crate::report::messages;
use crate::session::Session;
use crate::session::lookup;

/// Jobs that are read at a time.
const PAGE: usize = 500;

/// Drop the details of finished jobs, or forget a whole batch
///
/// Without --forget: prompts, parameters and histories of jobs that are done are dropped from the ledger; they are in the
/// sidecar beside each video. Ids, tasks and file names stay, and the same file is never paid for again. A running worker does
/// the same after --compact-after.
///
/// With --forget: the batch is forgotten with its ids, however its jobs ended. The videos stay where they are. IF THE SAME FILE
/// IS ADMITTED AGAIN, ALL OF IT IS PAID FOR AGAIN. Refused while a job is queued, in progress or in doubt, or while a task that
/// was paid for beside it is still followed or saved.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch purge garden                    drop the details of all that is done
  veobatch purge garden --older-than 30d
  veobatch purge garden --forget           asks first, unless --yes is given

Exits with 1 if the batch cannot be forgotten yet, 2 if it is unknown or --yes is missing, 3 if the ledger cannot be reached.")]
pub(crate) struct Purge {
    /// The batch
    batch: String,

    /// Only jobs that have been done for this long
    #[arg(long, value_name = "TIME", value_parser = parse_age, conflicts_with = "forget")]
    older_than: Option<Duration>,

    /// Forget the batch and its ids; its file would be paid for again
    #[arg(long)]
    forget: bool,

    /// Forget without asking
    #[arg(long, requires = "forget")]
    yes: bool,
}

impl Purge {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let batch = lookup::batch(ledger, &self.batch).await?;
        if self.forget {
            self.forget(settings, ledger, &batch).await
        } else {
            self.compact(settings, ledger, &batch).await
        }
    }

    async fn compact(&self, settings: &Settings, ledger: &dyn Ledger, batch: &BatchSummary) -> Result<u8> {
        let (name, age) = (&batch.batch, self.older_than.unwrap_or_default());
        let compacted = veobatch_worker::compact(ledger, name, age)
            .await
            .map_err(|error| Failure::ledger(format!("compact the jobs of batch {name}"), &error))?;
        if settings.json {
            ui::json(&json!({"batch": name, "compacted": compacted, "forgotten": false}))?;
        }
        ui::message(format_args!(
            "dropped the details of {} of {name}; ids and content stay known",
            counted(compacted, "finished job")
        ));
        Ok(DONE)
    }

    async fn forget(&self, settings: &Settings, ledger: &dyn Ledger, batch: &BatchSummary) -> Result<u8> {
        let name = &batch.batch;
        let failed = |error| Failure::ledger(format!("forget batch {name}"), &error);
        let is_open = |state: &StateName| !is_over(*state) && batch.count(*state) > 0;
        if StateName::ALL.iter().any(is_open) {
            return Err(Failure::unfinished(format!("forget batch {name}"))
                .since(format!("some of its jobs have not ended: {}", messages::counts(batch)))
                .hint(format!("see what is left of it: veobatch status {name}")));
        }
        if let Some((job, task)) = awaited(ledger, batch).await? {
            return Err(Failure::unfinished(format!("forget batch {name}"))
                .since(format!("task {task} of job {job} was paid for too, and its video is not saved yet"))
                .hint(format!("veobatch show {name} {}", job.job)));
        }
        if !self.is_meant(batch).await? {
            ui::message("nothing was forgotten");
            return Ok(UNFINISHED);
        }
        ledger.forget(Some(name)).await.map_err(failed)?;
        // From here on it is forgotten; what is left is only room, and if this is cut off any worker goes on with it.
        while ledger.forget(None).await.map_err(failed)? {}
        if settings.json {
            ui::json(&json!({"batch": name, "compacted": 0, "forgotten": true, "jobs": batch.total()}))?;
        }
        ui::message(format_args!("forgot {name}, with the ids of its {}", counted(batch.total(), "job")));
        Ok(DONE)
    }

    async fn is_meant(&self, batch: &BatchSummary) -> Result<bool> {
        let name = &batch.batch;
        ui::message(format_args!(
            "{name} ({}): if the same file is admitted again, every job of it is paid for again",
            messages::counts(batch)
        ));
        if self.yes {
            return Ok(true);
        }
        if !ui::can_ask() {
            return Err(Failure::bad_input(format!("forget batch {name}"))
                .since("there is no terminal to ask on")
                .hint(format!("to forget it without a question: veobatch purge {name} --forget --yes")));
        }
        confirm::confirmed(&format!("forget {name}?")).await
    }
}

fn is_over(state: StateName) -> bool {
    matches!(state, StateName::Done | StateName::Failed | StateName::Cancelled)
}

/// A job of a settled batch with a task beside its own that is still followed or saved. Compact jobs have none.
async fn awaited(ledger: &dyn Ledger, batch: &BatchSummary) -> Result<Option<(JobKey, String)>> {
    for state in [StateName::Done, StateName::Failed, StateName::Cancelled] {
        let mut after = None;
        loop {
            let jobs = if state == StateName::Done {
                ledger.page(&batch.batch, JobFilter::Whole, after.as_ref(), PAGE).await
            } else {
                ledger.page(&batch.batch, JobFilter::In(state), after.as_ref(), PAGE).await
            };
            let jobs = jobs?;
            if let Some(found) = jobs.iter().find_map(open_stray) {
                return Ok(Some(found));
            }
            match jobs.last() {
                Some(last) => after = Some(last.key.job.clone()),
                None => break,
            }
        }
    }
    Ok(None)
}

fn open_stray(stored: &Stored) -> Option<(JobKey, String)> {
    let stray = stored.record.next_stray()?;
    Some((stored.key.clone(), stray.task.to_string()))
}
