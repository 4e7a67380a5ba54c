//! Running other programs, and speaking.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Words for people, to standard error.
#[expect(clippy::print_stderr, reason = "xtask has no other way to speak")]
pub(crate) fn say(words: &str) {
    eprintln!("{words}");
}

/// A summary, to standard output.
#[expect(clippy::print_stdout, reason = "xtask has no other way to speak")]
pub(crate) fn report(line: &str) {
    println!("{line}");
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder.pop();
    folder
}

/// The same cargo that runs this.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    command.current_dir(root());
    command
}

/// An environment variable, if it is set.
#[expect(clippy::disallowed_methods, reason = "the command line of the product does not come here")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs `command`, and fails unless it ends with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    say(&format!("$ {shown}"));
    let status = command.status().with_context(|| format!("failed to start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Whether `command` can be started and ends with 0; what it says is not shown.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether `program` can be found and tells its version.
pub(crate) fn is_installed(program: &str) -> bool {
    works(Command::new(program).arg("--version"))
}

/// Whether cargo knows the subcommand `name`.
pub(crate) fn has_cargo(name: &str) -> bool {
    works(cargo().args([name, "--version"]))
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str()).to_owned();
    let words = std::iter::once(name.as_os_str()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
