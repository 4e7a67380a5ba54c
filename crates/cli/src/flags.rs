//! Pausing and resuming whole batches.

use clap::Args;
use serde_json::json;
use veobatch_core::StateName;
use veobatch_ledger::BatchFlag;

use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::named;
use crate::opened::Opened;
use crate::settings::Settings;
use crate::units::counted;
use crate::{say, shapes};

/// A whole batch.
#[derive(Args, Debug)]
pub(crate) struct Whole {
    /// The batch
    batch: String,

    /// Refused: jobs are not paused one by one
    #[arg(hide = true)]
    jobs: Vec<String>,
}

/// Sets `flag` of the batch, and says what that means. `verb` is the command's name.
pub(crate) async fn set(settings: &Settings, whole: &Whole, verb: &str, flag: BatchFlag) -> Result<u8> {
    if !whole.jobs.is_empty() {
        return Err(Failure::bad_input(format!("{verb} single jobs"))
            .since("only whole batches are paused and resumed")
            .hint(format!("veobatch {verb} {}   (single jobs can be cancelled and retried)", whole.batch)));
    }
    let opened = Opened::known(settings).await?;
    let ledger = &*opened.ledger;
    let before = named::batch(ledger, &whole.batch).await?;
    let batch = &before.batch;
    ledger.flag(batch, flag.clone()).await.map_err(|error| Failure::ledger(format!("{verb} batch {batch}"), &error))?;
    let queued = counted(before.count(StateName::Queued), "queued job");
    let (is_paused, words) = match flag {
        BatchFlag::Paused(true) if before.paused => (true, format!("batch {batch} is paused already")),
        BatchFlag::Paused(true) => {
            (true, format!("batch {batch} is paused: {queued} will wait; what is paid for is still followed and saved"))
        }
        BatchFlag::Paused(false) if !before.paused && !before.cancelling => {
            (false, format!("batch {batch} is not paused"))
        }
        BatchFlag::Paused(false) => (false, format!("batch {batch} goes on: {queued} may be submitted")),
        BatchFlag::PausedBecause(_) | BatchFlag::Cancelling(_) => {
            (before.paused, format!("batch {batch} is being cancelled"))
        }
    };
    say::words(words);
    if settings.json {
        let after = veobatch_ledger::BatchSummary { paused: is_paused, cancelling: false, ..before };
        say::json(&json!({"batches": [shapes::batch(&after)]}))?;
    }
    Ok(DONE)
}
