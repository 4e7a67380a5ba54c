//! Checks prompt files and says how fast that went, and how much memory it took at most (Linux).
//!
//! `cargo run --release -p veobatch-producer --example check -- FILE...`

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::time::Instant;
use veobatch_producer::{Source, check};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "an example for people")]
fn main() -> ExitCode {
    let sources: Vec<Source> = std::env::args_os().skip(1).map(|path| Source::File(PathBuf::from(path))).collect();
    let start = Instant::now();
    let result = check(&sources);
    let seconds = start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown").to_owned();
    match result {
        Ok(checked) => {
            println!("{} jobs in {seconds:.2} s, {peak}", checked.total());
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            println!("{} problems in {seconds:.2} s, {peak}", problems.total());
            ExitCode::from(2)
        }
    }
}
