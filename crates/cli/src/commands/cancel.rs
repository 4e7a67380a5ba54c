//! `veobatch cancel`: no (further) payments for a batch or some of its jobs.

use clap::Args;
use serde_json::json;
use veobatch_core::{Event, StateName};
use veobatch_ledger::{BatchFlag, BatchSummary};

use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::opened::Opened;
use crate::orders::{Meant, Outcome};
use crate::settings::Settings;
use crate::units::{counted, number};
use crate::{named, say, shapes, words};

/// Cancel a batch, or some of its jobs: nothing more is paid for them
///
/// Queued jobs become `cancelled`. What is paid for already is still followed and saved: the service has no way to stop
/// it, and it costs the same. Undo with `veobatch retry`. Of a recurring batch it ends all further runs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch cancel garden             the whole batch
  veobatch cancel garden cat-01      this job

Exits with 1 if a named job was left as it was, 2 if a name is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Cancel {
    #[command(flatten)]
    meant: Meant,
}

impl Cancel {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let opened = Opened::known(settings).await?;
        let ledger = &*opened.ledger;
        let batch = named::batch(ledger, &self.meant.batch).await?;
        let policy = settings.policy();
        if !self.meant.jobs.is_empty() {
            let outcome = Outcome::named(ledger, &batch.batch, &self.meant.jobs, &Event::Cancel, &policy).await?;
            return outcome.tell(settings, "cancelled");
        }
        let what = || format!("cancel batch {}", batch.batch);
        let failed = |error| Failure::ledger(what(), &error);
        // From here on nothing of it is submitted, even if the sweep is cut off: any worker finishes it.
        ledger.flag(&batch.batch, BatchFlag::Cancelling(true)).await.map_err(failed)?;
        veobatch_worker::sweep(ledger, &batch.batch, &policy).await.map_err(failed)?;
        let after = named::batch(ledger, batch.batch.as_str()).await?;
        tell(settings, &batch, &after)?;
        Ok(DONE)
    }
}

fn tell(settings: &Settings, before: &BatchSummary, after: &BatchSummary) -> Result<()> {
    if settings.json {
        say::json(&json!({"batches": [shapes::batch(after)]}))?;
    }
    let cancelled = after.count(StateName::Cancelled).saturating_sub(before.count(StateName::Cancelled));
    say::words(format_args!(
        "batch {}: {} cancelled; now {}",
        after.batch,
        counted(cancelled, "job"),
        words::counts(after)
    ));
    let paid: u64 = [StateName::Submitting, StateName::Generating, StateName::Upscaling, StateName::Downloading]
        .map(|state| after.count(state))
        .into_iter()
        .sum();
    if paid > 0 {
        say::words(format_args!("{} paid for already: a worker still follows and saves that", number(paid)));
    }
    if after.count(StateName::InDoubt) > 0 {
        say::words(format_args!(
            "{} in doubt, and may be paid for already: they get no further attempt, but stay in doubt: veobatch status {}",
            counted(after.count(StateName::InDoubt), "job"),
            after.batch
        ));
    }
    Ok(())
}
