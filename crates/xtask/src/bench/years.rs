//! What years of finished batches cost a worker with nothing to do, and whoever looks.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::Figure;
use super::process::Process;
use super::server::{Server, Used};
use super::simulator::Simulator;
use super::workplace::Workplace;

/// Long enough for everything that a worker does again and again.
const FOR: Duration = Duration::from_secs(120);

/// Ten finished batches, and ten thousand: calls and bytes of an idle worker each minute, and bytes of a `status`.
pub(super) fn years(at: &Workplace) -> Result<Vec<Figure>> {
    let simulator = Simulator::start(at, "{}")?;
    let mut figures = Vec::new();
    for count in [10, 10_000] {
        let server = Server::start(at.folder())?;
        let files = (0..count).map(|n| at.prompts(&format!("y{n}.jsonl"), 1, "")).collect::<Result<Vec<_>>>()?;
        let words: Vec<&str> = ["enqueue"].into_iter().chain(files.iter().map(String::as_str)).collect();
        Process::run(&mut at.veobatch(&server.url(), &words))?;
        Process::run(&mut at.veobatch(&server.url(), &["cancel", "--all", "--yes"]))?;
        // As if they had come to rest long ago.
        server.cli(&["ZUNIONSTORE", "{veobatch}:rest", "1", "{veobatch}:rest", "WEIGHTS", "0"])?;
        let worker = Process::start(&mut simulator.usual(at, &server))?;
        sleep(Duration::from_secs(5));
        let (before, bytes) = (Used::by(&server)?, server.sent_bytes()?);
        sleep(FOR);
        let (used, bytes) = (Used::by(&server)?.since(&before), server.sent_bytes()? - bytes);
        drop(worker);
        let minutes = FOR.as_secs_f64() / 60.0;
        let before = server.sent_bytes()?;
        Process::run(&mut at.veobatch(&server.url(), &["status"]))?;
        let status = server.sent_bytes()? - before;
        let name = |what: &str| format!("{count} finished batches: {what}");
        figures.extend([
            Figure::new(name("commands of an idle worker"), used.commands / minutes, "a minute"),
            Figure::new(name("bytes that it is sent"), bytes / minutes, "a minute"),
            Figure::new(name("bytes that `status` is sent"), status, "B"),
        ]);
    }
    Ok(figures)
}
