//! Chaos: `cargo xtask chaos --minutes M --seed S`.
//!
//! ```text
//! three workers ── link ──▶ Redis          killed, stopped, terminated, started again; Redis put back to what it was
//!       └───────── link ──▶ the service    killed and started again; cut and slowed; hostile; and somebody types commands
//! ```
//!
//! Then it is calm, every machine works until nothing moves any more, and the bill, the ledger and the files are held
//! against each other. What happens follows from the seed; when exactly, from the machine: a seed is a kind of weather
//! and not a replay (that is what `cargo xtask simulate` is for).

mod dice;
mod figures;
mod morning;
mod night;
mod rewind;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::Instant;

use crate::night::Night;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_veobatch-under-test");

/// Between two batches.
const BATCH_EVERY: Duration = Duration::from_secs(12);

/// When Redis goes back in time first, in seconds: early, so that two minutes have some payments after its recovery.
const REWIND_FIRST: (u64, u64) = (4, 12);

/// After how many seconds it does again; for the first 90 of them nothing is paid for.
const REWIND_AGAIN: (u64, u64) = (120, 180);

/// And not so late that the night would end before its recovery.
const RECOVERY: Duration = Duration::from_secs(100);

#[tokio::main]
async fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)) {
        Ok((minutes, seed)) => match run(minutes, seed).await {
            Ok(found) => {
                say(&format!("chaos, seed {seed}, {minutes} min: {found}"));
                ExitCode::SUCCESS
            }
            Err(error) => {
                say(&format!("chaos, seed {seed}, {minutes} min: FAILED: {error:#}"));
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

async fn run(minutes: f64, seed: u64) -> Result<String> {
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut night = Night::begin(seed).await?;
    let mut next_batch = Instant::now() + BATCH_EVERY;
    let mut next_rewind = Some(Instant::now() + night.seconds(REWIND_FIRST));
    while Instant::now() < end {
        night.next().await?;
        if Instant::now() > next_batch {
            night.enqueue().await?;
            next_batch = Instant::now() + BATCH_EVERY;
        }
        if next_rewind.is_some_and(|at| Instant::now() > at) {
            night.rewind().await?;
            next_rewind = Some(Instant::now() + night.seconds(REWIND_AGAIN)).filter(|at| *at + RECOVERY < end);
        }
    }
    night.calm().await?;
    let found = morning::look(&night).await?;
    Ok(format!("{found}; {}", night.figures))
}

fn wanted(mut words: impl Iterator<Item = String>) -> Result<(f64, u64)> {
    let (mut minutes, mut seed) = (2.0, 1);
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a number"))?;
        match word.as_str() {
            "--minutes" => minutes = value.parse().context("--minutes needs a number")?,
            "--seed" => seed = value.parse().context("--seed needs a whole number")?,
            _ => bail!("{word}: say `--minutes M` or `--seed S`"),
        }
    }
    Ok((minutes, seed))
}

#[expect(clippy::print_stdout, reason = "a tool's figures")]
fn say(words: &str) {
    println!("{words}");
}
