//! A Redis server for one measurement.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::{Io, Process};

/// A server that syncs every change, as veobatch asks for.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    port: u16,
}

/// What a server has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) scripts: f64,
    /// Those that scripts call included.
    pub(crate) commands: f64,
    /// Of processor time.
    pub(crate) seconds: f64,
}

impl Used {
    pub(crate) fn by(server: &Server) -> Result<Self> {
        let stats = server.cli(&["INFO", "everything"])?;
        let after = |name: &str| stats.lines().find_map(|line| line.strip_prefix(name));
        let number = |text: Option<&str>| text.and_then(|text| text.split(',').next()?.trim().parse::<f64>().ok());
        let (evalsha, eval) = (number(after("cmdstat_evalsha:calls=")), number(after("cmdstat_eval:calls=")));
        let commands = number(after("total_commands_processed:")).context("INFO is not as documented")?;
        let scripts = evalsha.unwrap_or_default() + eval.unwrap_or_default();
        Ok(Self { scripts, commands, seconds: server.process.cpu_seconds()? })
    }

    pub(crate) fn since(self, before: &Self) -> Self {
        let (scripts, commands) = (self.scripts - before.scripts, self.commands - before.commands);
        Self { scripts, commands, seconds: self.seconds - before.seconds }
    }
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = folder.join(format!("redis-{port}"));
        std::fs::create_dir(&folder)?;
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&folder);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]);
        let server = Self { process: Process::start(&mut command)?, port };
        for _ in 0..200 {
            if server.cli(&["PING"]).is_ok_and(|answer| answer.contains("PONG")) {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("redis-server did not start");
    }

    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// A state directory for the workers of this measurement: journals that others left are not theirs to replay.
    pub(crate) fn state_dir(&self) -> String {
        format!("state-{}", self.port)
    }

    /// Bytes of memory that its data take.
    pub(crate) fn used_bytes(&self) -> Result<f64> {
        let info = self.cli(&["INFO", "memory"])?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
        used.and_then(|bytes| bytes.trim().parse().ok()).context("INFO memory is not as documented")
    }

    /// Counts anew what [`Server::asked`] tells.
    pub(crate) fn count_anew(&self) -> Result<()> {
        self.cli(&["CONFIG", "RESETSTAT"]).map(drop)
    }

    /// Commands that it was asked since, those of scripts too, and bytes that it has received and sent.
    pub(crate) fn asked(&self) -> Result<Io> {
        let info = self.cli(&["INFO", "stats"])?;
        let number = |name: &str| {
            let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            found.and_then(|number| number.trim().parse::<f64>().ok()).context("INFO stats is not as documented")
        };
        let bytes = number("total_net_input_bytes")? + number("total_net_output_bytes")?;
        Ok(Io { calls: number("total_commands_processed")?, bytes })
    }

    /// How often a second it answers a script that does nothing, asked by 64 clients.
    pub(crate) fn raw_evalsha(&self) -> Result<f64> {
        let script = self.cli(&["SCRIPT", "LOAD", "return 1"])?;
        let mut command = Command::new("redis-benchmark");
        command.args(["-p", &self.port.to_string(), "-c", "64", "-n", "200000", "--csv"]);
        let output = command.args(["EVALSHA", script.trim(), "0"]).stderr(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().and_then(|line| line.split("\",\"").nth(1));
        last.and_then(|rate| rate.trim_matches('"').parse().ok())
            .with_context(|| format!("redis-benchmark is not as documented: {text}"))
    }

    /// What the server answers to a command.
    pub(crate) fn cli(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("redis-cli");
        let output = command.args(["-p", &self.port.to_string()]).args(words).stderr(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("redis-cli {words:?} ended with {}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
