//! No-op jobs here and in `BullMQ`, on the same server, one after the other.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Figure;
use super::process::Process;
use super::server::Server;
use super::workplace::Workplace;

/// Jobs of each measurement.
const JOBS: u32 = 10_000;

/// `BullMQ`'s major version, from npm.
const PACKAGE: &str = "bullmq@^5";

/// One job at a time, and 64: ours beside `BullMQ`'s, and the ratio.
pub(super) fn bullmq(at: &Workplace) -> Result<Vec<Figure>> {
    install(at)?;
    let server = Server::start(at.folder())?;
    let raw = Figure::new("Redis: EVALSHA that does nothing", server.raw_evalsha()?, "calls/s");
    let mut figures = vec![raw];
    for (at_once, target) in [(1, 1.5), (64, 3.0)] {
        let ours = rate(at.program("examples/scale_bench").args([
            &format!("{}?queue=noop-{at_once}", server.url()),
            "noop",
            &JOBS.to_string(),
            "1",
            &at_once.to_string(),
        ]))?;
        let theirs = rate(Command::new("node").current_dir(at.folder()).args([
            "bullmq.mjs",
            &server.port(),
            &JOBS.to_string(),
            &at_once.to_string(),
        ]))?;
        figures.push(Figure::new(format!("no-op jobs, {at_once} at a time: veobatch"), ours, "/s"));
        figures.push(Figure::new(format!("no-op jobs, {at_once} at a time: BullMQ"), theirs, "/s"));
        figures
            .push(Figure::new(format!("no-op jobs, {at_once} at a time: ratio"), ours / theirs, "").at_least(target));
    }
    Ok(figures)
}

fn rate(command: &mut Command) -> Result<f64> {
    let (seconds, (), ()) = Process::watch(command, |_| Ok(()))?;
    Ok(f64::from(JOBS) / seconds)
}

/// Installs `BullMQ` into the folder of the measurements, which is removed at the end.
fn install(at: &Workplace) -> Result<()> {
    std::fs::write(at.folder().join("bullmq.mjs"), include_str!("bullmq.mjs"))?;
    std::fs::write(at.folder().join("package.json"), "{\"private\": true}")?;
    let mut npm = Command::new("npm");
    npm.current_dir(at.folder()).args(["install", "--no-audit", "--no-fund", "--loglevel=error", PACKAGE]);
    let output = npm.output().context("failed to run npm: install Node.js 20 or newer, which brings it")?;
    if !output.status.success() {
        bail!("npm could not install {PACKAGE}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
