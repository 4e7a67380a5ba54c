//! One claim of a submission among many jobs and batches.

use tokio::time::Instant;
use veobatch_core::{BatchId, Outcome, Resolution};
use veobatch_ledger::SharedLedger;

use crate::queue::{admit, claim, ended, task_of};

/// Claims that are timed, one after another.
const CLAIMS: usize = 900;

pub(crate) async fn measure(ledger: &SharedLedger, jobs: usize, batches: usize) {
    for n in 0..batches {
        let batch = BatchId::parse(&format!("batch-{n}")).unwrap();
        admit(ledger, &batch, jobs / batches, Resolution::default()).await;
    }
    let mut took = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let since = Instant::now();
        let (token, claimed) = claim(ledger).await.expect("a job");
        took.push(since.elapsed().as_micros());
        let task = task_of(&claimed);
        ended(ledger, token, claimed, Outcome::Accepted(task)).await;
    }
    took.sort_unstable();
    println!("{} p50", took[CLAIMS / 2]);
    println!("{} p99", took[CLAIMS * 99 / 100]);
}
