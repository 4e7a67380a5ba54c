//! Checks prompt files, admits them if a ledger is named, and says how fast that went and how much memory it took at
//! most (Linux).
//!
//! `cargo run --release -p veobatch-producer --example check -- [--ledger URL] FILE...`

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::time::Instant;
use veobatch_ledger::{LedgerUrl, open};
use veobatch_producer::{Checked, Source, admit, check};

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "an example for people")]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let ledger = arguments.first().is_some_and(|first| first == "--ledger").then(|| {
        let mut named = arguments.drain(..arguments.len().min(2));
        named.next_back().unwrap_or_default()
    });
    let sources: Vec<Source> = arguments.into_iter().map(|path| Source::File(PathBuf::from(path))).collect();
    let start = Instant::now();
    match check(&sources) {
        Ok(checked) => {
            println!("{} jobs checked in {:.2} s, {}", checked.total(), start.elapsed().as_secs_f64(), peak());
            if let Some(url) = ledger {
                match admitted(&url, checked).await {
                    Ok(words) => println!("{words} in {:.2} s, {}", start.elapsed().as_secs_f64(), peak()),
                    Err(error) => eprintln!("error: {error}"),
                }
            }
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            println!("{} problems in {:.2} s, {}", problems.total(), start.elapsed().as_secs_f64(), peak());
            ExitCode::from(2)
        }
    }
}

async fn admitted(url: &str, checked: Checked) -> Result<String, Box<dyn std::error::Error>> {
    let ledger = open(&LedgerUrl::parse(url)?).await?;
    Ok(format!("{:?}", admit(&ledger, checked, None, |_| ()).await?))
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("peak memory unknown").to_owned()
}
