//! A hundred thousand jobs that are due at once, as after an outage; and jobs that are only claimed and finished.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use veobatch_core::{BatchId, Facets, Files, Lane, Record, Resolution, State, Task};
use veobatch_ledger::{CLAIM_MAX, Claimed, Nonce, Put, SharedLedger};

use crate::queue::{LEASE, admit, submit_all, task_of};

/// Claims under way at a time.
const CLAIMERS: usize = 4;

/// Each job is polled once and due again in an hour.
pub(crate) async fn measure(ledger: &SharedLedger, jobs: usize) {
    load(ledger, jobs).await;
    let (seconds, _) = drain(ledger, jobs, CLAIMERS, CLAIM_MAX, |claimed| {
        let later = claimed.stored.now + Duration::from_secs(3600);
        let facets = Facets { due: Some((Lane::Follow, later)), ..claimed.stored.record.facets() };
        put(&claimed, claimed.stored.record.body(), facets)
    })
    .await;
    // The last second is no whole one.
    let whole = &seconds[..seconds.len() - 1];
    println!("{} seconds", whole.len());
    println!("{} at least in a second", whole.iter().min().unwrap());
    println!("{} at most in a second", whole.iter().max().unwrap());
}

/// Each job is claimed and done, by so many claimers at a time, so many jobs in a claim.
pub(crate) async fn noop(ledger: &SharedLedger, jobs: usize, claimers: usize, max: usize) {
    load(ledger, jobs).await;
    println!("ready");
    std::io::stdin().lines().next();
    let (_, took) = drain(ledger, jobs, claimers, max, |claimed| {
        let task = Task { id: task_of(&claimed), attempt: 1, at: claimed.stored.now };
        let done = Record { state: State::Done { task, files: Files::Usual(1) }, ..claimed.stored.record.clone() };
        put(&claimed, done.body(), done.facets())
    })
    .await;
    println!("{}", took.as_secs_f64());
    // Whoever watches reads this process's figures before it ends.
    std::io::stdin().lines().next();
}

/// So many jobs, all submitted and due.
async fn load(ledger: &SharedLedger, jobs: usize) {
    admit(ledger, &BatchId::parse("all").unwrap(), jobs, Resolution::default()).await;
    assert_eq!(submit_all(ledger).await, jobs);
}

/// Works everything off that is due; how many in each second, and how long it took. No job comes twice.
async fn drain<F>(ledger: &SharedLedger, jobs: usize, claimers: usize, max: usize, end: F) -> (Vec<u64>, Duration)
where
    F: Fn(Claimed) -> Put + Copy + Send + Sync + 'static,
{
    let since = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..claimers {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let mut seen = Vec::new();
            loop {
                let (claimed, _) = ledger.claim(Lane::Follow, max, LEASE).await.unwrap();
                if claimed.is_empty() {
                    return seen;
                }
                let mut puts = JoinSet::new();
                for job in claimed {
                    let (ledger, put) = (ledger.clone(), end(job));
                    puts.spawn(async move {
                        ledger.put(&put).await.unwrap();
                        (put.job, since.elapsed())
                    });
                }
                seen.extend(puts.join_all().await);
            }
        });
    }
    let seen: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let took = since.elapsed();
    let distinct: HashSet<_> = seen.iter().map(|(job, _)| *job).collect();
    assert_eq!((seen.len(), distinct.len()), (jobs, jobs), "each once");
    let mut seconds = vec![0; usize::try_from(took.as_secs()).unwrap() + 1];
    for (_, at) in &seen {
        seconds[usize::try_from(at.as_secs()).unwrap()] += 1;
    }
    (seconds, took)
}

fn put(claimed: &Claimed, body: Vec<u8>, facets: Facets) -> Put {
    let (job, version, fence) = (claimed.stored.job, claimed.stored.version, Some(claimed.lease.fence.clone()));
    Put { job, version, fence, nonce: Nonce::random(), body, facets, task: None, settle: None, spec: None }
}
