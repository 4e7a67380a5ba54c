//! `veobatch credits`: the account's balance.

use clap::Args;
use serde_json::json;
use veobatch_api::Dialect;

use crate::args::settings::{Service, Settings};
use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::output::ui;
use crate::session::Session;
use crate::session::remote::{Account, Balance};

/// Print the account's balance
///
/// Asks the API once; spends nothing. One credit is worth US$0.005.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch credits            812.5
  veobatch credits --json     {\"credits\": 812.5}

Exits with 3 if the API cannot be reached or refuses the key.")]
pub(crate) struct Credits {
    #[command(flatten)]
    service: Service,
}

impl Credits {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let account = Account::of(settings, &self.service)?;
        let session = if settings.simulate { Session::existing(settings).await? } else { None };
        let remote = account.connect(Dialect::default(), session.as_ref()).await?;
        let balance = remote.balance().await?;
        remote.stop().await;
        let credits = match balance {
            Balance::Credits(credits) => credits,
            Balance::Later(why) | Balance::Unreachable(why) => {
                return Err(Failure::unavailable("ask for the balance")
                    .since(why)
                    .hint("try again in a minute; the service's own page: https://kie.ai/billing"));
            }
        };
        if settings.json {
            ui::json(&json!({"credits": credits.as_f64()}))?;
        } else {
            ui::data(credits)?;
        }
        Ok(DONE)
    }
}
