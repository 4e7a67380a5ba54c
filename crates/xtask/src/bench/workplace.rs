//! The folder and the programs of all measurements.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A temporary folder beside the builds, removed at the end, and where the programs are.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: PathBuf,
    release: PathBuf,
}

impl Workplace {
    pub(crate) fn new() -> Result<Self> {
        // …/target/debug/xtask
        let exe = std::env::current_exe().context("failed to find the target folder")?;
        let target = exe.ancestors().nth(2).context("failed to find the target folder")?;
        let folder = target.join(format!("bench-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Self { folder, release: target.join("release") })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The program, with a ledger, no key, nothing of this environment.
    pub(crate) fn veobatch(&self, ledger: &str, words: &[&str]) -> Command {
        let mut command = self.program("veobatch");
        command.args(words).env("VEOBATCH_LEDGER", ledger).env("VEOBATCH_LOG", "error");
        command
    }

    /// Another program of the release build.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.release.join(name));
        command.current_dir(&self.folder).env_clear();
        command
    }

    /// What a benchmark among the examples says: a number a line, and what it is.
    pub(crate) fn lines(&self, name: &str, words: &[&str]) -> Result<Vec<(f64, String)>> {
        let output = self.program(&format!("examples/{name}")).args(words).output()?;
        if !output.status.success() {
            bail!("{name} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let figure = |line: &str| {
            let (number, what) = line.trim().split_once(' ')?;
            Some((number.parse().ok()?, what.to_owned()))
        };
        Ok(text.lines().filter_map(figure).collect())
    }

    /// A file of JSON lines with so many jobs, 200 bytes of prompt each; `suffix` ends every prompt.
    pub(crate) fn prompts(&self, name: &str, jobs: u32, suffix: &str) -> Result<String> {
        let filler = "a small cat plays in a sunny garden, high definition, ".repeat(4);
        let mut text = String::new();
        for n in 0..jobs {
            let prompt: String = format!("{n:08} {filler}").chars().take(200 - suffix.len()).collect();
            writeln!(text, "{{\"id\": \"job-{n:08}\", \"prompt\": \"{prompt}{suffix}\"}}")?;
        }
        std::fs::write(self.folder.join(name), text)?;
        Ok(name.to_owned())
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What is left is in the target folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
