//! A simulated service, a ledger in a folder of its own, and workers on it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;
use veobatch_api::{ApiKey, ClientConfig};
use veobatch_core::{
    BatchId, Event, Files, InDoubtPolicy, JobId, Lane, PollPolicy, Record, Resolution, Spec, State, StateName, Stray,
    Task, TaskId, Token, UpgradePolicy,
};
use veobatch_ledger::{
    AccountUpdate, Admission, BatchFlag, BatchSummary, Change, Changed, JobFilter, LedgerUrl, NewJob, NoRetry, Nonce,
    Put, STAGE_CHUNK, SharedLedger, Stored, change, open,
};
use veobatch_simulator::{Config, Endpoint, Rate, Simulator};
use veobatch_worker::{Client, Concurrency, Downloads, Options, Past, Stop, Until, WorkError, WorkerExit, work};

/// Whatever is waited for comes within this, or not at all.
const PATIENCE: Duration = Duration::from_secs(90);

/// A service that makes videos in a moment and takes many submissions.
pub(crate) fn hurried() -> Config {
    let mut config = Config::quick();
    config.generation.median_ms = 300;
    config.limits.rate = Some(Rate { requests: 1000, window_ms: 10_000 });
    config
}

pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    dir: TempDir,
    ledger: SharedLedger,
}

impl Scene {
    pub(crate) async fn new(config: Config) -> Self {
        let simulator = Simulator::start(config, ([127, 0, 0, 1], 0).into(), None).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(&LedgerUrl::Sqlite(dir.path().join("ledger.db"))).await.unwrap();
        let settings = AccountUpdate {
            rate: Some((1000, Duration::from_secs(10))),
            max_in_flight: None,
            ..AccountUpdate::default()
        };
        ledger.update_account(&settings).await.unwrap();
        ledger.update_account(&AccountUpdate { poll_rate: Some(500), ..AccountUpdate::default() }).await.unwrap();
        Self { simulator, dir, ledger }
    }

    pub(crate) fn ledger(&self) -> SharedLedger {
        Arc::clone(&self.ledger)
    }

    pub(crate) fn batch(name: &str) -> BatchId {
        BatchId::parse(name).unwrap()
    }

    pub(crate) async fn admit(&self, batch: &str, jobs: usize) {
        self.admit_at(batch, jobs, Resolution::P720).await;
    }

    pub(crate) async fn admit_at(&self, batch: &str, jobs: usize, resolution: Resolution) {
        let (batch, admission) = (Self::batch(batch), Admission::random());
        let jobs: Vec<NewJob> = (0..jobs)
            .map(|n| NewJob {
                id: JobId::parse(&format!("job-{n}")).unwrap(),
                spec: Spec { prompt: format!("prompt {n}"), resolution, ..Spec::default() },
            })
            .collect();
        for some in jobs.chunks(STAGE_CHUNK) {
            self.ledger.stage(&admission, &batch, some).await.unwrap();
        }
        self.ledger.publish(&admission, &[batch], None).await.unwrap();
    }

    /// Changes the account's cap.
    pub(crate) async fn cap(&self, max_in_flight: u32) {
        self.ledger
            .update_account(&AccountUpdate {
                rate: None,
                max_in_flight: Some(max_in_flight),
                ..AccountUpdate::default()
            })
            .await
            .unwrap();
    }

    /// Something happens to a job, as somebody without a lease tells it.
    pub(crate) async fn tell(&self, stored: Stored, event: &Event) {
        let policy = self.options(Until::Idle).policy;
        let told = Change { event, lease: None, settle: None, jitter: 0.5, policy: &policy };
        let changed = change(self.ledger.as_ref(), stored, &told, &mut NoRetry).await.unwrap();
        assert!(matches!(changed, Changed::Moved { .. }), "{changed:?}");
    }

    /// Puts every job of a batch as done, the first `strays` of them with a stray.
    pub(crate) async fn finish(&self, batch: &str, strays: usize) {
        let jobs = self.ledger.page(&Self::batch(batch), JobFilter::All, None, 1000).await.unwrap();
        for (n, stored) in jobs.into_iter().enumerate() {
            let task = TaskId::parse(&format!("task-{n}")).unwrap();
            let stray = Stray::new(task.clone(), Token::from_bits(1), stored.now);
            let task = Task { id: task, attempt: 1, at: stored.now };
            let record = Record {
                state: State::Done { task, files: Files::Usual(1) },
                strays: if n < strays { vec![stray] } else { Vec::new() },
                ..stored.record
            };
            let put = Put {
                job: stored.job,
                version: stored.version,
                fence: None,
                nonce: Nonce::random(),
                body: record.body(),
                facets: record.facets(),
                task: None,
                settle: None,
                spec: None,
            };
            self.ledger.put(&put).await.unwrap();
        }
    }

    pub(crate) async fn cancel(&self, batch: &BatchId) {
        self.ledger.update_batch(batch, &BatchFlag::Cancelling(true).into()).await.unwrap();
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.dir.path().join("videos")
    }

    pub(crate) fn options(&self, until: Until) -> Options {
        let ms = Duration::from_millis;
        Options {
            output: self.output(),
            state_dir: self.dir.path().join("state"),
            lanes: Lane::ALL.to_vec(),
            concurrency: Concurrency::default(),
            policy: PollPolicy {
                first: Some(ms(200)),
                longest_gap: ms(500),
                upgrades: UpgradePolicy { gap: ms(200), limit: Duration::from_secs(10) },
                ..PollPolicy::default()
            },
            only: None,
            window: None,
            until,
            min_free: 0,
            downloads: Downloads::default(),
            private_hosts: true,
            accept_data_loss: false,
            past: Past::default(),
            callbacks: None,
            in_doubt: InDoubtPolicy::Hold,
            compact_after: None,
        }
    }

