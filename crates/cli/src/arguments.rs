//! What was typed.

use clap::builder::Resettable;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    arrange, cancel, check, completions, credits, enqueue, jobs, pause, priority, purge, resolve, resume, retry, run,
    show, simulate, status, worker,
};
use crate::settings::{self, Settings};
use crate::{environment, exit};

const OVERVIEW: &str = "\
A durable batch queue for Veo 3 videos: prompt files in, verified video files out.

Each line of a prompt file becomes a job that is paid for once, followed until its video is there, and saved; \
across crashes, restarts and network trouble.";

const EXAMPLES: &str = "\
Examples:
  veobatch run jobs.yaml --simulate     try it: no key, no cost
  veobatch check jobs.yaml              what the file would do and cost
  veobatch run jobs.yaml                make the videos (needs KIE_API_KEY)
  veobatch status                       how far everything is

The API key is read from KIE_API_KEY, or from the file that KIE_API_KEY_FILE names.
`veobatch help COMMAND` tells more about one command, and lists its settings.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "veobatch", version, about = OVERVIEW, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
#[command(max_term_width = 110, propagate_version = true, disable_help_subcommand = false)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Which,

    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// One command, with what only it takes.
#[derive(Debug, Subcommand)]
pub(crate) enum Which {
    Run(run::Run),
    Check(check::Check),
    Enqueue(enqueue::Enqueue),
    Worker(worker::Worker),
    Status(status::Status),
    Jobs(jobs::Jobs),
    Show(show::Show),
    Retry(retry::Retry),
    Cancel(cancel::Cancel),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Resolve(resolve::Resolve),
    Priority(priority::Priority),
    Arrange(arrange::Arrange),
    Purge(purge::Purge),
    Credits(credits::Credits),
    Simulate(simulate::Simulate),
    Completions(completions::Completions),
}

impl Which {
    /// What is logged if nothing was said: a worker's log is its only voice, the others have words of their own.
    pub(crate) fn default_level(&self) -> &'static str {
        if matches!(self, Self::Worker(_)) { "info" } else { "warn" }
    }
}

impl Arguments {
    /// Reads the process's arguments and environment. `Err` is the exit code of help, or of what was wrong.
    pub(crate) fn read() -> Result<Self, u8> {
        let parsed = command().try_get_matches().and_then(|matches: ArgMatches| Self::from_arg_matches(&matches));
        parsed.map_err(|error| {
            // Help that nobody reads to its end is no error.
            let _ = error.print();
            if error.use_stderr() { exit::BAD_INPUT } else { exit::DONE }
        })
    }
}

/// The whole command line, each command showing only the settings that matter to it.
pub(crate) fn command() -> Command {
    let root = Arguments::command().mut_args(|arg| {
        // `VEOBATCH_RATE=` in a compose file means "not set".
        let is_empty = arg.get_env().and_then(|name| name.to_str()).is_some_and(environment::is_empty);
        if is_empty { arg.env(Resettable::Reset) } else { arg }
    });
    let all: Vec<_> = root.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    // The overview stays short.
    let root = root.mut_args(|arg| {
        let is_hidden = !settings::is_visible("", arg.get_id().as_str());
        if arg.is_global_set() { arg.hide(is_hidden) } else { arg }
    });
    root.mut_subcommands(|mut command| {
        for arg in &all {
            let is_hidden = !settings::is_visible(command.get_name(), arg.get_id().as_str());
            // A command's own copy takes the place of the one that clap would hand down.
            command = command.arg(arg.clone().hide(is_hidden));
        }
        command
    })
}

/// What a line of words without quotes means.
#[cfg(test)]
pub(crate) fn parse(line: &str) -> Result<Arguments, clap::Error> {
    let words = std::iter::once("veobatch").chain(line.split_whitespace());
    command().try_get_matches_from(words).and_then(|matches| Arguments::from_arg_matches(&matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_setting_is_taken_before_and_after_the_command_and_by_every_command() {
        for line in [
            "--ledger sqlite:x.db --output o status",
            "status --ledger sqlite:x.db --output o",
            "--output o run a.yaml --ledger sqlite:x.db",
            "jobs b --output o --ledger sqlite:x.db --json",
        ] {
            let arguments = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(arguments.settings.ledger.as_deref(), Some("sqlite:x.db"), "{line}");
            assert_eq!(arguments.settings.output.to_str(), Some("o"), "{line}");
        }
    }

    #[test]
    fn the_key_is_never_a_flag() {
        assert!(parse("credits --api-key secret").is_err());
        let help = command().render_long_help().to_string();
        assert!(help.contains("KIE_API_KEY") && !help.contains("--api-key"), "{help}");
    }

    #[test]
    fn wrong_settings_are_refused() {
        for line in ["run", "run a --rate 0/s", "run a --max-in-flight 0", "worker --lanes pay", "run a --dialect x"] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(parse("worker --lanes follow,save").unwrap().settings.lanes.len(), 2);
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for command in command().get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            assert!(help.contains("xample") || name == "help", "{name}: {help}");
        }
    }
}
