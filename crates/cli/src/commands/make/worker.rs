//! `veobatch worker`: work on everything in the ledger.

use clap::Args;
use veobatch_core::{Lane, Window};
use veobatch_worker::{Options, Until};

use crate::args::settings::{AccountSettings, Service, Settings, WorkSettings};
use crate::exit::{DONE, INTERRUPTED};
use crate::failure::{Failure, Result};
use crate::session::Session;
use crate::session::callbacks;
use crate::session::past::Past;
use crate::session::remote::{Account, Remote};
use crate::session::work::{self, Work};
use crate::signals::Signals;

/// Work on every batch in the ledger until stopped
///
/// Submits, follows and saves, and logs what it does; watch it with `veobatch status`. Ctrl-C, SIGTERM or SIGHUP stops it
/// gracefully: calls in progress are waited for, 75 s at most. A second Ctrl-C or SIGTERM stops it at once, which may leave
/// jobs in doubt. A ledger in a file takes one worker at a time; one on Redis any number, on any number of machines.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch worker
  veobatch worker --until-idle
  veobatch worker --window '22:00-06:00 Europe/Berlin'
  veobatch worker --ledger redis://queue:6379/0 --lanes save --concurrency-save 8

Exits with 0 once idle (--until-idle), whatever became of the jobs; 2 if the output directory or the key is missing; 3 if \
the ledger or the API cannot be used, the key is refused, or another worker has the SQLite file; 130 if stopped.")]
pub(crate) struct Worker {
    /// Exit once nothing can move without a person
    #[arg(long)]
    until_idle: bool,

    /// Submit only in these hours, such as "22:00-06:00 Europe/Berlin"
    ///
    /// Batches with a window of their own follow that one. What is in progress is followed and saved at any time.
    #[arg(long, value_name = "HOURS", env = "VEOBATCH_WINDOW", value_parser = Window::parse)]
    window: Option<Window>,

    /// Which work this process does
    #[arg(long, value_name = "LIST", env = "VEOBATCH_LANES", value_delimiter = ',', default_value = "submit,follow,save",
          value_parser = lane)]
    pub(crate) lanes: Vec<Lane>,

    #[command(flatten)]
    service: Service,

    #[command(flatten)]
    account: AccountSettings,

    #[command(flatten)]
    work: WorkSettings,

    #[command(flatten)]
    past: Past,
}

impl Worker {
    pub(crate) async fn run(&self, settings: &Settings, mut signals: Signals) -> Result<u8> {
        let (session, remote) = signals.unless(self.start(settings)).await?;
        let until = if self.until_idle { Until::Idle } else { Until::Stopped };
        let options = work::options(settings, &self.work, &session, &remote, until)?;
        let options = Options { window: self.window.clone(), lanes: self.lanes.clone(), ..options };
        let options = signals.unless(Box::pin(self.past.agreed(&session, options))).await?;
        tracing::info!(ledger = session.url.shown(), output = %options.output.display(), "worker started");
        let work = work::work(&session, &remote, options, &mut signals, None).await;
        remote.stop().await;
        match work? {
            Work::Finished => Ok(DONE),
            Work::Interrupted => Ok(INTERRUPTED),
            Work::NoPlace => Err(no_place(&session)),
        }
    }

    async fn start(&self, settings: &Settings) -> Result<(Session, Remote)> {
        let account = Account::of(settings, &self.service)?;
        callbacks::check(settings, &self.service, &self.work)?;
        let session = Session::open(settings).await?;
        account.bind(&*session.ledger).await?;
        session.configure(settings, &self.account).await?;
        if !session.has_place().await? {
            return Err(no_place(&session));
        }
        let remote = account.connect(self.work.dialect(), Some(&session)).await?;
        Ok((session, remote))
    }
}

fn lane(word: &str) -> std::result::Result<Lane, String> {
    Lane::parse(word.trim()).ok_or_else(|| "the lanes are submit, follow and save".to_owned())
}

fn no_place(session: &Session) -> Failure {
    Failure::unavailable(format!("start a worker on {}", session.url.shown()))
        .since("another veobatch process (`run` or `worker`) works on this file already, and a SQLite ledger takes one")
        .hint("see what it does: veobatch status   (for many workers use Redis: --ledger redis://HOST:6379/0)")
}
