//! A year of an hourly recurring batch: what is at rest costs nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use veobatch_core::{BatchId, JobId, Spec, StateName};
use veobatch_ledger::{Admission, NewJob};
use veobatch_worker::{Options, Stop, Until, WorkerExit};

use crate::faulty::{Faulty, Trick};
use crate::scene::{Scene, hurried};

/// The hours of a year.
const RUNS: usize = 8_760;

/// Calls at a time: what comes together is stored together.
const TOGETHER: usize = 256;

impl Scene {
    /// Runs of `template` that were made and finished.
    async fn finished_runs(&self, template: &str) {
        let (ledger, admission) = (self.ledger(), Admission::random());
        let names: Vec<BatchId> = (0..RUNS).map(|n| Self::batch(&format!("{template}-run-{n}"))).collect();
        let job = NewJob { id: JobId::parse("a").unwrap(), spec: Spec::default() };
        let staged =
            futures::stream::iter(&names).map(|name| ledger.stage(&admission, name, std::slice::from_ref(&job)));
        assert!(staged.buffer_unordered(TOGETHER).all(async |staged| staged.is_ok()).await);
        ledger.publish(&admission, &names, None).await.unwrap();
        let finished = futures::stream::iter(&names).map(|name| self.finish(name.as_str(), 0));
        finished.buffer_unordered(TOGETHER).count().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_hourly_runs_is_not_read_by_what_a_worker_does_again_and_again() {
    let scene = Scene::new(hurried()).await;
    scene.admit("hourly", 1).await;
    scene.finished_runs("hourly").await;
    scene.recur("hourly", Duration::from_secs(30 * 60)).await;
    let ledger = Arc::new(Faulty::new(scene.ledger(), Trick::Nothing));
    let options = |until| Options { compact_after: Some(Duration::from_secs(7 * 24 * 3600)), ..scene.options(until) };

    // The run that is due is made, paid for and saved.
    let ended = scene.work_over(ledger.clone(), options(Until::Idle), Stop::default()).await.unwrap();
    assert_eq!((ended, scene.count(StateName::Done).await), (WorkerExit::Finished, RUNS as u64 + 1));
    let longest = ledger.read().longest.load(Ordering::SeqCst);
    assert!((1..=2).contains(&longest), "the template and its new run, and not {longest} batches");

    // And then nothing is read but the template.
    let ledger = Arc::new(Faulty::new(scene.ledger(), Trick::Nothing));
    let (stop, seen) = (Stop::default(), ledger.clone());
    let told = stop.clone();
    let looked = async {
        while seen.read().lists.load(Ordering::SeqCst) < 6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        told.graceful.cancel();
    };
    let (ended, ()) = tokio::join!(scene.work_over(ledger.clone(), options(Until::Stopped), stop), looked);
    assert_eq!(ended.unwrap(), WorkerExit::Stopped);
    let read = ledger.read();
    let counted = (read.longest.load(Ordering::SeqCst), read.pages.load(Ordering::SeqCst));
    assert_eq!(counted, (1, 0), "the longest list, and pages of jobs");
}
