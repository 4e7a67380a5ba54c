//! What every case works with: a fresh store, handles to it, and short words for what producers and workers do.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use veobatch_core::{
    Attempt, BatchId, JobId, JobKey, Lane, Record, Spec, State, StateName, Task, TaskId, Timestamp, Token, WorkPolicy,
};
use veobatch_ledger::{
    AccountUpdate, Admission, Blocked, Claimed, GateReport, Identity, Lease, Ledger, LedgerError, LedgerUrl, Lookup,
    NewJob, Nonce, Put, Settle, SharedLedger, Staged, Stored, SubmissionClaim, Version, open,
};

use crate::redis_cluster::RedisCluster;
use crate::redis_server::RedisServer;

/// Long enough that no case outlives it by accident.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(60);

/// How long a case waits for a state before it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A store that is empty when the case begins and gone when it ends.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) ledger: SharedLedger,
    url: LedgerUrl,
    directory: TempDir,
    _server: Option<RedisServer>,
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = LedgerUrl::Sqlite(directory.path().join("ledger.db"));
        Self::with(url, directory, None).await
    }

    pub(crate) async fn redis() -> Self {
        let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
        let url = LedgerUrl::parse(&server.url()).unwrap();
        Self::with(url, tempfile::tempdir().unwrap(), Some(server)).await
    }

    /// One that nobody has told anything.
    pub(crate) async fn empty_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = LedgerUrl::Sqlite(directory.path().join("ledger.db"));
        let ledger = open(&url).await.unwrap();
        Self { ledger, url, directory, _server: None }
    }

    /// One that nobody has told anything.
    pub(crate) async fn empty_redis() -> Self {
        let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
        let url = LedgerUrl::parse(&server.url()).unwrap();
        let ledger = open(&url).await.unwrap();
        Self { ledger, url, directory: tempfile::tempdir().unwrap(), _server: Some(server) }
    }

    /// A queue of this name on one of the cluster's nodes.
    pub(crate) async fn on(cluster: &RedisCluster, queue: &str) -> Self {
        // Names of cases are longer than those of queues may be.
        let url = LedgerUrl::parse(&cluster.url(&queue[..queue.len().min(64)])).unwrap();
        Self::with(url, tempfile::tempdir().unwrap(), None).await
    }

    async fn with(url: LedgerUrl, directory: TempDir, server: Option<RedisServer>) -> Self {
        let ledger = open(&url).await.unwrap();
        // Pace and cap are in nobody's way but in the cases about them.
        let settings = AccountUpdate {
            rate: Some((1000, Duration::from_secs(1))),
            max_in_flight: Some(100_000),
            ..AccountUpdate::default()
        };
        ledger.update_account(&settings).await.unwrap();
        Self { ledger, url, directory, _server: server }
    }

    /// Another handle to the same store, as another process would have.
    pub(crate) async fn second(&self) -> SharedLedger {
        open(&self.url).await.unwrap()
    }

    pub(crate) async fn reopen(&self) -> Result<SharedLedger, LedgerError> {
        open(&self.url).await
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.url {
            LedgerUrl::Sqlite(path) => Some(path.clone()),
            LedgerUrl::Redis(_) => None,
        }
    }

    pub(crate) fn url(&self) -> &LedgerUrl {
        &self.url
    }

    pub(crate) fn directory(&self) -> &TempDir {
        &self.directory
    }
}

pub(crate) async fn cluster() -> RedisCluster {
    tokio::task::spawn_blocking(RedisCluster::start).await.unwrap()
}

/// A person agrees that the ledger goes on, and says how many submissions it has granted at least.
pub(crate) async fn accepted(ledger: &dyn Ledger, grants: u64) -> Identity {
    let accept = AccountUpdate { accept_restored: Some(grants), ..AccountUpdate::default() };
    ledger.update_account(&accept).await.unwrap();
    ledger.info().await.unwrap().identity
}

pub(crate) fn batch(name: &str) -> BatchId {
    BatchId::parse(name).unwrap()
}

pub(crate) fn key(batch_name: &str, job: &str) -> JobKey {
    JobKey { batch: batch(batch_name), job: JobId::parse(job).unwrap() }
}

pub(crate) fn job(id: &str) -> NewJob {
    ranked(id, 0)
}

pub(crate) fn ranked(id: &str, priority: i16) -> NewJob {
    let policy = WorkPolicy { priority, ..WorkPolicy::default() };
    let spec = Spec { prompt: format!("a film of {id}"), policy, ..Spec::default() };
    NewJob { id: JobId::parse(id).unwrap(), spec }
}

/// `a000`, `a001` …
pub(crate) fn jobs(stem: &str, count: usize) -> Vec<NewJob> {
    (0..count).map(|n| job(&format!("{stem}{n:05}"))).collect()
}

pub(crate) fn token(n: u128) -> Token {
    Token::from_bits(n)
}

/// A token that nobody has used.
pub(crate) fn new_token() -> Token {
    Token::from_bits((u128::from(Nonce::random().0) << 64) | u128::from(Nonce::random().0))
}

pub(crate) fn task(id: &str) -> TaskId {
    TaskId::parse(id).unwrap()
}

