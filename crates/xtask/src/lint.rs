//! `cargo xtask lint`: everything that is checked without running the program.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{cargo, has_cargo, report, root, run, say, variable, works};

/// One line a check on standard output; stops at the first that fails.
pub(crate) fn run_all() -> Result<()> {
    step("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    step("clippy", cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    let mut doc = cargo();
    doc.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
    step("documentation", &mut doc)?;
    dependencies()?;
    compose()
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    run(command).with_context(|| format!("{name}: FAILED"))?;
    report(&format!("{name}: ok"));
    Ok(())
}

/// Licences, sources, who may depend on what (`.deny.toml`); and the database of advisories, which needs the internet.
fn dependencies() -> Result<()> {
    if !has_cargo("deny") && !install_deny() {
        report("dependencies: NOT CHECKED, cargo-deny is missing: cargo install cargo-deny --locked");
        return Ok(());
    }
    step("dependencies", cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
    if works(cargo().args(["deny", "fetch", "db"])) {
        step("advisories", cargo().args(["deny", "check", "--disable-fetch", "advisories"]))
    } else {
        report("advisories: NOT CHECKED, the database cannot be reached");
        Ok(())
    }
}

/// Building cargo-deny takes some minutes: done where nobody waits in front of a screen.
fn install_deny() -> bool {
    if variable("CI").is_none() {
        return false;
    }
    let installed = run(cargo().args(["install", "cargo-deny", "--locked", "--quiet"]));
    installed.inspect_err(|error| say(&format!("{error:#}"))).is_ok()
}

/// The compose file, by the program that reads it; its facts about money are held by a specification in `tests/`.
fn compose() -> Result<()> {
    let compose = || {
        let mut command = Command::new("docker");
        command.arg("compose").current_dir(root());
        command
    };
    if works(compose().arg("version")) {
        return step("docker-compose.yml", compose().args(["config", "--quiet"]).env("KIE_API_KEY", "none"));
    }
    report("docker-compose.yml: read by the specifications only, `docker compose` is not installed");
    Ok(())
}
