//! What developers run, here and in CI: `cargo xtask` and one of the commands below.
//!
//! Summaries go to standard output, one line a step or suite; what the tools say goes to standard error.

mod bench;
mod chaos;
mod command;
mod docs;
mod lint;
mod redis;
mod simulate;
mod size;
mod suite;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test      every test of the workspace and of its documentation; installs the Redis server they need, where it can
  lint      formatting, clippy, documentation, dependencies, the compose file
  ci        lint, then test: what must pass before a change lands
  bench     measures the ledgers, files, lanes, workers, sizes and costs (release build)
  docs      writes docs/settings.md from the program's own settings
  size      counts the lines of product code, by crate; `--help` says which lines count
  chaos     workers, Redis and the network harmed at random, then the bill; `--minutes M`, `--seed S`
  simulate  runs the simulation of CI; `--seed N` or `--seeds FROM..TO` only those, `--trace` with everything that happens

what follows `test` goes to the test runner; what follows `bench` names the measurements wanted (default: all)";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let result = match command.as_str() {
        "test" => test::run(&rest),
        "lint" => lint::run_all(),
        "ci" => lint::run_all().and_then(|()| test::run(&[])),
        "bench" => bench::run(&rest),
        "docs" => docs::run(),
        "size" => size::run(&rest),
        "chaos" => chaos::run(&rest),
        "simulate" => simulate::run(&rest),
        _ => {
            command::say(USAGE);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
