//! `veobatch` on the command line: words, progress, configuration, exit codes.
//!
//! ```text
//! arguments, environment ─▶ Arguments ─▶ one command ─▶ producer, worker, ledger, api
//!                                            │
//!              stdout: data   stderr: words  ▼   exit code
//! ```
//!
//! One file per command under `commands`. Errors are values (`failure`) and are printed once, here. Nothing in this
//! crate decides about money: it asks the ledger, the state table in core and the person in front of it.

mod admission;
mod arguments;
mod asking;
mod budgets;
mod callbacks;
mod commands;
mod configure;
mod costs;
mod counting;
mod durations;
mod environment;
mod exit;
mod failure;
mod findings;
mod flags;
mod logs;
mod named;
mod opened;
mod orders;
mod outlook;
mod past;
mod prices;
mod progress;
mod remote;
mod say;
mod settings;
mod shapes;
mod signals;
mod slots;
mod summary;
mod table;
mod taken;
mod terms;
mod units;
mod waiting;
mod words;
mod working;
mod writable;

use std::process::ExitCode;

pub use exit::{BAD_INPUT, DONE, INTERRUPTED, UNAVAILABLE, UNFINISHED};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::signals::Signals;

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(code) => return ExitCode::from(code),
    };
    match start(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.say();
            ExitCode::from(failure.code())
        }
    }
}

fn start(arguments: &Arguments) -> failure::Result<u8> {
    logs::start(&arguments.settings, arguments.command.default_level())?;
    veobatch_api::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unavailable("start the program").because(&error))?;
    let code = runtime.block_on(async {
        let signals = Signals::listen()?;
        commands::run(arguments, signals).await
    });
    // A second Ctrl-C does not wait for what still runs.
    runtime.shutdown_background();
    code
}
