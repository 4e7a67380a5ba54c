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

mod args;
mod commands;
mod environment;
mod exit;
mod failure;
mod logs;
mod output;
mod report;
mod session;
mod signals;

use std::process::ExitCode;

pub use exit::{BAD_INPUT, DONE, INTERRUPTED, UNAVAILABLE, UNFINISHED};

use crate::args::Arguments;
use crate::failure::Failure;
use crate::output::ui;
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
            if !failure.is_silent() {
                ui::error(&failure);
            }
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
        arguments.command.run(&arguments.settings, signals, args::command).await
    });
    // A second Ctrl-C does not wait for what still runs.
    runtime.shutdown_background();
    code
}
