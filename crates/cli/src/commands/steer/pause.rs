//! `veobatch pause` and `veobatch resume`: no further submissions of a batch, or of every one; and submissions again.

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::StateName;
use veobatch_ledger::{BatchFlag, BatchSummary, Ledger, LedgerError};

use crate::args::settings::Settings;
use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::output::format::{counted, number};
use crate::output::ui;
use crate::report::json;
use crate::session::Session;
use crate::session::lookup;

/// Pause a batch: no further submissions
///
/// Takes effect at once, for every worker. What is paid for is still followed and saved. A recurring batch makes no further
/// runs. Continue with `veobatch resume`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch pause garden
  veobatch pause --all        every batch

Exits with 2 if the batch is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Pause {
    #[command(flatten)]
    whole: Whole,
}

impl Pause {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        set(settings, &self.whole, "pause", BatchFlag::Paused(true)).await
    }
}

/// Resume a paused batch
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch resume garden
  veobatch resume --all       every paused batch, whoever paused it

Exits with 2 if the batch is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Resume {
    #[command(flatten)]
    whole: Whole,
}

impl Resume {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        set(settings, &self.whole, "resume", BatchFlag::Paused(false)).await
    }
}

/// A whole batch, or every one.
#[derive(Args, Debug)]
struct Whole {
    /// The batch
    #[arg(required_unless_present = "all")]
    batch: Option<String>,

    /// Every batch
    #[arg(long, conflicts_with = "batch")]
    all: bool,

    /// Refused: jobs are not paused one by one
    #[arg(hide = true)]
    jobs: Vec<String>,
}

/// Sets `flag` of the batches, and says what that means. `verb` is the command's name.
async fn set(settings: &Settings, whole: &Whole, verb: &str, flag: BatchFlag) -> Result<u8> {
    if !whole.jobs.is_empty() {
        let batch = whole.batch.as_deref().unwrap_or_default();
        return Err(Failure::bad_input(format!("{verb} single jobs"))
            .since("only whole batches can be paused and resumed")
            .hint(format!("veobatch {verb} {batch}   (single jobs can be cancelled and retried)")));
    }
    let session = Session::known(settings).await?;
    let ledger = &*session.ledger;
    let mut shown = Vec::new();
    if let Some(name) = &whole.batch {
        let before = lookup::batch(ledger, name).await?;
        let after = put(ledger, &before, verb, &flag).await?;
        shown.extend(after.as_ref().map(json::batch));
    } else {
        let wanted = matches!(flag, BatchFlag::Paused(true));
        let batches = ledger.batches().await?;
        // One that is being cancelled is not to go on because others are.
        let others = batches.iter().filter(|batch| batch.paused != wanted && !batch.cancelling);
        let mut changed = 0;
        for before in others {
            let after = put(ledger, before, verb, &flag).await?;
            changed += u64::from(after.is_some());
            shown.extend(after.as_ref().map(json::batch));
        }
        ui::message(match changed {
            1 => format!("1 batch {verb}d"),
            _ => format!("{} batches {verb}d", number(changed)),
        });
    }
    if settings.json {
        ui::json(&json!({"batches": Value::from(shown)}))?;
    }
    Ok(DONE)
}

/// Sets the flag of one batch; what it is from now on, or nothing if it was forgotten meanwhile.
async fn put(ledger: &dyn Ledger, before: &BatchSummary, verb: &str, flag: &BatchFlag) -> Result<Option<BatchSummary>> {
    let batch = &before.batch;
    match ledger.update_batch(batch, &flag.clone().into()).await {
        Ok(()) => {}
        Err(LedgerError::UnknownBatch(_)) => {
            ui::message(format_args!("{batch} was forgotten meanwhile"));
            return Ok(None);
        }
        Err(error) => return Err(Failure::ledger(format!("{verb} batch {batch}"), &error)),
    }
    let queued = counted(before.count(StateName::Queued), "queued job");
    let (is_paused, words) = match flag {
        BatchFlag::Paused(true) if before.paused => (true, format!("{batch} is paused already")),
        BatchFlag::Paused(true) => {
            (true, format!("paused {batch}: {queued} will wait; what is paid for is still followed and saved"))
        }
        BatchFlag::Paused(false) if !before.paused && !before.cancelling => (false, format!("{batch} is not paused")),
        BatchFlag::Paused(false) => (false, format!("resumed {batch}: {queued} may be submitted")),
        BatchFlag::PausedBecause(_) | BatchFlag::Cancelling(_) => {
            (before.paused, format!("{batch} is being cancelled"))
        }
    };
    ui::message(words);
    Ok(Some(BatchSummary { paused: is_paused, paused_because: None, cancelling: false, ..before.clone() }))
}
