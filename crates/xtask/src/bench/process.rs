//! A child process, and what it uses.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Clock ticks a second in `/proc/PID/stat`: 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// A running process; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process(Child);

/// A process that ended with 0: its most memory, how long it took, and seconds of processor time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) time: Duration,
    pub(crate) peak_mib: f64,
    pub(crate) cpu: f64,
}

/// How often something was asked, and how much was moved for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Io {
    pub(crate) calls: f64,
    pub(crate) bytes: f64,
}

impl Io {
    /// Reads and writes of a process, of whatever file, from the text of `/proc/PID/io`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let number = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.and_then(|number| number.parse::<f64>().ok()).context("/proc/PID/io is not as documented")
        };
        Ok(Self { calls: number("syscr")? + number("syscw")?, bytes: number("rchar")? + number("wchar")? })
    }
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.spawn().with_context(|| format!("failed to start {command:?}"))?))
    }

    /// Starts a process that says `ready`, works once it is told to, says a number, and ends once its input does.
    ///
    /// `measure` is called before and after the work, while the process and what it works on are there.
    pub(crate) fn watch<T>(command: &mut Command, mut measure: impl FnMut(&Self) -> Result<T>) -> Result<(f64, T, T)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self(command.spawn().with_context(|| format!("failed to start {command:?}"))?);
        let mut input = process.0.stdin.take().context("a process without an input")?;
        let mut output = BufReader::new(process.0.stdout.take().context("a process without an output")?).lines();
        let mut said = || output.next().with_context(|| format!("{command:?} said nothing more"))?.map_err(Into::into);
        let ready: Result<String> = said();
        if ready? != "ready" {
            bail!("{command:?} is not ready");
        }
        let before = measure(&process)?;
        writeln!(input)?;
        let number: Result<String> = said();
        let number = number?.parse().with_context(|| format!("{command:?} said no number"))?;
        Ok((number, before, measure(&process)?))
    }

    /// Runs a process to its end.
    #[expect(clippy::disallowed_methods, reason = "no runtime here, and nothing that could pause time")]
    pub(crate) fn run(command: &mut Command) -> Result<Took> {
        let since = std::time::Instant::now();
        let mut process = Self::start(command)?;
        let (mut peak, mut cpu) = (0.0_f64, 0.0_f64);
        let status = loop {
            // Gone once the process has ended, so it is read as long as it runs.
            peak = peak.max(process.status("VmHWM").unwrap_or_default());
            cpu = cpu.max(process.cpu_seconds().unwrap_or_default());
            if let Some(status) = process.0.try_wait()? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if !status.success() {
            bail!("{command:?} ended with {status}");
        }
        Ok(Took { time: since.elapsed(), peak_mib: peak, cpu })
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Resident memory now.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        self.status("VmRSS")
    }

    /// Processor time used so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The name, in parentheses, may contain anything.
        let (_, rest) = stat.rsplit_once(')').context("/proc/PID/stat is not as documented")?;
        let ticks = |n: usize| rest.split_whitespace().nth(n).and_then(|ticks| ticks.parse::<f64>().ok());
        let used = ticks(11).zip(ticks(12)).context("/proc/PID/stat is not as documented")?;
        Ok((used.0 + used.1) / TICKS)
    }

    /// What it has read and written so far.
    pub(crate) fn io(&self) -> Result<Io> {
        Io::parse(&std::fs::read_to_string(format!("/proc/{}/io", self.id()))?)
    }

    fn status(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.with_context(|| format!("/proc/PID/status has no {field}"))? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
