//! One file per command: what only it takes, its help, and what it does. The folders are the groups of the program's help.

mod make {
    pub(crate) mod check;
    pub(crate) mod enqueue;
    pub(crate) mod run;
    pub(crate) mod worker;
}
mod set_up {
    pub(crate) mod account;
    pub(crate) mod completions;
    pub(crate) mod credits;
    pub(crate) mod ledger;
    pub(crate) mod simulate;
}
mod settle {
    pub(crate) mod purge;
    pub(crate) mod resolve;
}
mod steer {
    pub(crate) mod cancel;
    pub(crate) mod pause;
    pub(crate) mod retry;
    pub(crate) mod update;
}
mod watch {
    pub(crate) mod jobs;
    pub(crate) mod show;
    pub(crate) mod status;
}

use clap::Subcommand;

use crate::args::page;
use crate::args::settings::Settings;
use crate::exit::DONE;
use crate::failure::Result;
use crate::output::ui;
use crate::signals::Signals;

use make::{check, enqueue, run, worker};
use set_up::{account, completions, credits, ledger, simulate};
use settle::{purge, resolve};
use steer::{cancel, pause, retry, update};
use watch::{jobs, show, status};

/// One command, with what only it takes.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::Run>),
    Check(Box<check::Check>),
    Enqueue(Box<enqueue::Enqueue>),
    Worker(Box<worker::Worker>),
    Status(status::Status),
    Jobs(jobs::Jobs),
    Show(show::Show),
    Update(update::Update),
    Retry(retry::Retry),
    Cancel(cancel::Cancel),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Resolve(resolve::Resolve),
    Account(account::AccountCommand),
    Ledger(ledger::LedgerCommand),
    Purge(purge::Purge),
    Credits(credits::Credits),
    Simulate(simulate::Simulate),
    Completions(completions::Completions),
    /// Print docs/settings.md
    #[command(hide = true)]
    SettingsPage,
}

impl Command {
    /// The log level unless one is set: a worker's log is its only voice, the others print messages of their own.
    pub(crate) fn default_level(&self) -> &'static str {
        if matches!(self, Self::Worker(_)) { "info" } else { "warn" }
    }

    /// Carries the command out and returns the exit code. `command_line` makes the whole command line, for what describes it.
    pub(crate) async fn run(
        &self,
        settings: &Settings,
        mut signals: Signals,
        command_line: fn() -> clap::Command,
    ) -> Result<u8> {
        match self {
            // These work on for a while after the first Ctrl-C.
            Self::Run(run) => run.run(settings, signals).await,
            Self::Worker(worker) => worker.run(settings, signals).await,
            Self::Simulate(simulate) => simulate.run(settings, signals).await,
            Self::Check(check) => signals.unless(check.run(settings)).await,
            Self::Enqueue(enqueue) => signals.unless(enqueue.run(settings)).await,
            Self::Status(status) => signals.unless(status.run(settings)).await,
            Self::Jobs(jobs) => signals.unless(jobs.run(settings)).await,
            Self::Show(show) => signals.unless(show.run(settings)).await,
            Self::Retry(retry) => signals.unless(Box::pin(retry.run(settings))).await,
            Self::Cancel(cancel) => signals.unless(cancel.run(settings)).await,
            Self::Pause(pause) => signals.unless(pause.run(settings)).await,
            Self::Resume(resume) => signals.unless(resume.run(settings)).await,
            Self::Resolve(resolve) => signals.unless(resolve.run(settings)).await,
            Self::Update(update) => signals.unless(update.run(settings)).await,
            Self::Account(account) => signals.unless(account.run(settings)).await,
            Self::Ledger(ledger) => signals.unless(Box::pin(ledger.run(settings))).await,
            Self::Purge(purge) => signals.unless(purge.run(settings)).await,
            Self::Credits(credits) => signals.unless(credits.run(settings)).await,
            Self::Completions(completions) => completions.run(&mut command_line()),
            Self::SettingsPage => {
                ui::raw(page::settings(&command_line()).as_bytes())?;
                Ok(DONE)
            }
        }
    }
}
