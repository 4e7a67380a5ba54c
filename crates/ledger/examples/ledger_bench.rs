//! How fast a ledger is: `cargo run --release -p veobatch-ledger --example ledger_bench -- URL [JOBS]`.
//!
//! Give it a new, empty ledger. It admits jobs, submits some of them without pace or cap, and then polls those as
//! fast as it can: claim and put, claim and put.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a tool")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use veobatch_core::{BatchId, Event, Facets, JobId, Lane, Outcome, PollPolicy, Spec, TaskId, Token};
use veobatch_ledger::{
    AccountUpdate, Admission, Arrival, CLAIM_MAX, Change, GateReport, LedgerUrl, NewJob, NoRetry, Nonce, Put,
    STAGE_CHUNK, Settle, SharedLedger, SubmissionClaim, change, open,
};

const IN_FLIGHT: usize = 4;
const SUBMITTED: u64 = 20_000;
const LEASE: Duration = Duration::from_secs(30);
const STALL: Duration = Duration::from_secs(60);
const STEPS_FOR: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("a ledger's URL");
    let jobs: usize = args.next().map_or(100_000, |jobs| jobs.parse().expect("a number of jobs"));
    let url = LedgerUrl::parse(&url).expect("a ledger's URL");
    let ledger = open(&url).await.expect("a ledger");
    let before = size(&url).await;
    let batch = BatchId::parse("bench").unwrap();
    admit(&ledger, &url, &batch, jobs).await;
    if let (Some(before), Some(after)) = (before, size(&url).await) {
        println!("{:>8} bytes a queued job", after.saturating_sub(before) / jobs as u64);
    }
    submit(&ledger, &url, SUBMITTED.min(jobs as u64)).await;
    for (tasks, max) in [(64, 1), (4, 16), (4, CLAIM_MAX)] {
        steps(&ledger, &url, tasks, max).await;
    }
}

async fn admit(ledger: &SharedLedger, url: &LedgerUrl, batch: &BatchId, jobs: usize) {
    let admission = Admission::random();
    let watch = Watch::start(url).await;
    let mut calls = JoinSet::new();
    for first in (0..jobs).step_by(STAGE_CHUNK) {
        let chunk: Vec<NewJob> = (first..jobs.min(first + STAGE_CHUNK)).map(job).collect();
        if calls.len() >= IN_FLIGHT {
            calls.join_next().await.unwrap().unwrap();
        }
        let (ledger, admission, batch) = (ledger.clone(), admission.clone(), batch.clone());
        calls.spawn(async move { ledger.stage(&admission, &batch, &chunk).await.map(drop).unwrap() });
    }
    calls.join_all().await;
    watch.print(jobs as u64, "jobs admitted").await;
    let published = Instant::now();
    ledger.publish(&admission, std::slice::from_ref(batch), None).await.unwrap();
    println!("{:>8} µs to publish them", published.elapsed().as_micros());
}

fn job(n: usize) -> NewJob {
    let prompt = format!("{n:08} {}", "a small cat plays in a sunny garden ".repeat(6)).chars().take(200).collect();
    NewJob { id: JobId::parse(&format!("job-{n:012}")).unwrap(), spec: Spec { prompt, ..Spec::default() } }
}

async fn submit(ledger: &SharedLedger, url: &LedgerUrl, count: u64) {
    let all = AccountUpdate {
        rate: Some((1_000_000, Duration::from_secs(1))),
        max_in_flight: Some(1_000_000),
        poll_rate: Some(10_000_000),
        ..AccountUpdate::default()
    };
    ledger.update_account(&all).await.unwrap();
    let watch = Watch::start(url).await;
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let mut n = task;
            while n < count {
                n += 64 * u64::from(submitted(&ledger, n).await);
            }
        });
    }
    tasks.join_all().await;
    watch.print(count, "submissions").await;
}

