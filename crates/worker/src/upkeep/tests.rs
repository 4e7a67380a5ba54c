use std::sync::Mutex;

use veobatch_api::{ApiKey, ClientConfig, FileHost, FileHostConfig};
use veobatch_core::{InDoubtPolicy, PollPolicy};
use veobatch_ledger::LedgerUrl;

use super::*;
use crate::work::prepare;
use crate::{Client, Concurrency, Downloads, Options, Stop, Until};

/// Everything that can happen to a turn, one after the other.
struct Unlucky {
    turns: Arc<Mutex<Vec<&'static str>>>,
    done: CancellationToken,
}

#[async_trait]
impl PeriodicTask for Unlucky {
    fn name(&self) -> &'static str {
        "be unlucky"
    }

    fn limit(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn turn(&mut self, _: &Worker) -> Result<Duration, LedgerError> {
        let turn = self.turns.lock().unwrap().len();
        let say = |what| self.turns.lock().unwrap().push(what);
        match turn {
            0 => {
                say("hangs");
                std::future::pending().await
            }
            1 => {
                say("panics");
                panic!("as it was told to")
            }
            2 => {
                say("no ledger");
                Err(LedgerError::Unavailable("away".to_owned()))
            }
            _ => {
                say("again");
                self.done.cancel();
                Ok(Duration::from_secs(3600))
            }
        }
    }

    fn outage(&mut self, _: &Worker) {
        self.turns.lock().unwrap().push("outage");
    }

    async fn last(&mut self, _: &Worker) {
        self.turns.lock().unwrap().push("last");
    }
}

/// Has one turn, and is never done with what is to be done last.
struct Endless(CancellationToken);

#[async_trait]
impl PeriodicTask for Endless {
    fn name(&self) -> &'static str {
        "be endless"
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn turn(&mut self, _: &Worker) -> Result<Duration, LedgerError> {
        self.0.cancel();
        std::future::pending().await
    }

    async fn last(&mut self, _: &Worker) {
        std::future::pending::<()>().await;
    }
}

async fn worker(dir: &std::path::Path) -> Worker {
    let ledger = veobatch_ledger::open(&LedgerUrl::Sqlite(dir.join("ledger.db"))).await.unwrap();
    let base = url::Url::parse("http://127.0.0.1:9").unwrap();
    let files = FileHost::new(&FileHostConfig::beside(&base)).unwrap();
    let client = Arc::new(Client::new(ClientConfig::new(base, ApiKey::parse("key").unwrap())).unwrap());
    let options = Options {
        output: dir.join("videos"),
        state_dir: dir.join("state"),
        lanes: Vec::new(),
        concurrency: Concurrency::default(),
        policy: PollPolicy::default(),
        only: None,
        window: None,
        until: Until::Stopped,
        min_free: 0,
        downloads: Downloads::default(),
        private_hosts: true,
        accept_data_loss: false,
        past: crate::Past::default(),
        callbacks: None,
        in_doubt: InDoubtPolicy::Hold,
        compact_after: None,
    };
    let start = ledger.start_worker().await.unwrap();
    prepare(ledger, client, files, &options, &start, &Stop::default()).await.unwrap()
}

#[tokio::test]
async fn a_task_that_hangs_panics_or_finds_no_ledger_starts_again_and_ends_with_the_worker() {
    let dir = tempfile::tempdir().unwrap();
    let worker = Arc::new(worker(dir.path()).await);
    let (turns, end) = (Arc::default(), CancellationToken::new());
    let duty = Box::new(Unlucky { turns: Arc::clone(&turns), done: end.clone() });
    timeout(Duration::from_secs(30), run_periodically(worker, duty, end)).await.unwrap();
    assert_eq!(*turns.lock().unwrap(), ["hangs", "panics", "no ledger", "outage", "again", "last"]);
}

#[tokio::test]
async fn neither_a_turn_nor_a_last_deed_that_hangs_keeps_the_worker_from_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let worker = Arc::new(worker(dir.path()).await);
    let end = CancellationToken::new();
    tokio::time::pause();
    let supervised = run_periodically(worker, Box::new(Endless(end.clone())), end);
    timeout(3 * LAST_WITHIN, supervised).await.expect("it goes on");
}