    pub(crate) async fn work(&self, until: Until) -> Result<WorkerExit, WorkError> {
        self.work_with(self.options(until)).await
    }

    pub(crate) async fn work_until_told(&self, stop: Stop) -> Result<WorkerExit, WorkError> {
        self.work_on(self.ledger(), Until::Stopped, stop).await
    }

    pub(crate) async fn work_with(&self, options: Options) -> Result<WorkerExit, WorkError> {
        self.work_as(options, Stop::default()).await
    }

    pub(crate) async fn work_as(&self, options: Options, stop: Stop) -> Result<WorkerExit, WorkError> {
        let ended = work(self.ledger(), self.client(), options, stop);
        tokio::time::timeout(PATIENCE, ended).await.expect("the worker does not end")
    }

    pub(crate) async fn work_over(
        &self,
        ledger: SharedLedger,
        options: Options,
        stop: Stop,
    ) -> Result<WorkerExit, WorkError> {
        let ended = work(ledger, self.client(), options, stop);
        tokio::time::timeout(PATIENCE, ended).await.expect("the worker does not end")
    }

    /// Makes the service accept a submission that no job here knows of; its task.
    pub(crate) async fn submit_beside(&self, prompt: &str) -> String {
        let body = format!(r#"{{"prompt":"{prompt}","model":"veo3_fast"}}"#);
        let address = self.simulator.address();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = "POST /api/v1/veo/generate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key\r\nconnection: close";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        body.pointer("/data/taskId").and_then(|id| id.as_str()).unwrap().to_owned()
    }

    pub(crate) async fn cancel_job(&self, stored: Stored) {
        let options = self.options(Until::Idle);
        let order = Change { event: &Event::Cancel, lease: None, settle: None, jitter: 0.5, policy: &options.policy };
        change(self.ledger.as_ref(), stored, &order, &mut NoRetry).await.unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) async fn work_on(
        &self,
        ledger: SharedLedger,
        until: Until,
        stop: Stop,
    ) -> Result<WorkerExit, WorkError> {
        let ended = work(ledger, self.client(), self.options(until), stop);
        tokio::time::timeout(PATIENCE, ended).await.expect("the worker does not end")
    }

    fn client(&self) -> Arc<Client> {
        let base = Url::parse(&self.simulator.base_url()).unwrap();
        Arc::new(Client::new(ClientConfig::new(base, ApiKey::parse("key").unwrap())).unwrap())
    }

    /// Waits until `come_true` says so of batch `garden`.
    pub(crate) async fn until(&self, come_true: impl Fn(&BatchSummary) -> bool) {
        let look = async {
            loop {
                let batches = self.ledger.batches().await.unwrap();
                if batches.iter().any(|batch| batch.batch.as_str() == "garden" && come_true(batch)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("what is waited for does not come");
    }

    /// Waits until so many submissions were accepted.
    pub(crate) async fn until_billed(&self, submissions: usize) {
        let look = async {
            while self.simulator.bill().await.accepted.len() < submissions {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("what is waited for does not come");
    }

    /// Waits until something with these `words` is in the way of a job of `garden`.
    pub(crate) async fn until_trouble(&self, words: &str) -> String {
        let look = async {
            loop {
                let jobs = self.ledger.page(&Self::batch("garden"), JobFilter::All, None, 100).await.unwrap();
                let mut troubles = jobs.into_iter().filter_map(|job| job.record.trouble);
                if let Some(trouble) = troubles.find(|trouble| trouble.contains(words)) {
                    return trouble;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("what is waited for is not said")
    }

    /// Waits until a worker says of itself something with these `words`.
    pub(crate) async fn until_noted(&self, words: &str) -> String {
        let look = async {
            loop {
                let notes = self.ledger.account(0).await.unwrap().notes;
                if let Some(note) = notes.into_iter().find(|note| note.words.contains(words)) {
                    return note.words;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("what is waited for is not said")
    }

    /// Waits until a file of so many bytes is in the folder of `batch`, whatever its name.
    pub(crate) async fn until_written(&self, batch: &str, bytes: u64) {
        let folder = self.output().join(batch);
        let look = async {
            loop {
                let files = fs::read_dir(&folder).into_iter().flatten().flatten();
                if files.filter_map(|file| file.metadata().ok()).any(|data| data.len() >= bytes) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("what is waited for does not come");
    }

    /// How many files the service was asked for whole, and in part, and did not refuse.
    pub(crate) async fn files_served(&self) -> (u64, u64) {
        let answers = self.simulator.bill().await.answers;
        let count = |status| answers.get(&Endpoint::File).and_then(|files| files.get(&status)).copied();
        (count(200).unwrap_or_default(), count(206).unwrap_or_default())
    }

    /// Jobs in `state`, in all batches.
    pub(crate) async fn count(&self, state: StateName) -> u64 {
        self.ledger.batches().await.unwrap().iter().map(|batch| batch.count(state)).sum()
    }

    pub(crate) async fn page(&self, batch: &str, state: StateName) -> Vec<Stored> {
        self.ledger.page(&Self::batch(batch), JobFilter::In(state), None, 100).await.unwrap()
    }

    /// The names of all files of a batch.
    pub(crate) fn names(&self, batch: &str) -> Vec<String> {
        let files = fs::read_dir(self.output().join(batch)).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// How many journals are left.
    pub(crate) fn journals(&self) -> usize {
        let files = fs::read_dir(self.dir.path().join("state")).unwrap().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with("journal-")).count()
    }
}
