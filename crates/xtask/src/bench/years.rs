//! What years of finished batches cost a worker with nothing to do, and whoever asks for the status.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Figure;
use super::process::{Io, Process};
use super::server::Server;
use super::simulator::Simulator;
use super::workplace::Workplace;

/// Long enough for everything that a worker does again and again.
const FOR: Duration = Duration::from_secs(120);

/// Finished batches, a hundred compact jobs in each: an evening's, and those of years.
const BATCHES: [u32; 2] = [10, 10_000];
const JOBS: &str = "100";

/// A time that no measurement comes upon: what recurs is kept, and not due.
const LEAP_DAY: &str = "0 0 29 2 * UTC";

/// What may be different by chance.
const ABOUT: f64 = 1.1;

/// A ledger of years, or of an evening.
struct Ledger {
    url: String,
    state: String,
    server: Option<Server>,
}

/// An idle worker, and `status`, over ten finished batches and over ten thousand with a million jobs, on both ledgers.
pub(super) fn years(at: &Workplace) -> Result<Vec<Figure>> {
    let simulator = Simulator::start(at, "{}")?;
    let mut figures = Vec::new();
    for kind in ["Redis", "SQLite"] {
        let [few, many] = BATCHES;
        let (usual, measured) = (measure(at, &simulator, kind, few)?, measure(at, &simulator, kind, many)?);
        for ((what, unit, few), (_, _, many)) in usual.into_iter().zip(measured) {
            figures.push(Figure::new(format!("{kind}: {what}"), few, unit));
            figures.push(Figure::new("… and with a million finished jobs", many, unit).at_most(few * ABOUT));
        }
    }
    Ok(figures)
}

/// What is measured with so many finished batches: the same in each call.
fn measure(
    at: &Workplace,
    simulator: &Simulator,
    kind: &str,
    batches: u32,
) -> Result<Vec<(&'static str, &'static str, f64)>> {
    let ledger = Ledger::make(at, kind, batches)?;
    let worker = Process::start(&mut simulator.usual(at, &ledger.url, &ledger.state))?;
    sleep(Duration::from_secs(5));
    let before = ledger.cpu_seconds(&worker)?;
    let idle = ledger.asked_while(&worker, || sleep(FOR))?;
    let used = ledger.cpu_seconds(&worker)? - before;
    let resident = worker.resident_mib()?;
    drop(worker);
    let minutes = FOR.as_secs_f64() / 60.0;
    let status = ledger.status(at)?;
    Ok(vec![
        ("calls of an idle worker", "a minute", idle.calls / minutes),
        ("bytes for it", "a minute", idle.bytes / minutes),
        ("processor of worker and ledger", "ms a minute", used * 1e3 / minutes),
        ("resident memory of the worker", "MiB", resident),
        ("calls of a `status`", "", status.calls),
        ("bytes for it", "B", status.bytes),
    ])
}

impl Ledger {
    /// With so many finished batches, and one that recurs.
    fn make(at: &Workplace, kind: &str, batches: u32) -> Result<Self> {
        let server = (kind == "Redis").then(|| Server::start(at.folder())).transpose()?;
        let (url, state) = match &server {
            Some(server) => (server.url(), server.state_dir()),
            None => (format!("sqlite:years-{batches}.db"), format!("years-{batches}.state")),
        };
        at.lines("scale_bench", &[&url, "finished", &batches.to_string(), JOBS])?;
        let file = at.prompts(&format!("recurring-{batches}.jsonl"), 1, "")?;
        Process::run(&mut at.veobatch(&url, &["enqueue", &file, "--cron", LEAP_DAY]))?;
        Ok(Self { url, state, server })
    }

    /// Commands that the server was asked meanwhile; reads and writes of the process that has the file.
    fn asked_while(&self, worker: &Process, act: impl FnOnce()) -> Result<Io> {
        if let Some(server) = &self.server {
            server.count_anew()?;
            act();
            return server.asked();
        }
        let before = worker.io()?;
        act();
        let after = worker.io()?;
        Ok(Io { calls: after.calls - before.calls, bytes: after.bytes - before.bytes })
    }

    fn cpu_seconds(&self, worker: &Process) -> Result<f64> {
        let server = self.server.as_ref().map(|server| server.process.cpu_seconds()).transpose()?;
        Ok(worker.cpu_seconds()? + server.unwrap_or_default())
    }

    /// What one `status` asks.
    fn status(&self, at: &Workplace) -> Result<Io> {
        let mut status = at.veobatch(&self.url, &["status"]);
        if let Some(server) = &self.server {
            server.count_anew()?;
            Process::run(&mut status)?;
            return server.asked();
        }
        // A shell is told what its children did that have ended.
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$0\" status > /dev/null && cat /proc/$$/io"]).arg(status.get_program());
        shell.current_dir(at.folder()).env_clear();
        shell.envs(status.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = shell.output().context("failed to start a shell")?;
        Io::parse(&String::from_utf8_lossy(&output.stdout))
    }
}
