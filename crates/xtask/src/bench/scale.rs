//! What the size of a queue costs: its claims, a backlog, videos in flight, and what a job takes in each state.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};

use super::Figure;
use super::process::Process;
use super::server::Server;
use super::simulator::Simulator;
use super::workplace::Workplace;

/// A claim among a thousand jobs, a million, and a thousand batches: one after another, the answer included.
pub(super) fn claim(at: &Workplace) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for ledger in ["Redis", "SQLite"] {
        let mut usual = None;
        for (jobs, batches) in [(1_000, 1), (1_000_000, 1), (100_000, 1_000)] {
            let server = (ledger == "Redis").then(|| Server::start(at.folder())).transpose()?;
            let url = server.as_ref().map_or_else(|| format!("sqlite:claims-{jobs}-{batches}.db"), Server::url);
            let measured = at.lines("scale_bench", &[&url, "claims", &jobs.to_string(), &batches.to_string()])?;
            for (took, which) in measured {
                let what = format!("{ledger}: a claim, {jobs} jobs in {batches}, {which}");
                figures.push(Figure::new(what, took, "µs"));
                if which == "p50" {
                    let usual = *usual.get_or_insert(took);
                    figures.push(Figure::new("… beside a thousand jobs in one batch", took / usual, "times"));
                }
            }
        }
    }
    Ok(figures)
}

/// A hundred thousand jobs that are due at once, as after an outage.
pub(super) fn backlog(at: &Workplace) -> Result<Vec<Figure>> {
    let server = Server::start(at.folder())?;
    let mut figures = Vec::new();
    for (name, url) in [("Redis", server.url()), ("SQLite", "sqlite:backlog.db".to_owned())] {
        for (number, what) in at.lines("scale_bench", &[&url, "backlog", "100000"])? {
            let figure = Figure::new(format!("{name}: 100,000 due at once, {what}"), number, "");
            figures.push(if what.starts_with("at least") { figure.at_least(1.0) } else { figure });
        }
    }
    Ok(figures)
}

/// What a job takes of Redis' memory in each state, with 200 bytes of prompt; finished ones are in `finished`.
pub(super) fn states(at: &Workplace) -> Result<Vec<Figure>> {
    let server = Server::start(at.folder())?;
    let measured = at.lines("scale_bench", &[&server.url(), "states", "20000"])?;
    let figure = |(bytes, state)| Figure::new(format!("Redis memory of a job, {state}"), bytes, "B");
    Ok(measured.into_iter().map(figure).collect())
}

/// A hundred thousand videos that one worker follows, each polled once in 25 seconds.
pub(super) fn in_flight(at: &Workplace) -> Result<Vec<Figure>> {
    const COUNT: u32 = 100_000;
    // As many a second as that takes.
    const RATE: f64 = 4_000.0;
    const GAP: Duration = Duration::from_secs(25);
    const FOR: Duration = Duration::from_secs(60);
    let simulator =
        Simulator::start(at, "{generation: {stuck: 1}, limits: {rate: null, in_flight: null}, credits: 100000000}")?;
    let file = at.prompts("flight.jsonl", COUNT, "")?;
    let server = Server::start(at.folder())?;
    Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
    let worker = Process::start(&mut simulator.follower(at, &server, COUNT, GAP))?;
    let submitted = || simulator.count("submissions");
    let mut seconds = 0_u32;
    while submitted()? < f64::from(COUNT) {
        if seconds == 600 {
            bail!("{} of {COUNT} were submitted within ten minutes", submitted()?);
        }
        seconds += 1;
        sleep(Duration::from_secs(1));
    }
    // Each was polled once, and is polled in its turn from now on.
    sleep(2 * GAP);
    let (before, cpu, redis) = (simulator.count("record_info")?, worker.cpu_seconds()?, server.process.cpu_seconds()?);
    sleep(FOR);
    let each = |used: f64| used / FOR.as_secs_f64();
    let polls = each(simulator.count("record_info")? - before);
    let (cpu, redis) = (each(worker.cpu_seconds()? - cpu), each(server.process.cpu_seconds()? - redis));
    Ok(vec![
        Figure::new("100,000 in flight: all of them submitted within", f64::from(seconds), "s"),
        Figure::new("100,000 in flight: polls over HTTP", polls, "polls/s").at_least(RATE * 0.95),
        Figure::new("resident memory of that worker", worker.resident_mib()?, "MiB").at_most(150.0),
        Figure::new("processor of that worker", cpu * 100.0, "% of a core").at_most(100.0),
        Figure::new("processor of its Redis", redis * 100.0, "% of a core"),
    ])
}
