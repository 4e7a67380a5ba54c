//! One file per command: what only it takes, its help, and what it does.

pub(crate) mod account;
pub(crate) mod arrange;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod credits;
pub(crate) mod enqueue;
pub(crate) mod jobs;
pub(crate) mod ledger;
pub(crate) mod pause;
pub(crate) mod priority;
pub(crate) mod purge;
pub(crate) mod resolve;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod worker;

use crate::arguments::{Arguments, Which};
use crate::failure::Result;
use crate::signals::Signals;

/// Does what was asked for and returns the exit code.
pub(crate) async fn run(arguments: &Arguments, mut signals: Signals) -> Result<u8> {
    let settings = &arguments.settings;
    match &arguments.command {
        // These work on for a while after the first Ctrl-C.
        Which::Run(run) => run.run(settings, signals).await,
        Which::Worker(worker) => worker.run(settings, signals).await,
        Which::Simulate(simulate) => simulate.run(settings, signals).await,
        Which::Check(check) => signals.unless(check.run(settings)).await,
        Which::Enqueue(enqueue) => signals.unless(enqueue.run(settings)).await,
        Which::Status(status) => signals.unless(status.run(settings)).await,
        Which::Jobs(jobs) => signals.unless(jobs.run(settings)).await,
        Which::Show(show) => signals.unless(show.run(settings)).await,
        Which::Retry(retry) => signals.unless(Box::pin(retry.run(settings))).await,
        Which::Cancel(cancel) => signals.unless(cancel.run(settings)).await,
        Which::Pause(pause) => signals.unless(pause.run(settings)).await,
        Which::Resume(resume) => signals.unless(resume.run(settings)).await,
        Which::Resolve(resolve) => signals.unless(resolve.run(settings)).await,
        Which::Priority(priority) => signals.unless(priority.run(settings)).await,
        Which::Arrange(arrange) => signals.unless(arrange.run(settings)).await,
        Which::Account(account) => signals.unless(account.run(settings)).await,
        Which::Ledger(ledger) => signals.unless(Box::pin(ledger.run(settings))).await,
        Which::Purge(purge) => signals.unless(purge.run(settings)).await,
        Which::Credits(credits) => signals.unless(credits.run(settings)).await,
        Which::Completions(completions) => completions.run(),
    }
}
