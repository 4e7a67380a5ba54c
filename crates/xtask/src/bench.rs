//! `cargo xtask bench`: what the program can do on this machine, beside what it is meant to.
//!
//! The release build of the real program, its own simulator, and Redis servers of its own (`appendfsync always`), as
//! processes; what they use is read from `/proc`, so this runs on Linux. Single runs: expect ± 20 %.

mod account;
mod bullmq;
mod cost;
mod measurements;
mod process;
mod scale;
mod server;
mod simulator;
mod workplace;
mod years;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::command::{cargo, report, run as run_command, say};
use crate::redis;

use account::{pace, polling};
use bullmq::bullmq;
use cost::{lifecycle, noop};
use measurements::{admit, finished, follow, idle, memory, steps};
use scale::{backlog, claim, in_flight, states};
use workplace::Workplace;
use years::years;

/// One measured figure.
#[derive(Debug)]
struct Figure {
    what: String,
    measured: f64,
    target: Option<Target>,
    unit: &'static str,
}

/// What a figure is meant to be.
#[derive(Clone, Copy, Debug)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    fn new(what: impl Into<String>, measured: f64, unit: &'static str) -> Self {
        Self { what: what.into(), measured, target: None, unit }
    }

    fn at_least(self, target: f64) -> Self {
        Self { target: Some(Target::AtLeast(target)), ..self }
    }

    fn at_most(self, target: f64) -> Self {
        Self { target: Some(Target::AtMost(target)), ..self }
    }

    fn line(&self) -> String {
        let target = match self.target {
            Some(Target::AtLeast(target)) => {
                format!("at least {} {}", number(target), verdict(self.measured >= target))
            }
            Some(Target::AtMost(target)) => format!("at most {} {}", number(target), verdict(self.measured <= target)),
            None => String::new(),
        };
        format!("{:44} {:>12} {:10} {target}", self.what, number(self.measured), self.unit)
    }
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "(met)" } else { "(MISSED)" }
}

fn number(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

type Measurement = fn(&Workplace) -> Result<Vec<Figure>>;

const ALL: &[(&str, Measurement)] = &[
    ("admit", admit),
    ("memory", memory),
    ("steps", steps),
    ("finished", finished),
    ("follow", follow),
    ("idle", idle),
    ("years", years),
    ("claim", claim),
    ("backlog", backlog),
    ("states", states),
    ("in_flight", in_flight),
    ("lifecycle", lifecycle),
    ("noop", noop),
    ("pace", pace),
    ("polling", polling),
];

/// Measured only when named: it installs an npm package.
const ON_REQUEST: &[(&str, Measurement)] = &[("bullmq", bullmq)];

/// Measures what is named, or everything that needs no package of others, and prints a table.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().chain(ON_REQUEST).all(|(known, _)| known != name)) {
        let known: Vec<&str> = ALL.iter().chain(ON_REQUEST).map(|(name, _)| *name).collect();
        bail!("there is no measurement {unknown:?}; there are {}", known.join(", "));
    }
    if !cfg!(target_os = "linux") {
        bail!("the measurements read /proc, which only Linux has");
    }
    redis::ensure()?;
    run_command(cargo().args(["build", "--release", "--package", "veobatch"]))?;
    run_command(cargo().args(["build", "--release", "--package", "veobatch-ledger", "--examples"]))?;
    let workplace = Workplace::new()?;
    let on_request = ON_REQUEST.iter().filter(|_| !names.is_empty());
    for (name, measure) in ALL.iter().chain(on_request) {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            say(&format!("measuring: {name}"));
            for figure in measure(&workplace)? {
                report(&figure.line());
            }
        }
    }
    Ok(())
}

/// `count` things in `time`, a second.
fn per_second(count: u32, time: Duration) -> f64 {
    f64::from(count) / time.as_secs_f64().max(f64::EPSILON)
}
