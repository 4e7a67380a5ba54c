//! `cargo xtask docs`: the pages of `docs/` that the program writes itself. A test of the program fails while one is out of date.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::command::{cargo, root, say};

const PAGE: &str = "docs/settings.md";

pub(crate) fn run() -> Result<()> {
    let mut cargo = cargo();
    cargo.args(["run", "--quiet", "--package", "veobatch", "--", "settings-page"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("failed to start cargo")?;
    ensure!(output.status.success(), "failed to write {PAGE}");
    fs::write(root().join(PAGE), output.stdout).with_context(|| format!("failed to write {PAGE}"))?;
    say(&format!("wrote {PAGE}"));
    Ok(())
}
