//! Pausing and resuming batches: one, or all of them.

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::StateName;
use veobatch_ledger::{BatchFlag, BatchSummary, Ledger, LedgerError};

use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::named::{self, looking};
use crate::opened::Opened;
use crate::settings::Settings;
use crate::units::{counted, number};
use crate::{say, shapes};

/// A whole batch, or every one.
#[derive(Args, Debug)]
pub(crate) struct Whole {
    /// The batch
    #[arg(required_unless_present = "all")]
    batch: Option<String>,

    /// Every batch that is there
    #[arg(long, conflicts_with = "batch")]
    all: bool,

    /// Refused: jobs are not paused one by one
    #[arg(hide = true)]
    jobs: Vec<String>,
}

/// Sets `flag` of the batches, and says what that means. `verb` is the command's name.
pub(crate) async fn set(settings: &Settings, whole: &Whole, verb: &str, flag: BatchFlag) -> Result<u8> {
    if !whole.jobs.is_empty() {
        let batch = whole.batch.as_deref().unwrap_or_default();
        return Err(Failure::bad_input(format!("{verb} single jobs"))
            .since("only whole batches are paused and resumed")
            .hint(format!("veobatch {verb} {batch}   (single jobs can be cancelled and retried)")));
    }
    let opened = Opened::known(settings).await?;
    let ledger = &*opened.ledger;
    let mut shown = Vec::new();
    if let Some(name) = &whole.batch {
        let before = named::batch(ledger, name).await?;
        let after = put(ledger, &before, verb, &flag).await?;
        shown.extend(after.as_ref().map(shapes::batch));
    } else {
        let wanted = matches!(flag, BatchFlag::Paused(true));
        let batches = ledger.batches().await.map_err(|error| looking(&error))?;
        // One that is being cancelled is not to go on because others are.
        let others = batches.iter().filter(|batch| batch.paused != wanted && !batch.cancelling);
        let mut changed = 0;
        for before in others {
            let after = put(ledger, before, verb, &flag).await?;
            changed += u64::from(after.is_some());
            shown.extend(after.as_ref().map(shapes::batch));
        }
        say::words(match changed {
            1 => format!("1 batch {verb}d"),
            _ => format!("{} batches {verb}d", number(changed)),
        });
    }
    if settings.json {
        say::json(&json!({"batches": Value::from(shown)}))?;
    }
    Ok(DONE)
}

/// Sets the flag of one batch; what it is from now on, or nothing if it was forgotten meanwhile.
async fn put(ledger: &dyn Ledger, before: &BatchSummary, verb: &str, flag: &BatchFlag) -> Result<Option<BatchSummary>> {
    let batch = &before.batch;
    match ledger.flag(batch, flag.clone()).await {
        Ok(()) => {}
        Err(LedgerError::UnknownBatch(_)) => {
            say::words(format_args!("batch {batch} was forgotten meanwhile"));
            return Ok(None);
        }
        Err(error) => return Err(Failure::ledger(format!("{verb} batch {batch}"), &error)),
    }
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
    Ok(Some(BatchSummary { paused: is_paused, paused_because: None, cancelling: false, ..before.clone() }))
}
