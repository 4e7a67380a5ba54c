//! `cargo xtask test`: every test of the workspace, and of its documentation.

use std::io::{BufRead, BufReader};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, has_cargo, report, say, shown};
use crate::redis;
use crate::suites::{Reader, Suites};

/// Runs them all, whatever fails on the way; `words` go to the test runner.
pub(crate) fn run(words: &[String]) -> Result<()> {
    redis::ensure()?;
    let mut suites = Suites::default();
    let mut failed = Vec::new();
    let threads = threads();
    if has_cargo("nextest") {
        let mut tests = cargo();
        tests
            .args(["nextest", "run", "--workspace", "--no-fail-fast", "--color", "never", "--test-threads", &threads])
            .args(words);
        failed.extend(watch(&mut tests, &mut suites, Reader::nextest())?);
        if words.is_empty() {
            let mut docs = cargo();
            docs.args(["test", "--workspace", "--doc", "--no-fail-fast"]);
            failed.extend(watch(&mut docs, &mut suites, Reader::libtest())?);
        }
    } else {
        let mut tests = cargo();
        tests.args(["test", "--workspace", "--no-fail-fast"]).args(words).env("RUST_TEST_THREADS", &threads);
        failed.extend(watch(&mut tests, &mut suites, Reader::libtest())?);
    }
    for line in suites.lines() {
        report(&line);
    }
    for name in suites.failures() {
        report(&format!("FAILED {name}"));
    }
    report(&suites.total());
    match failed.as_slice() {
        [] if suites.is_empty() => bail!("no test ran"),
        [] => Ok(()),
        [first, ..] => bail!("{first}"),
    }
}

/// Tests at a time: the longest ones wait for leases, retries and videos, not for a core.
fn threads() -> String {
    std::thread::available_parallelism().map_or(6, |cores| cores.get().max(6)).to_string()
}

/// Runs `command`, shows what it says as it says it, and counts. `Some` says how it failed.
fn watch(command: &mut Command, suites: &mut Suites, mut reader: Reader) -> Result<Option<String>> {
    let shown = shown(command);
    say(&format!("$ {shown}"));
    // One pipe for both, so that a suite's name stays before its results.
    let (output, input) = std::io::pipe().context("failed to make a pipe")?;
    let second = input.try_clone().context("failed to make a pipe")?;
    command.stdout(input).stderr(second);
    let mut child = command.spawn().with_context(|| format!("failed to start `{shown}`"))?;
    // Ours must close, or the pipe never ends.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("failed to read what the tests say")?;
        let line = String::from_utf8_lossy(&line);
        say(&line);
        reader.read(&line, suites);
    }
    let status = child.wait().with_context(|| format!("failed to wait for `{shown}`"))?;
    Ok((!status.success()).then(|| format!("`{shown}` ended with {status}")))
}
