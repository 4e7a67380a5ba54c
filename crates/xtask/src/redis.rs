//! The Redis server that the tests start: found, or installed where that needs nobody's password.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{is_installed, run, say, works};

/// What a person types where we cannot.
const HINT: &str = "\
the tests start Redis servers of their own and need the program `redis-server` (6.2 or newer). Install it with

  Debian, Ubuntu   sudo apt-get install redis-server
  Fedora           sudo dnf install redis     (or valkey, if that provides redis-server)
  Arch             sudo pacman -S redis
  macOS            brew install redis

and run `cargo xtask test` again. It need not be running: the tests never touch one that is.";

/// Returns once there is a `redis-server`, or says how to get one.
pub(crate) fn ensure() -> Result<()> {
    if is_installed("redis-server") {
        return Ok(());
    }
    let Some(apt) = apt() else { bail!("redis-server is missing: {HINT}") };
    say("redis-server is missing: installing the package of the system (apt-get install redis-server)");
    let install = |words: &[&str]| run(Command::new(apt.0).args(apt.1).args(words));
    let installed = install(&["update", "--quiet"])
        // Without recommendations; the service that the package would start is not wanted, the program is.
        .and_then(|()| install(&["install", "--yes", "--quiet", "--no-install-recommends", "redis-server"]));
    match installed {
        Ok(()) if is_installed("redis-server") => Ok(()),
        Ok(()) => bail!("redis-server was installed and still cannot be started: {HINT}"),
        Err(error) => bail!("{error:#}\n\nredis-server is missing: {HINT}"),
    }
}

/// How to call apt-get without anybody typing a password, if that is possible.
fn apt() -> Option<(&'static str, &'static [&'static str])> {
    if !is_installed("apt-get") {
        return None;
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if is_root {
        return Some(("env", &["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"]));
    }
    let words: &[&str] = &["--non-interactive", "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"];
    works(Command::new("sudo").args(["--non-interactive", "true"])).then_some(("sudo", words))
}
