//! `cargo xtask test`: every test of the workspace, and of its documentation.
//!
//! One line a suite on standard output. With nextest the results are those of its report for programs
//! (`.config/nextest.toml`); without it each suite is run by itself, and the exit status of each is its result.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{cargo, has_cargo, report, root, run as run_command, say, shown};
use crate::redis;
use crate::suite::{Suite, suites};

/// Where nextest leaves its report.
const REPORT: &str = "target/nextest/default/junit.xml";

/// Runs them all, whatever fails on the way; `words` go to the test runner.
pub(crate) fn run(words: &[String]) -> Result<()> {
    redis::ensure()?;
    let threads = threads();
    let mut results = if has_cargo("nextest") {
        vec![nextest(&threads, words)]
    } else {
        programs()?.iter().map(|program| program.run(&threads, words)).collect()
    };
    if words.is_empty() {
        let mut docs = cargo();
        docs.args(["test", "--workspace", "--doc", "--no-fail-fast"]);
        results.push(told("documentation", &mut docs));
    }
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("; ")) }
}

/// Tests at a time: the longest ones wait for leases, retries and videos, not for a core.
fn threads() -> String {
    std::thread::available_parallelism().map_or(6, |cores| cores.get().max(6)).to_string()
}

/// Runs all suites together.
fn nextest(threads: &str, words: &[String]) -> Result<()> {
    let path = root().join(REPORT);
    match std::fs::remove_file(&path) {
        // Of no earlier run.
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context("failed to remove the report of an earlier run");
        }
        Ok(()) | Err(_) => {}
    }
    let mut tests = cargo();
    tests.args(["nextest", "run", "--workspace", "--no-fail-fast", "--color", "never", "--test-threads", threads]);
    let result = run_command(tests.args(words).stdout(io::stderr()));
    // There is none if nothing was run, as when something does not compile.
    if let Ok(text) = std::fs::read_to_string(&path) {
        suites(&text)?.iter().flat_map(Suite::lines).for_each(|line| report(&line));
    }
    result
}

/// Runs one suite, and says on standard output whether it passed.
fn told(suite: &str, command: &mut Command) -> Result<()> {
    let result = run_command(command.stdout(io::stderr()));
    report(&format!("{suite}: {}", if result.is_ok() { "ok" } else { "FAILED" }));
    result
}

/// A suite that was built: a program that runs its tests.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    suite: String,
    folder: PathBuf,
    path: PathBuf,
}

impl Program {
    /// Runs it where cargo would.
    fn run(&self, threads: &str, words: &[String]) -> Result<()> {
        let mut tests = Command::new(&self.path);
        told(&self.suite, tests.current_dir(&self.folder).env("RUST_TEST_THREADS", threads).args(words))
    }
}

/// Builds all suites.
fn programs() -> Result<Vec<Program>> {
    let mut build = cargo();
    build.args(["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let shown = shown(&build);
    say(&format!("$ {shown}"));
    let output = build.stderr(Stdio::inherit()).output().with_context(|| format!("failed to start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(program).collect())
}

/// The suite that one of cargo's messages is about, if it is about one.
fn program(message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    let folder = Path::new(message.get("manifest_path")?.as_str()?).parent()?;
    let target = message.pointer("/target/name")?.as_str()?;
    let path = message.get("executable")?.as_str()?;
    let suite = format!("{} {target}", folder.file_name()?.to_string_lossy());
    is_test.then(|| Program { suite, folder: folder.to_owned(), path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_what_cargo_built_with_tests_in_it() {
        let message = |test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/crates/core/Cargo.toml","target":{{"name":"table"}},
                "profile":{{"test":{test}}},"executable":"/w/target/debug/deps/table-01"}}"#
            )
        };
        let expected = Program {
            suite: "core table".to_owned(),
            folder: "/w/crates/core".into(),
            path: "/w/target/debug/deps/table-01".into(),
        };
        assert_eq!(program(&message(true)), Some(expected));
        assert_eq!(program(&message(false)), None);
        assert_eq!(program(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
