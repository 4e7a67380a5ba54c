//! What was typed, and what of it the command does not use.

pub(crate) mod batch_options;
pub(crate) mod files;
pub(crate) mod page;
pub(crate) mod parse;
pub(crate) mod settings;

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, Parser};

use crate::args::settings::Settings;
use crate::commands;
use crate::environment;
use crate::exit;
use crate::output::ui;

const OVERVIEW: &str = "A durable batch queue for Veo 3: prompt files in, verified videos out.";

const DETAILS: &str = "\
Each line of a prompt file becomes a job that is paid for once, followed until its video is there, and saved; across \
crashes, restarts and network trouble.";

const EXAMPLES: &str = "\
Examples:
  veobatch run jobs.yaml --simulate     try it: no key, no cost
  veobatch check jobs.yaml              what the file would do and cost
  veobatch run jobs.yaml                make the videos (needs KIE_API_KEY)
  veobatch status                       how far everything is

The API key is read from KIE_API_KEY, or from the file that KIE_API_KEY_FILE names.";

/// The commands in the order in which they are needed; the folders of `commands` are the same groups.
const GROUPS: &[(&str, &[&str])] = &[
    ("Make videos", &["run", "check", "enqueue", "worker"]),
    ("Watch", &["status", "jobs", "show"]),
    ("Steer", &["pause", "resume", "cancel", "update", "retry"]),
    ("Settle", &["resolve", "purge"]),
    ("Set up", &["account", "ledger", "credits", "simulate", "completions"]),
];

/// Examples that `-h` shows; only one for a command with more than [`MANY`] arguments of its own.
const SHORT_EXAMPLES: usize = 2;
const MANY: usize = 7;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "veobatch", version, about = OVERVIEW, long_about = format!("{OVERVIEW}\n\n{DETAILS}"))]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP), max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: commands::Command,

    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// Settings of every command that these do not use all the same: an error where they are typed.
const UNUSED: &[(&str, &[&str], &str)] = &[
    ("completions", &["ledger", "simulate", "json"], "it prints a script and looks at nothing else"),
    ("simulate", &["ledger", "simulate"], "it is the simulated service, and has no ledger"),
];

impl Arguments {
    /// Reads the process's arguments and environment. `Err` is the exit code of help, or of what was wrong.
    pub(crate) fn read() -> Result<Self, u8> {
        Self::parse_from(std::env::args_os()).map_err(|error| {
            // Help that nobody reads to its end is no error.
            let _ = error.print();
            if let Some(hint) = elsewhere(&error) {
                ui::message(format_args!("\nhint: {hint}"));
            }
            if error.use_stderr() { exit::BAD_INPUT } else { exit::DONE }
        })
    }

    fn parse_from(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(words)?;
        refuse_unused(&matches)?;
        Self::from_arg_matches(&matches)
    }
}

/// The whole command line.
pub(crate) fn command() -> Command {
    let root = Arguments::command();
    let everywhere: Vec<Arg> = root.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let root = root.mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        let unused = UNUSED.iter().filter(|(unusing, ..)| *unusing == name).flat_map(|(_, unused, _)| *unused);
        // A command's own copy takes the place of the one that clap would hand down.
        let hidden = unused.filter_map(|id| everywhere.iter().find(|arg| arg.get_id() == *id)).cloned();
        command.args(hidden.map(|arg| arg.hide(true)))
    });
    // An environment that is set for many commands is no order to change what is stored.
    let root = root.mut_subcommand("account", |account| {
        account.mut_subcommand("set", |set| set.mut_args(|arg| arg.env(Resettable::Reset).hide_short_help(false)))
    });
    let root = root.mut_subcommand("update", |update| {
        update.mut_args(|arg| arg.hide_short_help(false)).mut_arg("yes", |arg| arg.hide_short_help(true))
    });
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\nOptions:\n{{options}}{{after-help}}",
        grouped(&root)
    );
    let root = root.mut_args(env_in_long_help).mut_subcommands(in_two_lengths);
    without_empty(root.help_template(template))
}

