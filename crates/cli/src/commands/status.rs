//! `veobatch status`: how far everything is.

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::{Credits, StateName};
use veobatch_ledger::BatchSummary;

use crate::exit::DONE;
use crate::failure::Result;
use crate::findings::Findings;
use crate::named::{self, looking};
use crate::opened::{self, Opened};
use crate::outlook::Outlook;
use crate::settings::Settings;
use crate::slots::Slots;
use crate::table::Table;
use crate::units::number;
use crate::{learned, say, shapes, words};

/// Show how far the batches are, the account's gate and slots, and what needs a person
///
/// Reads the ledger only: works beside a running worker, and needs no API key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch status
  veobatch status garden
  veobatch status --simulate              the simulated ledger
  veobatch status --json | jq '.batches[] | {batch, done, total}'

Exits with 2 if the batch is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Status {
    /// Only this batch
    batch: Option<String>,
}

impl Status {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let Some(opened) = Opened::existing(settings).await? else {
            if self.batch.is_some() {
                return Err(opened::nothing_there(settings)?);
            }
            if settings.json {
                say::json(&json!({"batches": []}))?;
            }
            say::words("no jobs yet: there is no ledger here; admit some with `veobatch run FILE`");
            return Ok(DONE);
        };
        let ledger = &*opened.ledger;
        let batches = match &self.batch {
            Some(name) => vec![named::batch(ledger, name).await?],
            None => ledger.batches().await.map_err(|error| looking(&error))?,
        };
        let account = ledger.account().await.map_err(|error| looking(&error))?;
        let outlook = Outlook::of(ledger).await?.priced(ledger, &batches).await?;
        let slots = Slots::of(ledger).await?;
        let known = ledger.life_tables().await.map_err(|error| looking(&error))?;
        let findings = Findings::of(ledger, &batches, true).await?;
        if settings.json {
            let shape = |batch| outlook.of_a_batch(batch, shapes::batch(batch));
            let mut document = json!({"batches": batches.iter().map(shape).collect::<Vec<Value>>()});
            if let Value::Object(object) = &mut document {
                object.insert("account".to_owned(), shapes::account(&account));
                object.insert("slots".to_owned(), slots.json());
                object.insert("learned".to_owned(), learned::json(&known));
            }
            findings.extend(&mut document);
            say::json(&document)?;
            return Ok(DONE);
        }
        if batches.is_empty() {
            say::words("no jobs yet: admit some with `veobatch run FILE`");
        }
        for line in table(&batches).lines() {
            say::data(line)?;
        }
        say::data("")?;
        for line in batches.iter().filter_map(words::terms).chain(outlook.lines(&batches)) {
            say::data(line)?;
        }
        let account = words::account(&account).into_iter().chain(slots.lines(&account));
        let lines = account.chain(learned::words(&known));
        for line in lines.chain(words::findings(&findings)) {
            say::data(line)?;
        }
        Ok(DONE)
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
    let heads = states.iter().map(|&state| words::spoken(state));
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
