//! `veobatch cancel`: no (further) payments for a batch or some of its jobs.

use clap::Args;
use serde_json::json;
use veobatch_core::{BatchId, Event, PollPolicy, StateName};
use veobatch_ledger::{BatchFlag, BatchSummary, Batches, Ledger};

use crate::args::settings::Settings;
use crate::exit::{DONE, UNFINISHED};
use crate::failure::{Failure, Result};
use crate::output::counting::Counting;
use crate::output::format::{counted, number};
use crate::output::{confirm, ui};
use crate::report::{json, messages};
use crate::session::Session;
use crate::session::lookup;
use crate::session::orders::{self, Order, Outcome};

/// Cancel a batch, or some of its jobs: nothing more is paid for
///
/// Queued jobs become `cancelled`. What is paid for already is still followed and saved: the service has no way to stop it.
/// Undo with `veobatch retry --state cancelled`. A recurring batch makes no further runs.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch cancel garden             the whole batch
  veobatch cancel garden cat-01      this job
  veobatch cancel --all              everything; asks first, unless --yes is given

Exits with 1 if a named job was left as it was or you answer no, 2 if a name is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Cancel {
    /// The batch
    #[arg(required_unless_present = "all")]
    batch: Option<String>,

    /// Only these jobs
    jobs: Vec<String>,

    /// Every batch
    #[arg(long, conflicts_with = "batch")]
    all: bool,

    /// Cancel everything without asking
    #[arg(short, long, requires = "all")]
    yes: bool,
}

impl Cancel {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let Some(name) = &self.batch else { return self.everything(settings, ledger).await };
        let batch = lookup::batch(ledger, name).await?;
        if !self.jobs.is_empty() {
            let jobs = orders::jobs(ledger, &batch.batch, &self.jobs).await?;
            let outcome = Outcome::of_named(ledger, jobs, Order::all(&Event::Cancel)).await?;
            return outcome.tell(settings, "cancelled");
        }
        cancel(settings, ledger, vec![batch]).await
    }

    async fn everything(&self, settings: &Settings, ledger: &dyn Ledger) -> Result<u8> {
        let mut batches = ledger.list(&Batches::Active).await?;
        batches.retain(|batch| over(batch) < batch.total());
        let queued = batches.iter().map(|batch| batch.count(StateName::Queued)).sum();
        if !self.yes && !batches.is_empty() && ui::can_ask() {
            let question = format!("cancel every batch ({})?", counted(queued, "queued job"));
            if !confirm::confirmed(&question).await? {
                ui::message("nothing was cancelled");
                return Err(Failure::silent(UNFINISHED));
            }
        }
        if batches.is_empty() {
            ui::message("there is nothing to cancel");
        }
        cancel(settings, ledger, batches).await
    }
}

/// States that a cancellation changes nothing of.
const OVER: [StateName; 3] = [StateName::Done, StateName::Failed, StateName::Cancelled];

/// How many jobs of `batch` are in one of those.
fn over(batch: &BatchSummary) -> u64 {
    OVER.iter().map(|state| batch.count(*state)).sum()
}

/// Cancels whole batches, and tells what became of each.
async fn cancel(settings: &Settings, ledger: &dyn Ledger, batches: Vec<BatchSummary>) -> Result<u8> {
    let failed = |batch: &BatchId, error| Failure::ledger(format!("cancel batch {batch}"), &error);
    // From here on nothing of them is submitted, even if the sweep is cut off: any worker finishes it.
    for batch in batches.iter().map(|before| &before.batch) {
        ledger.update_batch(batch, &BatchFlag::Cancelling(true).into()).await.map_err(|error| failed(batch, error))?;
    }
    let mut shown = Vec::new();
    for before in batches {
        let batch = &before.batch;
        let mut counting = Counting::new("cancelling", before.total() - over(&before));
        let swept = veobatch_worker::sweep(ledger, batch, &PollPolicy::default(), &mut |more| counting.add(more)).await;
        swept.map_err(|error| failed(batch, error))?;
        drop(counting);
        let after = lookup::batch(ledger, batch.as_str()).await?;
        tell(&before, &after);
        shown.push(json::batch(&after));
    }
    if settings.json {
        ui::json(&json!({"batches": shown}))?;
    }
    Ok(DONE)
}

fn tell(before: &BatchSummary, after: &BatchSummary) {
    let cancelled = after.count(StateName::Cancelled).saturating_sub(before.count(StateName::Cancelled));
    ui::message(format_args!(
        "cancelled {}: {}; now {}",
        after.batch,
        counted(cancelled, "job"),
        messages::counts(after)
    ));
    if after.cancelling {
        ui::message(format_args!(
            "some of its jobs cannot be read by this version and stay as they are; nothing of the batch is submitted until a \
             version that can read them has cancelled them: veobatch status {}",
            after.batch
        ));
    }
    let paid: u64 = [StateName::Submitting, StateName::Generating, StateName::Upscaling, StateName::Downloading]
        .map(|state| after.count(state))
        .into_iter()
        .sum();
    if paid > 0 {
        ui::message(format_args!("{} paid for already: a worker still follows and saves them", number(paid)));
    }
    if after.count(StateName::InDoubt) > 0 {
        ui::message(format_args!(
            "{} in doubt may be paid for already: no further attempt is made, but they stay in doubt: veobatch status {}",
            counted(after.count(StateName::InDoubt), "job"),
            after.batch
        ));
    }
}
