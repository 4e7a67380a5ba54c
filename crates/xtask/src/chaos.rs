//! `cargo xtask chaos`: the specifications' chaos, with the Redis server that it needs.

use anyhow::Result;

use crate::command::{cargo, run as run_command};
use crate::redis;

/// `--minutes M`, `--seed S`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    redis::ensure()?;
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "veobatch-tests", "--test", "chaos", "--"]).args(words);
    run_command(&mut command)
}
