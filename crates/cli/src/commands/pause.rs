//! `veobatch pause`: no further submissions of a batch.

use clap::Args;
use veobatch_ledger::BatchFlag;

use crate::failure::Result;
use crate::flags::{Whole, set};
use crate::settings::Settings;

/// Pause a batch: no further submissions, at once and for every worker
///
/// What is paid for is still followed and saved. Of a recurring batch no further run is made. Continue with `veobatch resume`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch pause garden
  veobatch pause --all        every batch that is there

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
