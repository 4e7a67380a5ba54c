//! `veobatch update`: other settings for a batch, or another rank for some of its queued jobs.

use clap::Args;
use serde_json::json;
use veobatch_core::{Event, Schedule, StateName};
use veobatch_ledger::{BatchSummary, Ledger};
use veobatch_producer::{BatchOptions, Setting, update_batch};

use crate::args::batch_options::BatchOptionArgs;
use crate::args::settings::Settings;
use crate::exit::{DONE, UNFINISHED};
use crate::failure::{Failure, Result};
use crate::output::confirm;
use crate::output::format::counted;
use crate::output::ui;
use crate::report::json;
use crate::session::orders::{self, Order, Outcome};
use crate::session::{Session, lookup};

/// Change the settings of a batch, or the priority of its jobs
///
/// Changes take effect at once, for every worker. What is not named stays as it is, `none` clears it, and what is in progress
/// goes on. For single jobs, only --priority applies: it ranks queued jobs within their batch, -32768 to 32767.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch update garden --budget 5000
  veobatch update garden cat-01 cat-02 --priority 5
  veobatch update garden --weight 3 --priority 10
  veobatch update garden --window '22:00-06:00 Europe/Berlin' --start-at none

Asks before it makes queued jobs payable (--cron), if there is a terminal.

Exits with 1 if a named job was left as it was (only queued jobs have a rank) or the answer is no, 2 if a name is unknown, 3 if the ledger \
cannot be reached.")]
pub(crate) struct Update {
    /// The batch
    batch: String,

    /// Rank these jobs within their batch, instead of the batch
    #[arg(value_name = "JOB")]
    jobs: Vec<String>,

    /// Do not ask before money is spent
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    options: BatchOptionArgs,
}

impl Update {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let name = &self.batch;
        if self.options.is_empty() {
            return Err(Failure::bad_input(format!("update batch {name:?}"))
                .since("no setting is named")
                .hint(format!("veobatch update {name} --budget 5000   (all of them: veobatch update --help)")));
        }
        if !self.jobs.is_empty() {
            return self.rank(settings).await;
        }
        let options = self.options.options()?;
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let before = lookup::batch(ledger, name).await?;
        if let Some(what) = makes_payable(&before, &options)
            && !self.is_meant(settings, &before, &what).await?
        {
            ui::message("nothing was changed");
            return Err(Failure::silent(UNFINISHED));
        }
        let after = update(ledger, &before, &options).await?;
        if settings.json {
            ui::json(&json!({"batches": [json::batch(&after)]}))?;
        }
        Ok(DONE)
    }

    async fn is_meant(&self, settings: &Settings, batch: &BatchSummary, what: &str) -> Result<bool> {
        if self.yes || settings.simulate || !ui::can_ask() {
            return Ok(true);
        }
        ui::message(what);
        confirm::confirmed(&format!("update {}?", batch.batch)).await
    }

    /// Ranks the jobs that are named.
    async fn rank(&self, settings: &Settings) -> Result<u8> {
        let name = &self.batch;
        let Some(priority) = self.options.only_priority() else {
            return Err(Failure::bad_input(format!("update single jobs of batch {name:?}"))
                .since("jobs have a priority only; the other settings are those of the whole batch")
                .hint(format!("veobatch update {name} {} --priority N", self.jobs.join(" "))));
        };
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let batch = lookup::batch(ledger, name).await?;
        let jobs = orders::jobs(ledger, &batch.batch, &self.jobs).await?;
        let outcome = Outcome::of_named(ledger, jobs, Order::all(&Event::Prioritize(priority))).await?;
        outcome.tell(settings, &format!("priority {priority}"))
    }
}

/// What an update would make payable that was not, in words; `None` if nothing.
fn makes_payable(batch: &BatchSummary, options: &BatchOptions) -> Option<String> {
    let (name, queued) = (&batch.batch, batch.count(StateName::Queued));
    if queued == 0 {
        return None;
    }
    let queued = counted(queued, "queued job");
    match (&options.cron, Schedule::recurs(&batch.terms.schedule)) {
        (Setting::Clear, true) => Some(format!(
            "{name} is no template then: its {queued} may be submitted; to end it: veobatch cancel {name}"
        )),
        (Setting::Set(_), false) => Some(format!("{name} is a template then: each run pays for its {queued} anew")),
        (Setting::Keep | Setting::Clear | Setting::Set(_), _) => None,
    }
}

/// Brings a batch to what is asked for it, and reports what that changed. Returns what it is from now on.
async fn update(ledger: &dyn Ledger, before: &BatchSummary, options: &BatchOptions) -> Result<BatchSummary> {
    let batch = &before.batch;
    let what = || format!("update batch {batch}");
    options.check(batch).map_err(|problem| {
        let failure = Failure::bad_input(what()).since(problem.message);
        problem.hint.into_iter().fold(failure, Failure::hint)
    })?;
    let now = ledger.info().await?.calendar;
    let changes = update_batch(ledger, batch, &before.terms, options, now).await;
    let changes = changes.map_err(|error| Failure::ledger(what(), &error))?;
    if changes.is_empty() {
        ui::message(format_args!("{batch} has these settings already"));
        return Ok(before.clone());
    }
    ui::message(format_args!("updated {batch}: {}", changes.join(", ")));
    let after = lookup::batch(ledger, batch.as_str()).await?;
    let recurs = |batch: &BatchSummary| Schedule::recurs(&batch.terms.schedule);
    let queued = counted(after.count(StateName::Queued), "queued job");
    match (recurs(before), recurs(&after)) {
        (false, true) => ui::message(format_args!("{batch} is a template now: each run pays for its {queued} anew")),
        (true, false) => ui::message(format_args!("{batch} is no template any more: its {queued} may be submitted")),
        (true, true) | (false, false) => {}
    }
    Ok(after)
}