/// The list of commands, by group.
fn grouped(root: &Command) -> String {
    let line = |command: &Command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:<11}  {about}\n", command.get_name())
    };
    let groups = GROUPS.iter().map(|(group, names)| {
        let lines = names.iter().filter_map(|name| root.find_subcommand(name)).map(line);
        format!("{group}:\n{}", lines.collect::<String>())
    });
    groups.collect::<Vec<_>>().join("\n")
}

/// `-h` fits one screen: it has the first examples only, and no environment variables.
fn in_two_lengths(command: Command) -> Command {
    let examples = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let arguments = command.get_arguments().filter(|arg| !arg.is_hide_short_help_set()).count();
    let most = if arguments > MANY { 1 } else { SHORT_EXAMPLES };
    let short: Vec<&str> = examples.lines().take_while(|line| !line.is_empty()).take(1 + most).collect();
    command.mut_args(env_in_long_help).after_help(short.join("\n")).mut_subcommands(in_two_lengths)
}

fn env_in_long_help(arg: Arg) -> Arg {
    let Some(env) = arg.get_env().map(|env| env.to_string_lossy().into_owned()) else { return arg };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    arg.hide_env(true).long_help(format!("{help}\n\n[env: {env}]"))
}

/// `VEOBATCH_RATE=` in a compose file means "not set".
fn without_empty(command: Command) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(|name| name.to_str()).is_some_and(environment::is_empty);
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty)
}

/// What was typed must be used.
fn refuse_unused(matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, of_command)) = matches.subcommand() else { return Ok(()) };
    let is_typed = |id| {
        let is_known = of_command.try_contains_id(id).unwrap_or_default();
        is_known && of_command.value_source(id) == Some(ValueSource::CommandLine)
    };
    let refused = |id: &str, why: &str| {
        let flag = id.replace('_', "-");
        let words = format!("`veobatch {name}` does not use --{flag}: {why}");
        Err(command().error(ErrorKind::ArgumentConflict, words))
    };
    let (_, unused, why) = UNUSED.iter().find(|(unusing, ..)| *unusing == name).unwrap_or(&("", &[], ""));
    if let Some(id) = unused.iter().find(|id| is_typed(id)) {
        return refused(id, why);
    }
    if is_typed("simulate") && is_typed("api_base") {
        return refused("api_base", "with --simulate the service is inside this process");
    }
    if name == "credits" && is_typed("ledger") && !is_typed("simulate") {
        return refused("ledger", "the balance is the account's (only --simulate keeps one in a ledger)");
    }
    Ok(())
}

/// What else may help with `error`: the commands that take its flag, or the one that replaced its command.
fn elsewhere(error: &clap::Error) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if matches!(context(ContextKind::InvalidSubcommand), Some("arrange" | "priority")) {
        return Some("use `veobatch update`".to_owned());
    }
    let flag = context(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let long = flag.strip_prefix("--")?.split('=').next()?;
    let takers = takers(&command(), long, "");
    (!takers.is_empty()).then(|| format!("--{long} belongs to: {}", takers.join(", ")))
}

/// The commands beneath `command`, which is called `path`, that take `--long`.
fn takers(command: &Command, long: &str, path: &str) -> Vec<String> {
    let beneath = command.get_subcommands().flat_map(|command| {
        let path = format!("{path} {}", command.get_name());
        let takes = command.get_arguments().any(|arg| arg.get_long() == Some(long) && !arg.is_hide_set());
        let own = takes.then(|| format!("veobatch{path}"));
        own.into_iter().chain(takers(command, long, &path)).collect::<Vec<_>>()
    });
    beneath.collect()
}

