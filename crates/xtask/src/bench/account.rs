//! How one account is used in the service's real proportions: the allowance of 20 submissions in 10 s, and videos of a
//! minute and a half. Both take minutes, and next to no processor.

use std::net::TcpListener;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Figure;
use super::process::Process;
use super::server::Server;
use super::simulator::Simulator;
use super::workplace::Workplace;

/// N and W, as documented for an account (docs/kie-api.md, section 11); the service of these measurements is as strict.
const ALLOWED: f64 = 20.0;
const WINDOW_MS: f64 = 10_000.0;
const LIMITS: &str = "limits: {rate: {requests: 20, window_ms: 10000}, in_flight: null}, credits: 100000000";

/// Submissions of one scene of [`pace`].
const SUBMISSIONS: u32 = 300;

/// Videos of a run of [`polling`], its cap, and its runs.
const VIDEOS: u32 = 300;
const CAP: usize = 100;
const RUNS: usize = 5;

/// How much of the allowance 1, 3 and 8 workers use, side by side: with answers at once, and with answers of 0.1 to 0.4 s.
pub(super) fn pace(at: &Workplace) -> Result<Vec<Figure>> {
    let stall =
        |ms: u32, part: f64| format!("{{fault: stall, delay_ms: {ms}, probability: {part:.3}, after_accepting: true}}");
    // The first rule that holds counts, so this spreads them evenly over seven delays.
    let spread: Vec<String> = (0..7u32).map(|n| stall(100 + 50 * n, 1.0 / f64::from(7 - n))).collect();
    let slowly = format!("faults: {{submit: [{}]}}", spread.join(", "));
    let mut figures = Vec::new();
    for (answers, faults, target) in [("at once", "faults: {}", 99.0), ("0.1 to 0.4 s", &slowly, 97.5)] {
        let config = format!("{{generation: {{median_ms: 20000}}, {LIMITS}, {faults}}}");
        let scenes = [1, 3, 8].map(|workers| Scene::start(at, &config, SUBMISSIONS, workers, "pace"));
        for scene in scenes {
            let scene = scene?;
            let bill = scene.bill_once(|bill| bill.accepted.len() >= SUBMISSIONS as usize)?;
            let times: Vec<f64> = bill.accepted.iter().filter_map(|task| number(task, "at_ms")).collect();
            let (first, last) = times.first().zip(times.last()).context("nothing was submitted")?;
            let ideal = (f64::from(SUBMISSIONS) - 1.0) * WINDOW_MS / ALLOWED;
            let what = format!("{} workers, answers {answers}: used of the allowance", scene.workers.len());
            figures.push(Figure::new(what, 100.0 * ideal / (last - first), "%").at_least(target));
            figures.push(Figure::new("… answered with 429", bill.rejected, "").at_most(0.0));
        }
    }
    Ok(figures)
}

/// How long 300 videos take (log-normal, median 90 s, sigma 0.35, cap 100) compared with immediate notice of each, and how many
/// polls that costs: by polling alone, and with callbacks. The mean of five runs side by side.
pub(super) fn polling(at: &Workplace) -> Result<Vec<Figure>> {
    let config = |run: usize| format!("{{seed: {run}, generation: {{median_ms: 90000, sigma: 0.35}}, {LIMITS}}}");
    let mut figures = Vec::new();
    for (how, callbacks, longest) in [("polling alone", false, 1.05), ("with callbacks", true, 1.01)] {
        let started = |run: usize| {
            let name = format!("polling-{callbacks}-{run}");
            Scene::with(at, &config(run), VIDEOS, &name, |simulator, server| {
                let mut command = simulator.usual(at, &server.url(), &server.state_dir());
                command.args(["--max-in-flight", &CAP.to_string(), "--output", &name]);
                if callbacks {
                    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
                    command.args(["--callback-listen", &address, "--callback-url", &format!("http://{address}")]);
                    command.env("KIE_WEBHOOK_KEY", "a key for a measurement");
                }
                Ok(vec![Process::start(&mut command)?])
            })
        };
        let scenes: Vec<Scene> = (1..=RUNS).map(started).collect::<Result<_>>()?;
        let mut runs = Vec::new();
        for scene in &scenes {
            let is_over = |bill: &Bill| bill.accepted.iter().all(|task| number(task, "told_ms").is_some());
            let bill = scene.bill_once(|bill| bill.accepted.len() >= VIDEOS as usize && is_over(bill))?;
            runs.push(Run::of(&bill).context("a task without its times")?);
        }
        let mean = |of: fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / f64::from(u32::try_from(RUNS).unwrap_or(1));
        figures.push(Figure::new(format!("{how}: makespan / ideal"), mean(|run| run.makespan), "").at_most(longest));
        figures.push(Figure::new("… polls per video", mean(|run| run.polls), "").at_most(12.0));
        figures.push(Figure::new("… until it is noticed", mean(|run| run.delay), "s"));
    }
    Ok(figures)
}

