//! `veobatch account`: the account's settings, which every worker of the ledger obeys.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use veobatch_ledger::Account;

use crate::args::settings::{AccountSettings, Settings};
use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::output::ui;
use crate::report::{account, json};
use crate::session::Session;

/// Show or change the account's pace, budget and prices
///
/// They are stored in the ledger and hold for every worker. `run`, `enqueue` and `worker` change them too, with the same flags
/// or with environment variables (`VEOBATCH_RATE`, …).
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch account
  veobatch account set --rate 10/10s --max-in-flight 50
  veobatch account --json
  veobatch account set --daily-budget '5000 Europe/Berlin'

Exits with 2 if there is no ledger, 3 if it cannot be reached.")]
pub(crate) struct AccountCommand {
    #[command(subcommand)]
    set: Option<Which>,
}

#[derive(Debug, Subcommand)]
enum Which {
    Set(Box<Set>),
}

/// Change the account's settings, for every worker
///
/// What is not named stays as it is. Environment variables are ignored here: only what is typed is changed.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_long_help = "Examples:
  veobatch account set --rate 10/10s --max-in-flight 50
  veobatch account set --daily-budget '5000 Europe/Berlin'    `none` removes it
  veobatch account set --poll-rate 20
  veobatch account set --prices prices.yaml

Exits with 2 if nothing is named or a value is wrong, 3 if the ledger cannot be reached."
)]
struct Set {
    #[command(flatten)]
    account: AccountSettings,
}

impl AccountCommand {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        match &self.set {
            None => show(settings, &Session::known(settings).await?).await,
            Some(Which::Set(set)) => set.run(settings).await,
        }
    }
}

impl Set {
    async fn run(&self, settings: &Settings) -> Result<u8> {
        let asked = &self.account;
        if asked.is_empty() {
            return Err(Failure::bad_input("change the account's settings")
                .since("nothing is named")
                .hint("veobatch account set --rate 10/10s   (all of them: veobatch account set --help)"));
        }
        let session = Session::open(settings).await?;
        if !session.configure(settings, asked).await? {
            ui::message("nothing changed: these are the settings already");
        }
        if settings.json { show(settings, &session).await } else { Ok(DONE) }
    }
}

async fn show(settings: &Settings, session: &Session) -> Result<u8> {
    let ledger = &*session.ledger;
    let account = ledger.account(0).await?;
    let polls = account.poll_rate;
    if settings.json {
        ui::json(&document(&account, polls))?;
        return Ok(DONE);
    }
    for line in account::lines(&account) {
        ui::data(line)?;
    }
    ui::data(format_args!("polls:   at most {polls} per second, across all workers"))?;
    if account.daily.is_none() {
        ui::data("budget:  no daily budget")?;
    }
    for (class, credits) in &account.prices {
        ui::data(format_args!("price:   {class} {credits}"))?;
    }
    Ok(DONE)
}

fn document(account: &Account, polls: u32) -> Value {
    let mut document = json::account(account);
    if let Value::Object(object) = &mut document {
        let prices = account.prices.iter().map(|(class, credits)| (class.clone(), json!(credits.as_f64())));
        object.insert("poll_rate".to_owned(), json!(polls));
        object.insert("prices".to_owned(), Value::Object(prices.collect::<Map<_, _>>()));
    }
    document
}
