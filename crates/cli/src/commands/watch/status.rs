//! `veobatch status`: how far everything is.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::{BatchId, Credits, StateName, Timestamp, millis};
use veobatch_ledger::{BatchSummary, Batches, Ledger};

use crate::args::settings::Settings;
use crate::exit::DONE;
use crate::failure::Result;
use crate::output::format::number;
use crate::output::table::Table;
use crate::output::ui;
use crate::report::attention::{self, Attention};
use crate::report::forecast::Forecasts;
use crate::report::slots::Slots;
use crate::report::{account, durations, json, messages};
use crate::session::lookup;
use crate::session::{self, Session};

/// Show the batches, the account, and what needs a person
///
/// Reads the ledger only: it works beside a running worker and needs no API key. Batches that have been at rest (nothing
/// queued, in progress or in doubt) for more than 7 days are left out; --all lists every batch, in pages.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch status
  veobatch status garden
  veobatch status --all --after daily-2026-11-23 --limit 50
  veobatch status --simulate              the simulated ledger
  veobatch status --json | jq '.batches[] | {batch, done, total}'

With --all and without --limit: every batch with --json, the first 100 otherwise.
Exits with 2 if the batch is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Status {
    /// Only this batch
    batch: Option<String>,

    /// Every batch, oldest first
    #[arg(long, conflicts_with = "batch")]
    all: bool,

    /// At most N batches
    #[arg(long, value_name = "N", requires = "all", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// Only batches after this one
    #[arg(long, value_name = "BATCH", requires = "all")]
    after: Option<String>,
}

/// A batch that is at rest for longer is not listed unless somebody asks for all.
const RECENT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Batches that people are shown of all, unless they ask for more.
const LINES: u32 = 100;

/// What is listed.
#[derive(Debug)]
struct Listed {
    batches: Vec<BatchSummary>,
    /// There are others, which are at rest for longer than [`RECENT`].
    older: bool,
    /// The last of this page, if there is another one.
    next: Option<BatchId>,
}

impl Status {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let Some(session) = Session::existing(settings).await? else {
            if self.batch.is_some() {
                return Err(session::nothing_there(settings)?);
            }
            if settings.json {
                ui::json(&json!({"batches": []}))?;
            }
            ui::message("no jobs yet: there is no ledger here; start with `veobatch run FILE`");
            return Ok(DONE);
        };
        let ledger = &*session.ledger;
        let account = ledger.account(0).await?;
        let listed = self.list(settings, ledger, account.now).await?;
        let batches = &listed.batches;
        let forecasts = Forecasts::of(ledger, &[]).await?.priced(ledger, batches).await?;
        let slots = Slots::of(ledger).await?;
        let known = ledger.durations().await?;
        let attention = Attention::of(ledger, batches, true).await?;
        if settings.json {
            let shape = |batch| forecasts.of_a_batch(batch, json::batch(batch));
            let mut document = json!({"batches": batches.iter().map(shape).collect::<Vec<Value>>()});
            if let Value::Object(object) = &mut document {
                object.insert("older".to_owned(), json!(listed.older));
                object.insert("next".to_owned(), json!(listed.next));
                object.insert("account".to_owned(), json::account(&account));
                object.insert("slots".to_owned(), slots.json());
                object.insert("learned".to_owned(), durations::json(&known));
            }
            attention.extend(&mut document);
            ui::json(&document)?;
            return Ok(DONE);
        }
        listed.tell();
        for line in table(batches).lines() {
            ui::data(line)?;
        }
        ui::data("")?;
        for line in batches.iter().filter_map(messages::terms).chain(forecasts.lines(batches)) {
            ui::data(line)?;
        }
        let account = account::lines(&account).into_iter().chain(slots.lines(&account));
        let lines = account.chain(durations::words(&known));
        for line in lines.chain(attention::text::lines(&attention)) {
            ui::data(line)?;
        }
        Ok(DONE)
    }

    async fn list(&self, settings: &Settings, ledger: &dyn Ledger, now: Timestamp) -> Result<Listed> {
        let listed = |batches| Listed { batches, older: false, next: None };
        if let Some(name) = &self.batch {
            return Ok(listed(vec![lookup::batch(ledger, name).await?]));
        }
        if self.all {
            let after = match &self.after {
                Some(name) => Some(lookup::batch(ledger, name).await?.batch),
                None => None,
            };
            let limit = self.limit.unwrap_or(if settings.json { u32::MAX } else { LINES }) as usize;
            let page = Batches::All { after, limit: limit.saturating_add(1) };
            let mut batches = ledger.list(&page).await?;
            let is_cut = batches.len() > limit;
            batches.truncate(limit);
            let next = batches.last().filter(|_| is_cut).map(|last| last.batch.clone());
            return Ok(Listed { next, ..listed(batches) });
        }
        let since = Timestamp::from_millis(now.as_millis().saturating_sub(millis(RECENT)));
        let batches = ledger.list(&Batches::Recent { since }).await?;
        let older = ledger.list(&Batches::Rested { before: since, limit: 1 }).await?;
        Ok(Listed { older: !older.is_empty(), ..listed(batches) })
    }
}

impl Listed {
    /// Says what is not in the list, if anything is not.
    fn tell(&self) {
        match (&self.next, self.older) {
            (Some(last), _) => ui::message(format_args!("there are more: veobatch status --all --after {last}")),
            (None, true) => {
                ui::message("batches at rest for more than 7 days are left out: veobatch status --all");
            }
            (None, false) if self.batches.is_empty() => ui::message("no jobs yet; start with `veobatch run FILE`"),
            (None, false) => {}
        }
    }
}

/// Counts per batch; states that no batch has jobs in are left out.
fn table(batches: &[BatchSummary]) -> Table {
    let mut table = Table::new(1);
    if batches.is_empty() {
        return table;
    }
    let is_seen = |state: StateName| batches.iter().any(|batch| batch.count(state) > 0);
    let states: Vec<StateName> =
        StateName::ALL.iter().copied().filter(|&state| state == StateName::Done || is_seen(state)).collect();
    let heads = states.iter().map(|&state| messages::spoken(state));
    let is_paid = batches.iter().any(|batch| batch.credits > Credits::default());
    table.row(["batch", "total"].into_iter().chain(heads).chain(is_paid.then_some("credits")));
    for batch in batches {
        let name = match (batch.cancelling, batch.paused) {
            (true, _) => format!("{} (being cancelled)", batch.batch),
            (false, true) => format!("{} (paused)", batch.batch),
            (false, false) => batch.batch.to_string(),
        };
        let counts = states.iter().map(|&state| number(batch.count(state)));
        let credits = is_paid.then(|| batch.credits.to_string());
        table.row([name, number(batch.total())].into_iter().chain(counts).chain(credits));
    }
    table
}
