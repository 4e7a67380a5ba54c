//! What a job's whole life costs, and what the same work that does nothing costs elsewhere.

use std::process::Command;

use anyhow::Result;

use super::Figure;
use super::process::Process;
use super::server::{Server, Used};
use super::simulator::Simulator;
use super::workplace::Workplace;
use crate::command::{cargo, root, run};

/// Jobs that are brought to their end.
const JOBS: u32 = 10_000;

/// Jobs that do nothing. With 8,000 that wait, the stock storage's worker ends: "too many results to unpack".
const NOTHING: u32 = 5_000;

/// Claimed together, by both.
const AT_ONCE: &str = "64";

/// A job's whole life: submitted, looked at, saved.
pub(super) fn life(at: &Workplace) -> Result<Vec<Figure>> {
    let limits = "limits: {rate: null, in_flight: null}, credits: 100000000";
    let simulator = Simulator::start(at, &format!("{{generation: {{median_ms: 900, sigma: 0}}, {limits}}}"))?;
    let server = Server::start(at.folder())?;
    let file = at.prompts("cost.jsonl", JOBS, "")?;
    Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
    let before = Used::by(&server)?;
    let mut worker = simulator.worker_looking(at, &server, "300ms");
    worker.args(["--until-idle", "--output", "cost"]);
    let took = Process::run(&mut worker)?;
    let used = Used::by(&server)?.since(&before);
    let each = |number: f64| number / f64::from(JOBS);
    Ok(vec![
        Figure::new("a whole life: looks", each(simulator.count("record_info")?), "a job"),
        Figure::new("a whole life: scripts called", each(used.scripts), "a job"),
        Figure::new("a whole life: commands in Redis, scripts' too", each(used.commands), "a job"),
        Figure::new("a whole life: processor of Redis", each(used.seconds) * 1e6, "µs a job"),
        Figure::new("a whole life: processor of the worker", each(took.cpu) * 1e6, "µs a job"),
    ])
}

/// A job that is only taken and finished, here and on the stock storage of the same runtime.
pub(super) fn nothing(at: &Workplace) -> Result<Vec<Figure>> {
    let server = Server::start(at.folder())?;
    let mut bench = at.program("examples/scale_bench");
    bench.args([&server.url(), "nothing", &NOTHING.to_string()]);
    let mut figures = compared("a job that does nothing, veobatch", &server, &mut bench)?;

    // A workspace of its own, so that nothing of it comes near the product.
    let mut build = cargo();
    build.current_dir(root().join("crates/xtask/stock"));
    build.args(["build", "--release", "--locked", "--target-dir"]).arg(at.target("stock"));
    run(&mut build)?;
    let server = Server::start(at.folder())?;
    let mut bench = Command::new(at.target("stock").join("release/stock"));
    bench.current_dir(at.folder()).env_clear().args([&server.url(), &NOTHING.to_string(), AT_ONCE]);
    figures.extend(compared("a task that does nothing, stock apalis", &server, &mut bench)?);
    Ok(figures)
}

/// What is loaded before is not counted: only taking and finishing it.
fn compared(what: &str, server: &Server, bench: &mut Command) -> Result<Vec<Figure>> {
    let look = |client: &Process| Ok((Used::by(server)?, client.cpu_seconds()?));
    let (seconds, before, after) = Process::watch(bench, look)?;
    let (used, cpu) = (after.0.since(&before.0), after.1 - before.1);
    let each = |number: f64| number / f64::from(NOTHING);
    Ok(vec![
        Figure::new(format!("{what}: rate"), f64::from(NOTHING) / seconds, "/s"),
        Figure::new("… scripts called", each(used.scripts), "each"),
        Figure::new("… commands in Redis, those of scripts too", each(used.commands), "each"),
        Figure::new("… processor of Redis", each(used.seconds) * 1e6, "µs each"),
        Figure::new("… processor of the client", each(cpu) * 1e6, "µs each"),
    ])
}
