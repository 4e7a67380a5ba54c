//! `veobatch priority`: who goes first, among batches or among the queued jobs of one.

use clap::Args;
use veobatch_core::Event;
use veobatch_producer::{BatchOptions, parse_priority};

use super::arrange;
use crate::args::settings::Settings;
use crate::failure::{Failure, Result};
use crate::session::Session;
use crate::session::lookup;
use crate::session::orders::{self, Order, Outcome};

/// Give a batch another rank among the batches, or queued jobs another one within their batch
///
/// Higher goes first; 0 is the usual one. A batch goes before all of lower rank, whatever the weights. At once and for
/// every worker.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch priority garden 10             this batch before the others
  veobatch priority garden -5             and this way after them
  veobatch priority garden 100 cat-01     this job before the others of the batch

Exits with 1 if a named job was left as it was (only queued ones can be moved), 2 if a name is unknown, 3 if the ledger
cannot be reached.")]
pub(crate) struct Priority {
    /// The batch
    batch: String,

    /// The rank: -100 to 100 for a batch, -32768 to 32767 for a job
    #[arg(value_name = "PRIORITY", allow_negative_numbers = true)]
    rank: i16,

    /// Only these jobs, among the jobs of the batch; without any, the batch among the batches
    jobs: Vec<String>,
}

impl Priority {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        if self.jobs.is_empty() {
            let priority = parse_priority(&self.rank.to_string()).map_err(|words| {
                Failure::bad_input(format!("use priority {}", self.rank)).since(format!("a batch's has to be {words}"))
            })?;
            let asked = BatchOptions { priority: Some(priority), ..BatchOptions::default() };
            return arrange::change(settings, &self.batch, &asked).await;
        }
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let batch = lookup::batch(ledger, &self.batch).await?;
        let event = Event::Prioritize(self.rank);
        let jobs = orders::jobs(ledger, &batch.batch, &self.jobs).await?;
        let outcome = Outcome::of_named(ledger, jobs, Order::all(&event)).await?;
        outcome.tell(settings, "moved in the queue")
    }
}
