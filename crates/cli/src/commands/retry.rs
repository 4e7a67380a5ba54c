//! `veobatch retry`: jobs that ended without a video, once more.

use clap::Args;
use veobatch_core::{Event, StateName};

use crate::failure::Result;
use crate::named;
use crate::opened::Opened;
use crate::orders::{Meant, Outcome};
use crate::say;
use crate::settings::Settings;

/// Try failed and cancelled jobs again, from the furthest paid point
///
/// A job is paid for again only if the service itself refused it or declared it failed; one whose video was made but
/// never fetched is only fetched. Jobs in doubt are never touched: see `veobatch resolve`. A named job that waits (for
/// a poll, a download) is looked at now.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch retry garden            every failed or cancelled job of the batch
  veobatch retry garden cat-01     this one

Exits with 1 if a job was left as it was, 2 if a name is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Retry {
    #[command(flatten)]
    meant: Meant,
}

impl Retry {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let opened = Opened::known(settings).await?;
        let (ledger, policy) = (&*opened.ledger, settings.policy());
        let batch = named::batch(ledger, &self.meant.batch).await?;
        let states = [StateName::Failed, StateName::Cancelled];
        let outcome = if self.meant.jobs.is_empty() {
            Outcome::every(ledger, &batch.batch, &states, &Event::Retry, &policy).await?
        } else {
            Outcome::named(ledger, &batch.batch, &self.meant.jobs, &Event::Retry, &policy).await?
        };
        let code = outcome.tell(settings, "retried")?;
        if !outcome.is_empty() {
            let name = &batch.batch;
            say::words(match (batch.paused, batch.cancelling) {
                (_, true) => format!("batch {name} is still being cancelled; clear that first: veobatch resume {name}"),
                (true, false) => format!("batch {name} is paused; let it go on: veobatch resume {name}"),
                (false, false) => {
                    "a running worker takes them up; without one: veobatch worker --until-idle".to_owned()
                }
            });
        }
        Ok(code)
    }
}
