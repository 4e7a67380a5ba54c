//! What is measured.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};

use super::process::{Process, Took};
use super::server::Server;
use super::simulator::Simulator;
use super::workplace::Workplace;
use super::{Figure, per_second};

/// Lines of the file that is admitted.
const JOBS: u32 = 100_000;

/// `enqueue` of a hundred thousand lines, from the start of the program to its end, checking included.
pub(super) fn admit(at: &Workplace) -> Result<Vec<Figure>> {
    let file = at.prompts("admit.jsonl", JOBS, "")?;
    let server = Server::start(at.folder())?;
    let before = server.used_bytes()?;
    let redis = Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
    let bytes = (server.used_bytes()? - before) / f64::from(JOBS);
    let sqlite = Process::run(&mut at.veobatch("sqlite:admit.db", &["enqueue", &file]))?;
    Ok(vec![
        Figure::new("admitted into Redis, appendfsync always", per_second(JOBS, redis.time), "jobs/s").at_least(60e3),
        Figure::new("admitted into SQLite, FULL", per_second(JOBS, sqlite.time), "jobs/s").at_least(80e3),
        Figure::new("Redis memory of a queued job, 200 B prompt", bytes, "B").at_most(400.0),
    ])
}

/// The most memory that a million lines take.
pub(super) fn memory(at: &Workplace) -> Result<Vec<Figure>> {
    let file = at.prompts("million.jsonl", 1_000_000, "")?;
    let check = Process::run(&mut at.veobatch("sqlite:none.db", &["check", &file]))?;
    let admit = Process::run(&mut at.veobatch("sqlite:million.db", &["enqueue", &file]))?;
    Ok(vec![
        Figure::new("checking a million lines", check.time.as_secs_f64(), "s"),
        Figure::new("most memory of it", check.peak_mib, "MiB"),
        Figure::new("admitting a million lines into SQLite", admit.time.as_secs_f64(), "s"),
        Figure::new("most memory of it", admit.peak_mib, "MiB"),
    ])
}

/// Claim and put, as fast as the ledgers can; and what the same server does with scripts that do nothing.
pub(super) fn steps(at: &Workplace) -> Result<Vec<Figure>> {
    let server = Server::start(at.folder())?;
    let raw = Figure::new("Redis: EVALSHA that does nothing", server.raw_evalsha()?, "calls/s");
    let mut figures = vec![raw];
    for (name, ledger, target) in [("Redis", server.url(), 25e3), ("SQLite", "sqlite:steps.db".to_owned(), 20e3)] {
        let output = at.program("examples/ledger_bench").args([&ledger, "100000"]).output()?;
        if !output.status.success() {
            bail!("ledger_bench {name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        // Lines such as `   43000 steps, claim 64 × 4, a second, 43.8 µs of the server's processor each`.
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Some((number, what)) = line.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse() else { continue };
            let unit = if what.contains("a second") { "/s" } else { "" };
            let figure = Figure::new(
                format!("{name}: {}", what.split(" a second").next().unwrap_or(what).trim_end_matches(',')),
                number,
                unit,
            );
            // With 64 a claim the first prototypes set the targets.
            figures.push(if what.contains("claim 64") { figure.at_least(target) } else { figure });
        }
    }
    Ok(figures)
}

/// Jobs brought to their end by the real worker, and what Redis keeps of them.
pub(super) fn finished(at: &Workplace) -> Result<Vec<Figure>> {
    const COUNT: u32 = 20_000;
    let limits = "limits: {rate: null, in_flight: null}, credits: 100000000";
    let simulator = Simulator::start(at, &format!("{{generation: {{median_ms: 200, sigma: 0}}, {limits}}}"))?;
    let server = Server::start(at.folder())?;
    let make = |name: &str, count: u32| -> Result<Finished> {
        let file = at.prompts(&format!("{name}.jsonl"), count, "")?;
        Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
        let took = Process::run(simulator.worker(at, &server).args(["--until-idle", "--output", "finished"]))?;
        // The log of submissions is no job's: in a real night it holds the last minute's.
        server.cli(&["DEL", "{veobatch}:arrivals"])?;
        let whole = server.used_bytes()?;
        Process::run(&mut at.veobatch(&server.url(), &["purge", name]))?;
        Ok(Finished { took, whole, compact: server.used_bytes()? })
    };
    // The server's scripts and buffers are 0.8 MB, once, and no job's either: a small batch goes before.
    let before = make("warm", 100)?.compact;
    let Finished { took, whole, compact } = make("finished", COUNT)?;
    let each = |used: f64| (used - before) / f64::from(COUNT);
    Ok(vec![
        Figure::new("videos made and saved, all in one process", per_second(COUNT, took.time), "videos/s"),
        Figure::new("most memory of that worker", took.peak_mib, "MiB"),
        Figure::new("Redis memory of a finished job, whole", each(whole), "B"),
        Figure::new("Redis memory of a finished job, compacted", each(compact), "B").at_most(250.0),
    ])
}

/// A batch that was made, and the server's memory after it, before and after its jobs were made compact.
struct Finished {
    took: Took,
    whole: f64,
    compact: f64,
}

/// The follow lane: polls tasks that never end, over HTTP.
pub(super) fn follow(at: &Workplace) -> Result<Vec<Figure>> {
    // Each is due ten times a second: more than any machine polls.
    const COUNT: u32 = 5_000;
    const FOR: Duration = Duration::from_secs(8);
    let simulator = Simulator::start(at, "{generation: {stuck: 1}, limits: {rate: null, in_flight: null}}")?;
    let file = at.prompts("follow.jsonl", COUNT, "")?;
    let server = Server::start(at.folder())?;
    Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
    let worker = Process::start(&mut simulator.worker(at, &server))?;
    for _ in 0..600 {
        if simulator.count("submissions")? >= f64::from(COUNT) {
            break;
        }
        sleep(Duration::from_millis(200));
    }
    if simulator.count("submissions")? < f64::from(COUNT) {
        bail!("the tasks to poll were not submitted within two minutes");
    }
    sleep(Duration::from_secs(2));
    let (before, cpu) = (simulator.count("record_info")?, worker.cpu_seconds()?);
    sleep(FOR);
    let polls = simulator.count("record_info")? - before;
    let cpu = (worker.cpu_seconds()? - cpu) / FOR.as_secs_f64();
    Ok(vec![
        Figure::new("follow lane: polls over HTTP", polls / FOR.as_secs_f64(), "polls/s").at_least(15e3),
        Figure::new("resident memory of that worker", worker.resident_mib()?, "MiB").at_most(50.0),
        Figure::new("processor of that worker", cpu * 100.0, "% of a core"),
    ])
}

/// A worker with nothing to do.
pub(super) fn idle(at: &Workplace) -> Result<Vec<Figure>> {
    const FOR: Duration = Duration::from_secs(30);
    let simulator = Simulator::start(at, "{}")?;
    let server = Server::start(at.folder())?;
    let worker = Process::start(&mut simulator.worker(at, &server))?;
    sleep(Duration::from_secs(5));
    let before = worker.cpu_seconds()? + server.process.cpu_seconds()?;
    sleep(FOR);
    let used = worker.cpu_seconds()? + server.process.cpu_seconds()? - before;
    Ok(vec![
        Figure::new("idle worker and its Redis", used / FOR.as_secs_f64() * 100.0, "% of a core").at_most(0.5),
        Figure::new("resident memory of an idle worker", worker.resident_mib()?, "MiB").at_most(20.0),
    ])
}
