//! `veobatch arrange`: other terms for a batch that is there.

use clap::Args;
use veobatch_producer::{BatchOptions, Setting, update_batch};

use crate::args::batch_options::BatchOptionArgs;
use crate::args::settings::Settings;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::output::ui;
use crate::report::json;
use crate::session::Session;
use crate::session::lookup;

/// Change what a batch asks for: its share, its rank, its budget, when it may submit
///
/// At once and for every worker. What is not named stays, and `none` takes it away; what is under way goes on.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch arrange garden --budget 5000
  veobatch arrange garden --weight 3 --batch-priority 10
  veobatch arrange garden --window \"22:00-06:00 Europe/Berlin\" --start-at none

Exits with 2 if the batch is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Arrange {
    /// The batch
    batch: String,

    #[command(flatten)]
    terms: BatchOptionArgs,
}

impl Arrange {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let (asked, name) = (self.terms.options(), &self.batch);
        let refused = |why: &str| Failure::bad_input(format!("arrange batch {name:?}")).since(why.to_owned());
        if asked == BatchOptions::default() {
            return Err(refused("nothing is asked for it").hint(format!("veobatch arrange {name} --budget 5000")));
        }
        if asked.cron != Setting::Keep {
            return Err(refused("a recurrence belongs to the file that its runs are copied from")
                .hint("enqueue that file with another `cron`, or with --cron none"));
        }
        change(settings, name, &asked).await
    }
}

/// Brings the batch called `name` to what is asked for it, and says what that changed.
pub(crate) async fn change(settings: &Settings, name: &str, asked: &BatchOptions) -> Result<u8> {
    let session = Session::known(settings).await?;
    let ledger = &*session.ledger;
    let before = lookup::batch(ledger, name).await?;
    let batch = &before.batch;
    let now = ledger.info().await?.calendar;
    let changes = update_batch(ledger, batch, &before.terms, asked, now)
        .await
        .map_err(|error| Failure::ledger(format!("arrange batch {batch}"), &error))?;
    if changes.is_empty() {
        ui::message(format_args!("batch {batch} has these terms already"));
    } else {
        ui::message(format_args!("batch {batch}: {}", changes.join(", ")));
    }
    if settings.json {
        let after = lookup::batch(ledger, name).await?;
        ui::json(&serde_json::json!({"batches": [json::batch(&after)]}))?;
    }
    Ok(exit::DONE)
}