/// What a run of [`polling`] came to.
struct Run {
    makespan: f64,
    polls: f64,
    delay: f64,
}

impl Run {
    fn of(bill: &Bill) -> Option<Self> {
        let all = |of: &dyn Fn(&Value) -> Option<f64>| bill.accepted.iter().map(of).collect::<Option<Vec<f64>>>();
        let took = all(&|task| Some(number(task, "finish_ms")? - number(task, "at_ms")?))?;
        let delay = all(&|task| Some((number(task, "told_ms")? - number(task, "finish_ms")?) / 1000.0))?;
        let (polls, told) = (all(&|task| number(task, "polls"))?, all(&|task| number(task, "told_ms"))?);
        let first = number(bill.accepted.first()?, "at_ms")?;
        let last = told.iter().copied().fold(0.0, f64::max);
        let mean = |of: &[f64]| of.iter().sum::<f64>() / f64::from(VIDEOS);
        Some(Self { makespan: (last - first) / ideal(&took), polls: mean(&polls), delay: mean(&delay) })
    }
}

/// How long videos that take so long need, in ms, if each is noticed at once: spaced as allowed, and [`CAP`] at a time.
fn ideal(took: &[f64]) -> f64 {
    let (mut free, mut slot, mut end) = (vec![0.0_f64; CAP], 0.0_f64, 0.0_f64);
    for took in took {
        let Some(place) = free.iter_mut().min_by(|a, b| a.total_cmp(b)) else { return 0.0 };
        let begins = place.max(slot);
        slot = begins + WINDOW_MS / ALLOWED;
        *place = begins + took;
        end = end.max(*place);
    }
    end
}

/// A service, a Redis and some workers with the usual settings, but for the cap.
struct Scene {
    simulator: Simulator,
    workers: Vec<Process>,
    _server: Server,
}

/// What the service tells.
struct Bill {
    accepted: Vec<Value>,
    rejected: f64,
}

impl Scene {
    fn start(at: &Workplace, config: &str, jobs: u32, workers: usize, name: &str) -> Result<Self> {
        let name = format!("{name}-{workers}");
        Self::with(at, config, jobs, &name, |simulator, server| {
            let start = |_| {
                let mut command = simulator.usual(at, &server.url(), &server.state_dir());
                Process::start(command.args(["--max-in-flight", "1000", "--output", &name]))
            };
            (0..workers).map(start).collect()
        })
    }

    /// `work` starts the workers.
    fn with(
        at: &Workplace,
        config: &str,
        jobs: u32,
        name: &str,
        work: impl FnOnce(&Simulator, &Server) -> Result<Vec<Process>>,
    ) -> Result<Self> {
        let (simulator, server) = (Simulator::start(at, config)?, Server::start(at.folder())?);
        let file = at.prompts(&format!("{name}.jsonl"), jobs, "")?;
        Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
        let workers = work(&simulator, &server)?;
        Ok(Self { simulator, workers, _server: server })
    }

    /// The bill, once it is as far as that; within twenty minutes.
    fn bill_once(&self, is_enough: impl Fn(&Bill) -> bool) -> Result<Bill> {
        for _ in 0..1_200 {
            let all = self.simulator.bill()?;
            let accepted = all.get("accepted").and_then(Value::as_array).cloned().context("no bill")?;
            let bill = Bill { accepted, rejected: number(&all, "rejected_429").context("no bill")? };
            if is_enough(&bill) {
                return Ok(bill);
            }
            sleep(Duration::from_secs(1));
        }
        bail!("this took more than twenty minutes");
    }
}

fn number(value: &Value, name: &str) -> Option<f64> {
    value.get(name).and_then(Value::as_f64)
}
