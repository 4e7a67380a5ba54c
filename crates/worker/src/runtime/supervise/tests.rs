use std::sync::{Arc, Mutex};

use super::*;

/// Everything that can happen to a tick, one after the other.
struct Unlucky {
    ticks: Arc<Mutex<Vec<&'static str>>>,
    done: CancellationToken,
}

#[async_trait]
impl PeriodicTask for Unlucky {
    fn name(&self) -> &'static str {
        "be unlucky"
    }

    fn time_limit(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        let tick = self.ticks.lock().unwrap().len();
        let say = |what| self.ticks.lock().unwrap().push(what);
        match tick {
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

    fn on_outage(&mut self) {
        self.ticks.lock().unwrap().push("outage");
    }

    async fn on_shutdown(&mut self) {
        self.ticks.lock().unwrap().push("shutdown");
    }
}

/// Hangs in its first tick, and again at shutdown.
struct Endless(CancellationToken);

#[async_trait]
impl PeriodicTask for Endless {
    fn name(&self) -> &'static str {
        "be endless"
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn tick(&mut self) -> Result<Duration, LedgerError> {
        self.0.cancel();
        std::future::pending().await
    }

    async fn on_shutdown(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_task_that_hangs_panics_or_finds_no_ledger_starts_again_and_ends_with_the_worker() {
    let (ticks, end) = (Arc::default(), CancellationToken::new());
    let task = Box::new(Unlucky { ticks: Arc::clone(&ticks), done: end.clone() });
    timeout(Duration::from_secs(30), run_periodically(task, end)).await.unwrap();
    assert_eq!(*ticks.lock().unwrap(), ["hangs", "panics", "no ledger", "outage", "again", "shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn neither_a_tick_nor_a_last_deed_that_hangs_keeps_the_worker_from_its_end() {
    let end = CancellationToken::new();
    let supervised = run_periodically(Box::new(Endless(end.clone())), end);
    timeout(3 * SHUTDOWN_LIMIT, supervised).await.expect("it goes on");
}
