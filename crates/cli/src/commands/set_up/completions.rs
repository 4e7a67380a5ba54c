//! `veobatch completions`: a script that makes a shell complete the command line.

use clap::Args;
use clap_complete::Shell;

use crate::exit::DONE;
use crate::failure::Result;
use crate::output::ui;

/// Print a shell completion script
#[derive(Args, Debug)]
#[command(
    after_long_help = "Example:\n  veobatch completions bash > ~/.local/share/bash-completion/completions/veobatch"
)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, command_line: &mut clap::Command) -> Result<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command_line, "veobatch", &mut script);
        ui::raw(&script)?;
        Ok(DONE)
    }
}