/// Stages and publishes, as a producer does.
pub(crate) async fn admit(ledger: &SharedLedger, name: &str, jobs: &[NewJob]) -> Staged {
    let admission = Admission::random();
    let mut all = Staged::default();
    for chunk in jobs.chunks(veobatch_ledger::STAGE_CHUNK) {
        let staged = ledger.stage(&admission, &batch(name), chunk).await.unwrap();
        all.new += staged.new;
        all.known += staged.known;
        all.conflicts.extend(staged.conflicts);
        all.restated += staged.restated;
    }
    ledger.publish(&admission, &[batch(name)], None).await.unwrap();
    all
}

/// One claim of a submission, with a token nobody has used.
pub(crate) async fn try_submission(ledger: &SharedLedger) -> SubmissionClaim {
    ledger.claim_submission(&new_token(), None, LONG, LONG).await.unwrap()
}

/// Claims a submission, waiting for slots.
pub(crate) async fn submission(ledger: &SharedLedger) -> Claimed {
    submission_for(ledger, &new_token(), None, LONG).await
}

pub(crate) async fn submission_for(
    ledger: &SharedLedger,
    token: &Token,
    only: Option<&[BatchId]>,
    lease: Duration,
) -> Claimed {
    until("a submission is granted", async || match ledger.claim_submission(token, only, lease, LONG).await.unwrap() {
        SubmissionClaim::Granted(claimed) => Some(*claimed),
        SubmissionClaim::Wait { why: Blocked::Slot, .. } => None,
        wait @ SubmissionClaim::Wait { .. } => panic!("{wait:?}"),
    })
    .await
}

/// Why nothing is granted, once slots are out of the way.
pub(crate) async fn hindrance(ledger: &SharedLedger, only: Option<&[BatchId]>) -> (Blocked, Option<Timestamp>) {
    until("something but a slot is in the way", async || {
        match ledger.claim_submission(&new_token(), only, LONG, LONG).await.unwrap() {
            SubmissionClaim::Wait { why: Blocked::Slot, .. } => None,
            SubmissionClaim::Wait { why, until, .. } => Some((why, until)),
            SubmissionClaim::Granted(claimed) => panic!("granted: {claimed:?}"),
        }
    })
    .await
}

/// One job of `lane`, waiting until it is due.
pub(crate) async fn claim(ledger: &SharedLedger, lane: Lane, lease: Duration) -> Claimed {
    until("a job is due", async || ledger.claim(lane, 1, lease).await.unwrap().0.pop()).await
}

/// Asks until there is an answer; fails when the deadline passes.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// The put of `record` by the holder of `lease`, or by nobody.
pub(crate) fn put_of(stored: &Stored, lease: Option<&Lease>, record: &Record) -> Put {
    Put {
        job: stored.job,
        version: stored.version,
        fence: lease.map(|lease| lease.fence.clone()),
        nonce: Nonce::random(),
        body: record.body(),
        facets: record.facets(),
        task: None,
        settle: None,
        spec: None,
    }
}

/// The put that ends a claim, with the job in `state`.
pub(crate) fn ending(claimed: &Claimed, state: State) -> Put {
    put_of(&claimed.stored, Some(&claimed.lease), &moved(&claimed.stored.record, state))
}

pub(crate) fn moved(record: &Record, state: State) -> Record {
    Record { state, ..record.clone() }
}

pub(crate) fn generating(id: &str, due: Timestamp) -> State {
    let at = due;
    State::Generating { task: Task { id: task(id), attempt: 1, at }, polls: 0, misses: 0, due, called: false }
}

pub(crate) fn downloading(id: &str, due: Timestamp) -> State {
    let task = Task { id: task(id), attempt: 1, at: due };
    State::Downloading { task, urls: vec![], size: None, upgraded: false, stale: false, tries: 0, due }
}

pub(crate) fn in_doubt(stored: &Stored) -> State {
    let State::Submitting { attempt } = &stored.record.state else { panic!("{:?}", stored.record.state) };
    let Attempt { .. } = attempt;
    State::InDoubt { attempt: attempt.clone(), why: "no answer".into(), called: None, balances: None, failed: None }
}

pub(crate) fn settled(token: &Token, gate: GateReport) -> Settle {
    Settle { token: token.clone(), arrival: veobatch_ledger::Arrival::Ago(Duration::ZERO), gate }
}

/// A job of `name` that is generating and due now, with nobody holding it.
pub(crate) async fn generating_job(ledger: &SharedLedger, name: &str, id: &str) -> Stored {
    admit(ledger, name, &[job(id)]).await;
    let claimed = submission_for(ledger, &new_token(), Some(&[batch(name)]), LONG).await;
    let now = ledger.info().await.unwrap().now;
    put(ledger, &ending(&claimed, generating(&format!("task-{name}-{id}"), now))).await;
    read(ledger, name, id).await
}

pub(crate) async fn put(ledger: &SharedLedger, put: &Put) -> Version {
    ledger.put(put).await.unwrap()
}

pub(crate) async fn read(ledger: &SharedLedger, name: &str, id: &str) -> Stored {
    ledger.find(Lookup::Name(&key(name, id))).await.unwrap().unwrap_or_else(|| panic!("there is no job {name}/{id}"))
}

pub(crate) async fn count(ledger: &SharedLedger, name: &str, state: StateName) -> u64 {
    let batches = ledger.batches().await.unwrap();
    batches.iter().find(|summary| summary.batch == batch(name)).map_or(0, |summary| summary.count(state))
}

pub(crate) fn ids(jobs: &[Stored]) -> Vec<String> {
    jobs.iter().map(|stored| stored.key.job.to_string()).collect()
}
