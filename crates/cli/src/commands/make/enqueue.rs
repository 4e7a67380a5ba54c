//! `veobatch enqueue`: admit prompt files and return.

use clap::Args;

use crate::args::files::Admissible;
use crate::args::settings::{AccountSettings, Service, Settings};
use crate::environment;
use crate::exit::DONE;
use crate::failure::Result;
use crate::output::ui;
use crate::report::progress::summaries;
use crate::session::Session;
use crate::session::admission::{self, Admission};
use crate::session::remote::Account;

/// Admit prompt files and return; a worker makes the videos
///
/// A file that was admitted before adds nothing, except for lines that are new in it. Without an API key the balance is not
/// shown, and the jobs wait for a worker that has one.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch enqueue jobs.yaml
  veobatch enqueue jobs.yaml --start-at '2026-11-23 22:00 Europe/Berlin'
  generate-prompts | veobatch enqueue - --batch night
  veobatch enqueue daily.yaml --cron '0 22 * * 1-5 Europe/Berlin'
  veobatch enqueue jobs.yaml --limit 10       only the first ten

Exits with 0 once everything is durable, 2 if a file is wrong (then nothing is admitted), 3 if the ledger cannot be \
reached or the key is refused.")]
pub(crate) struct Enqueue {
    #[command(flatten)]
    files: Admissible,

    #[command(flatten)]
    service: Service,

    #[command(flatten)]
    account: AccountSettings,
}

impl Enqueue {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let has_account = settings.simulate || environment::has_key();
        let account = if has_account { Some(Account::of(settings, &self.service)?) } else { None };
        let checked = admission::check(&self.files.files).await?;
        let session = Session::open(settings).await?;
        if let Some(account) = &account {
            account.bind(&*session.ledger).await?;
        }
        session.configure(settings, &self.account).await?;
        let prices = self.account.pace.prices.as_deref();
        let admission =
            Admission { settings, session: &session, account: account.as_ref(), files: &self.files, prices };
        let taken = admission.admit(checked).await?;
        if settings.json {
            let batches = summaries(&*session.ledger, &taken.batches).await?;
            ui::json(&taken.document(&batches))?;
        }
        Ok(DONE)
    }
}
