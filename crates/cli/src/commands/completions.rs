//! `veobatch completions`: a script that makes a shell complete the command line.

use clap::Args;
use clap_complete::Shell;

use crate::arguments;
use crate::exit::DONE;
use crate::failure::Result;
use crate::say;

/// Print a script that makes a shell complete veobatch's command line
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  veobatch completions bash > ~/.local/share/bash-completion/completions/veobatch")]
pub(crate) struct Completions {
    /// The shell that it is for
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut arguments::command(), "veobatch", &mut script);
        say::raw(&script)?;
        Ok(DONE)
    }
}
