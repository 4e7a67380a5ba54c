//! What veobatch promises, as scenes: the real program, a simulated service, a real Redis. The table of contents.

/// When something is away, large, or read by a program.
mod answers;
/// Which crate may know which; the files that machines are set up from.
mod architecture;
/// Stopped beyond its lease, and continued.
mod asleep;
/// Files, batches, and orders to them.
mod batch;
/// Lost answers that come back, and strangers at the door.
mod callbacks;
/// Budgets, ranks, orders to everything at once, and why a job is not moving.
mod controls;
/// The commands in README.md and docs/.
mod documents;
/// What is known of a doubt, what a policy may do about it, and what comes late.
mod doubt;
/// Killed at every edge between what a step does and what it does next.
mod edges;
/// Ledgers of older and of newer formats.
mod formats;
/// The house of each crate: circles, folders, and sources that are cited.
mod house;
/// An output directory that hangs, and files that are too large.
mod hung;
/// What makes a job another one, and what does not.
mod identity;
/// From a line of a file to a video.
mod life;
/// Never pay twice; never lose what was paid for.
mod money;
/// Over night: starts, windows, recurring batches.
mod night;
/// The account's whole allowance, and not one 429.
mod pace;
/// The system's proxy.
mod proxy;
/// Finished jobs: compact, or forgotten.
mod purge;
/// What is asked on a terminal before something happens, and what becomes of a "no".
mod questions;
/// Interrupted, killed, started again.
mod restart;
/// Restored from a backup, or emptied.
mod restored;
/// What `retry` takes up, what that may cost, and what it leaves alone.
mod retry;
/// However much is logged, no log tells a secret.
mod secrets;
/// Flags per command, and the account that is stored in the ledger.
mod settings;
/// On a terminal: questions, bars, and Ctrl-C.
mod terminal;
/// From one ledger to another, of either kind.
mod transfer;
/// What goes wrong out there, and what a person sees of it.
mod trouble;
/// One record that this program cannot read.
mod unreadable;
/// What it says: JSON, exit codes, and never the key.
mod words;

/// What is at rest for long is not shown, unless somebody asks for it.
mod years;

use std::time::Duration;

use anyhow::Result;
use veobatch_simulator::Config;
use veobatch_tests::Scene;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_veobatch-under-test");

/// For a process that should end by itself; longer than a lease and a few retries.
const PATIENCE: Duration = Duration::from_secs(90);

async fn on_sqlite(config: Config) -> Result<Scene> {
    Scene::on_sqlite(PROGRAM, config).await
}

async fn on_redis(config: Config) -> Result<Scene> {
    Scene::on_redis(PROGRAM, config).await
}
