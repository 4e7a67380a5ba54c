//! The simulated service of a measurement, and the workers that it answers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::Process;
use super::server::Server;
use super::workplace::Workplace;

/// The program's own simulated service, in a process of its own.
#[derive(Debug)]
pub(crate) struct Simulator {
    address: String,
    _process: Process,
}

impl Simulator {
    pub(crate) fn start(at: &Workplace, config: &str) -> Result<Self> {
        std::fs::write(at.folder().join("simulator.yaml"), config)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let words = ["simulate", "--listen", &address, "--config", "simulator.yaml"];
        let mut command = at.veobatch("sqlite:none.db", &words);
        let process = Process::start(command.stderr(Stdio::null()))?;
        let simulator = Self { address, _process: process };
        for _ in 0..200 {
            if simulator.bill().is_ok() {
                return Ok(simulator);
            }
            sleep(Duration::from_millis(20));
        }
        bail!("the simulator did not start");
    }

    /// A worker that neither pace nor cap holds back, and that looks at each video ten times a second.
    pub(crate) fn worker(&self, at: &Workplace, server: &Server) -> Command {
        self.worker_looking(at, server, "100ms")
    }

    /// A worker that neither pace nor cap holds back, and that looks at each video this often.
    pub(crate) fn worker_looking(&self, at: &Workplace, server: &Server, gap: &str) -> Command {
        let mut command = at.veobatch(&server.url(), &["worker", "--rate", "10000/1s", "--max-in-flight", "1000000"]);
        command.args(["--poll-first", gap, "--poll-max", gap, "--poll-rate", "100000"]);
        command.args(["--concurrency-submit", "64", "--concurrency-follow", "256", "--concurrency-save", "8"]);
        command.args(["--api-base", &format!("http://{}", self.address)]).env("KIE_API_KEY", "any");
        command
    }

    /// A worker that looks at each of `count` videos once in `gap`, at the rate that a cap of so many allows.
    pub(crate) fn follower(&self, at: &Workplace, server: &Server, count: u32, gap: Duration) -> Command {
        let mut command = at.veobatch(&server.url(), &["worker", "--rate", "10000/1s"]);
        command.args(["--max-in-flight", &count.to_string(), "--lanes", "submit,follow"]);
        let gap = format!("{}s", gap.as_secs());
        command.args(["--poll-first", &gap, "--poll-max", &gap]);
        command.args(["--concurrency-submit", "64", "--concurrency-follow", "128"]);
        command.args(["--api-base", &format!("http://{}", self.address)]).env("KIE_API_KEY", "any");
        command
    }

    /// The number behind `name` in the bill's summary.
    pub(crate) fn count(&self, name: &str) -> Result<f64> {
        let bill = self.bill()?;
        let (_, rest) = bill.split_once(name).with_context(|| format!("the bill has no {name}: {bill}"))?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().context("the bill is not as documented")
    }

    fn bill(&self) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET /simulator/bill?summary HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
