//! How one account is used in the service's real proportions: the allowance of 20 submissions in 10 s, and videos of a
//! minute and a half. Both take minutes, and next to no processor.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Figure;
use super::process::Process;
use super::server::Server;
use super::simulator::Simulator;
use super::workplace::Workplace;

/// N and W, as documented for an account (kie-api.md, section 11); the service of these measurements is as strict.
const ALLOWED: f64 = 20.0;
const WINDOW_MS: f64 = 10_000.0;
const LIMITS: &str = "limits: {rate: {requests: 20, window_ms: 10000}, in_flight: null}, credits: 100000000";

/// Submissions of one scene of [`pace`].
const SUBMISSIONS: u32 = 300;

/// Videos of [`looks`], and how many of them are made before its figures begin.
const VIDEOS: u32 = 600;
const UNLEARNED: usize = 50;

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

/// What looking at videos costs, and how late it is, if they take 90 s in the median (sigma 0.35).
pub(super) fn looks(at: &Workplace) -> Result<Vec<Figure>> {
    let config = format!("{{generation: {{median_ms: 90000, sigma: 0.35}}, {LIMITS}}}");
    let scene = Scene::start(at, &config, VIDEOS, 2, "looks")?;
    let is_told = |task: &Value| number(task, "told_ms").is_some();
    let bill = scene.bill_once(|bill| bill.accepted.iter().filter(|task| is_told(task)).count() >= VIDEOS as usize)?;
    let mut tasks = bill.accepted;
    tasks.sort_by(|a, b| number(a, "told_ms").partial_cmp(&number(b, "told_ms")).unwrap_or(std::cmp::Ordering::Equal));
    let learned = tasks.get(UNLEARNED..).context("too few videos")?;
    let mean = |of: &dyn Fn(&Value) -> Option<f64>| {
        let all: Vec<f64> = learned.iter().filter_map(of).collect();
        all.iter().sum::<f64>() / f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX))
    };
    let late = |task: &Value| Some((number(task, "told_ms")? - number(task, "finish_ms")?) / 1000.0);
    Ok(vec![
        Figure::new("looks at a video, once 50 are known", mean(&|task| number(task, "polls")), "").at_most(4.0),
        Figure::new("… how late it is seen to be made", mean(&late), "s").at_most(8.0),
    ])
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
        let (simulator, server) = (Simulator::start(at, config)?, Server::start(at.folder())?);
        let file = at.prompts(&format!("{name}-{workers}.jsonl"), jobs, "")?;
        Process::run(&mut at.veobatch(&server.url(), &["enqueue", &file]))?;
        let start = |_| {
            let mut command = simulator.usual(at, &server.url(), &server.state_dir());
            Process::start(command.args(["--max-in-flight", "1000", "--output", &format!("{name}-{workers}")]))
        };
        let workers = (0..workers).map(start).collect::<Result<_>>()?;
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