/// What a line of words without quotes means.
#[cfg(test)]
pub(crate) fn parse(line: &str) -> Result<Arguments, clap::Error> {
    let words = std::iter::once("veobatch").chain(line.split_whitespace());
    Arguments::parse_from(words.map(OsString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    /// Calls `with` for every command beneath `command`, which is called `path`.
    fn each(command: &mut Command, path: &str, with: &mut dyn FnMut(&str, &mut Command)) {
        with(path, command);
        let beneath =
            command.get_subcommands_mut().filter(|command| !command.is_hide_set() && command.get_name() != "help");
        beneath.for_each(|command| each(command, &format!("{path} {}", command.get_name()), with));
    }

    #[test]
    fn the_short_help_of_every_command_fits_one_screen_and_the_long_one_has_its_examples() {
        let mut root = command().term_width(80);
        root.build();
        each(&mut root, "veobatch", &mut |path, command| {
            let most = if path == "veobatch" { 40 } else { 24 };
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= most, "{path} -h has more than {most} lines:\n{help}");
            let wide: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{path} -h has lines of more than 80 columns: {wide:#?}");
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.chars().count() <= 80, "{path}: {about}");
            assert!(command.render_long_help().to_string().contains("\nExample"), "{path} --help has no example");
        });
    }

    #[test]
    fn every_command_is_in_one_group_of_the_help() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        grouped.sort_unstable();
        let root = command();
        let shown = root.get_subcommands().filter(|command| !command.is_hide_set());
        let mut all: Vec<&str> = shown.map(Command::get_name).collect();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }

    #[test]
    fn what_every_command_takes_is_taken_before_and_after_its_name() {
        for line in ["--ledger sqlite:x.db --json status", "status --ledger sqlite:x.db --json"] {
            let arguments = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(arguments.settings.ledger.as_deref(), Some("sqlite:x.db"), "{line}");
            assert!(arguments.settings.json, "{line}");
        }
    }

    #[test]
    fn a_flag_that_a_command_does_not_obey_is_refused_and_those_that_do_are_named() {
        for (line, takers) in [
            ("status --daily-budget 100 --rate 1/1s", &["run", "enqueue", "worker", "account set"][..]),
            ("retry b --rate 1/1s", &["run", "check", "enqueue", "worker", "account set"]),
            ("account --max-in-flight 3", &["run", "check", "enqueue", "worker", "account set"]),
            ("check a.yaml --poll-rate 3", &["run", "enqueue", "worker", "account set"]),
            ("--output o run a.yaml", &["run", "worker", "show"]),
            ("jobs b --output o", &["run", "worker", "show"]),
            ("run a.yaml --lanes save", &["worker"]),
            ("show b j --api-base http://x", &["run", "enqueue", "worker", "resolve", "credits"]),
            ("pause b --min-free=0", &["run", "worker"]),
        ] {
            let error = parse(line).expect_err(line);
            let hint = elsewhere(&error).unwrap_or_else(|| panic!("{line}: {error}"));
            let flag = line.split([' ', '=']).find(|word| word.starts_with("--")).unwrap();
            let all: Vec<String> = takers.iter().map(|taker| format!("veobatch {taker}")).collect();
            assert_eq!(hint, format!("{flag} belongs to: {}", all.join(", ")), "{line}");
        }
        assert_eq!(elsewhere(&parse("status --no-such-flag").unwrap_err()), None);
    }

    #[test]
    fn what_every_command_takes_is_refused_where_it_means_nothing() {
        for line in [
            "completions bash --json",
            "--ledger sqlite:x.db completions bash",
            "simulate --simulate",
            "simulate --ledger sqlite:x.db",
            "credits --ledger sqlite:x.db",
            "run a.yaml --simulate --api-base http://127.0.0.1:1",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.to_string().contains("does not use --"), "{line}: {error}");
        }
        assert!(parse("credits --simulate --ledger sqlite:x.db").is_ok());
        assert!(parse("simulate --json").is_ok());
    }

    #[test]
    fn an_environment_changes_what_is_stored_only_where_work_is_brought_or_done() {
        let takes = |path: &[&str]| {
            let mut here = &command();
            let root = here.clone();
            here = &root;
            for name in path {
                here = here.find_subcommand(name).unwrap();
            }
            let env = |arg: &&Arg| arg.get_id() == "rate" && arg.get_env().is_some();
            here.get_arguments().any(|arg| env(&arg))
        };
        assert!(takes(&["run"]) && takes(&["enqueue"]) && takes(&["worker"]) && takes(&["check"]));
        assert!(!takes(&["account", "set"]));
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
        let commands::Command::Worker(worker) = parse("worker --lanes follow,save").unwrap().command else { panic!() };
        assert_eq!(worker.lanes.len(), 2);
    }
}
