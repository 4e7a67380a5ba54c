//! The simulated service of a measurement, and the workers that it answers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

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
            if simulator.count("submissions").is_ok() {
                return Ok(simulator);
            }
            sleep(Duration::from_millis(20));
        }
        bail!("the simulator did not start");
    }

    /// A worker that neither pace nor cap holds back, and that polls each video ten times a second.
    pub(crate) fn worker(&self, at: &Workplace, server: &Server) -> Command {
        self.worker_polling(at, server, "100ms")
    }

    /// A worker that neither pace nor cap holds back, and that polls each video this often.
    pub(crate) fn worker_polling(&self, at: &Workplace, server: &Server, gap: &str) -> Command {
        let mut command = at.veobatch(&server.url(), &["worker", "--rate", "10000/1s", "--max-in-flight", "1000000"]);
        command.args(["--poll-first", gap, "--poll-max", gap, "--poll-rate", "100000"]);
        command.args(["--concurrency-submit", "64", "--concurrency-follow", "256", "--concurrency-save", "8"]);
        self.serve(command.args(["--state-dir", &server.state_dir()]));
        command
    }

    /// A worker that polls each of `count` videos once in `gap`, at the rate that a cap of so many allows.
    pub(crate) fn follower(&self, at: &Workplace, server: &Server, count: u32, gap: Duration) -> Command {
        let mut command = at.veobatch(&server.url(), &["worker", "--rate", "10000/1s"]);
        command.args(["--max-in-flight", &count.to_string(), "--lanes", "submit,follow"]);
        let gap = format!("{}s", gap.as_secs());
        command.args(["--poll-first", &gap, "--poll-max", &gap]);
        command.args(["--concurrency-submit", "64", "--concurrency-follow", "128"]);
        self.serve(command.args(["--state-dir", &server.state_dir()]));
        command
    }

    /// A worker as it is without any settings.
    pub(crate) fn usual(&self, at: &Workplace, ledger: &str, state: &str) -> Command {
        let mut command = at.veobatch(ledger, &["worker", "--state-dir", state]);
        self.serve(&mut command);
        command
    }

    fn serve(&self, command: &mut Command) {
        command.args(["--api-base", &format!("http://{}", self.address)]).env("KIE_API_KEY", "any");
    }

    /// The number `name` in the bill's summary, or in `requests` there.
    pub(crate) fn count(&self, name: &str) -> Result<f64> {
        let bill = self.ask("/simulator/bill?summary")?;
        let of = |value: &Value| value.get(name).and_then(Value::as_f64);
        let asked = bill.get("requests").and_then(of).unwrap_or_default();
        Ok(of(&bill).unwrap_or(asked))
    }

    /// The whole bill.
    pub(crate) fn bill(&self) -> Result<Value> {
        self.ask("/simulator/bill")
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the simulator's answer has no body")?;
        Ok(serde_json::from_str(body)?)
    }
}