async fn submitted(ledger: &SharedLedger, n: u64) -> bool {
    let token = Token::from_bits(u128::from(Nonce::random().0));
    match ledger.claim_submission(&token, None, LEASE, STALL).await.unwrap() {
        SubmissionClaim::Granted(claimed) => {
            let task = TaskId::parse(&format!("veo_task_{n:020}")).unwrap();
            let event = Event::Submission { token: token.clone(), outcome: Outcome::Accepted(task) };
            let settle = Settle { token, arrival: Arrival::Ago(Duration::ZERO), gate: GateReport::Healthy };
            let policy = PollPolicy { first: Some(Duration::ZERO), ..PollPolicy::default() };
            let lease = Some(&claimed.lease);
            let told = Change { event: &event, lease, settle: Some(settle), jitter: 0.5, policy: &policy };
            change(&**ledger, claimed.stored, &told, &mut NoRetry).await.unwrap();
            true
        }
        SubmissionClaim::Wait { .. } => false,
    }
}

async fn steps(ledger: &SharedLedger, url: &LedgerUrl, tasks: usize, max: usize) {
    let done = AtomicU64::new(0);
    let done: &'static AtomicU64 = Box::leak(Box::new(done));
    let watch = Watch::start(url).await;
    let started = watch.started;
    let mut polls = JoinSet::new();
    for _ in 0..tasks {
        let ledger = ledger.clone();
        polls.spawn(async move {
            while started.elapsed() < STEPS_FOR {
                let (claimed, _) = ledger.claim(Lane::Follow, max, LEASE).await.unwrap();
                let mut puts = JoinSet::new();
                for job in claimed {
                    let now = job.stored.now;
                    let facets = Facets { due: Some((Lane::Follow, now)), ..job.stored.record.facets() };
                    let put = Put {
                        job: job.stored.job,
                        version: job.stored.version,
                        fence: Some(job.lease.fence),
                        nonce: Nonce::random(),
                        body: job.stored.record.body(),
                        facets,
                        task: None,
                        settle: None,
                        spec: None,
                    };
                    let ledger = ledger.clone();
                    puts.spawn(async move { ledger.put(&put).await.map(drop).unwrap() });
                }
                done.fetch_add(puts.join_all().await.len() as u64, Ordering::Relaxed);
            }
        });
    }
    polls.join_all().await;
    watch.print(done.load(Ordering::Relaxed), &format!("steps, claim {max} × {tasks},")).await;
}

/// Time and, on a server, its processor time since a start.
struct Watch {
    url: LedgerUrl,
    started: Instant,
    server: Option<f64>,
}

impl Watch {
    async fn start(url: &LedgerUrl) -> Self {
        let server = server_time(url).await;
        Self { url: url.clone(), started: Instant::now(), server }
    }

    async fn print(&self, count: u64, what: &str) {
        let count = f64::from(u32::try_from(count).unwrap());
        let rate = count / self.started.elapsed().as_secs_f64();
        match (self.server, server_time(&self.url).await) {
            (Some(before), Some(after)) => {
                let each = (after - before) * 1e6 / count;
                println!("{rate:>8.0} {what} a second, {each:.1} µs of the server's processor each");
            }
            _ => println!("{rate:>8.0} {what} a second"),
        }
    }
}

/// How many bytes the ledger takes: the server's memory, or the file.
async fn size(url: &LedgerUrl) -> Option<u64> {
    match url {
        LedgerUrl::Sqlite(path) => std::fs::metadata(path).ok().map(|file| file.len()),
        LedgerUrl::Redis(url) => said(url.server(), "memory", "used_memory:").await?.parse().ok(),
    }
}

/// Seconds of processor time that a server has used so far.
async fn server_time(url: &LedgerUrl) -> Option<f64> {
    let LedgerUrl::Redis(url) = url else { return None };
    let url = url.server();
    let user: f64 = said(url, "cpu", "used_cpu_user:").await?.parse().ok()?;
    let system: f64 = said(url, "cpu", "used_cpu_sys:").await?.parse().ok()?;
    Some(user + system)
}

async fn said(url: &str, section: &str, field: &str) -> Option<String> {
    let mut connection = redis::Client::open(url).ok()?.get_multiplexed_async_connection().await.ok()?;
    let info: String = redis::cmd("INFO").arg(section).query_async(&mut connection).await.ok()?;
    info.lines().find_map(|line| line.strip_prefix(field)).map(|value| value.trim().to_owned())
}
