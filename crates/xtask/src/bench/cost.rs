//! What a job's whole life costs, and what a job costs that does nothing.

use anyhow::Result;

use super::Figure;
use super::process::Process;
use super::server::{Server, Used};
use super::simulator::Simulator;
use super::workplace::Workplace;

/// Jobs that are brought to their end.
const JOBS: u32 = 10_000;

/// No-op jobs.
const NOOPS: u32 = 5_000;

/// A job's whole life: submitted, polled, saved.
pub(super) fn lifecycle(at: &Workplace) -> Result<Vec<Figure>> {
    let limits = "limits: {rate: null, in_flight: null}, credits: 100000000";
    let simulator = Simulator::start(at, &format!("{{generation: {{median_ms: 900, sigma: 0}}, {limits}}}"))?;
    let server = Server::start(at.folder())?;
    let file = at.prompts("cost.jsonl", JOBS, "")?;
    Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
    let before = Used::by(&server)?;
    let mut worker = simulator.worker_polling(at, &server, "300ms");
    worker.args(["--until-idle", "--output", "cost"]);
    let took = Process::run(&mut worker)?;
    let used = Used::by(&server)?.since(&before);
    let each = |number: f64| number / f64::from(JOBS);
    Ok(vec![
        Figure::new("a whole life: polls", each(simulator.count("record_info")?), "a job"),
        Figure::new("a whole life: scripts called", each(used.scripts), "a job"),
        Figure::new("a whole life: commands in Redis, scripts' too", each(used.commands), "a job"),
        Figure::new("a whole life: processor of Redis", each(used.seconds) * 1e6, "µs a job"),
        Figure::new("a whole life: processor of the worker", each(took.cpu) * 1e6, "µs a job"),
    ])
}

/// A job that is only taken and finished. What is loaded before is not counted.
pub(super) fn noop(at: &Workplace) -> Result<Vec<Figure>> {
    let server = Server::start(at.folder())?;
    let mut bench = at.program("examples/scale_bench");
    bench.args([&server.url(), "noop", &NOOPS.to_string(), "4", "64"]);
    let figures = |client: &Process| Ok((Used::by(&server)?, client.cpu_seconds()?));
    let (seconds, before, after) = Process::watch(&mut bench, figures)?;
    let (used, cpu) = (after.0.since(&before.0), after.1 - before.1);
    let each = |number: f64| number / f64::from(NOOPS);
    Ok(vec![
        Figure::new("a no-op job: rate", f64::from(NOOPS) / seconds, "/s"),
        Figure::new("a no-op job: scripts called", each(used.scripts), "each"),
        Figure::new("a no-op job: commands in Redis, scripts' too", each(used.commands), "each"),
        Figure::new("a no-op job: processor of Redis", each(used.seconds) * 1e6, "µs each"),
        Figure::new("a no-op job: processor of the client", each(cpu) * 1e6, "µs each"),
    ])
}
