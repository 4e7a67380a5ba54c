//! `veobatch resume`: submissions of a paused batch again.

use clap::Args;
use veobatch_ledger::BatchFlag;

use crate::failure::Result;
use crate::flags::{Whole, set};
use crate::settings::Settings;

/// Resume a paused batch
#[derive(Args, Debug)]
#[command(after_help = "Examples:
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
