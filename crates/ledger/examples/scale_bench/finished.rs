//! A ledger as it is after years: batches of finished jobs, compact, and at rest since long ago.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;
use veobatch_core::{BatchId, Files, Record, Resolution, State, StateName, Task, TaskId, Timestamp};
use veobatch_ledger::{Compaction, JobFilter, LedgerUrl, Nonce, Put, SharedLedger, Stored};

use crate::queue::admit;

/// Batches that are brought in at a time: both ledgers store together what comes together.
const TOGETHER: usize = 8;

const LONG_AGO: Duration = Duration::from_secs(30 * 24 * 3600);

/// Makes `batches` with so many jobs each, without paying for one: nobody looks at how they came to their end.
pub(crate) async fn make(ledger: &SharedLedger, url: &LedgerUrl, batches: usize, jobs: usize) {
    let mut making = JoinSet::new();
    for n in 0..batches {
        if making.len() == TOGETHER {
            making.join_next().await.unwrap().unwrap();
        }
        let (ledger, batch) = (ledger.clone(), BatchId::parse(&format!("batch-{n}")).unwrap());
        making.spawn(async move { finish(&ledger, &batch, jobs).await });
    }
    making.join_all().await;
    age(url).await;
    println!("{} finished jobs", batches * jobs);
}

async fn finish(ledger: &SharedLedger, batch: &BatchId, jobs: usize) {
    admit(ledger, batch, jobs, Resolution::default()).await;
    let queued = ledger.page(batch, JobFilter::In(StateName::Queued), None, jobs).await.unwrap();
    assert_eq!(queued.len(), jobs, "a page of {batch}");
    let mut puts = JoinSet::new();
    for stored in queued {
        let ledger = ledger.clone();
        puts.spawn(async move { done(&ledger, stored).await });
    }
    let compactions = puts.join_all().await;
    let mut compact = 0;
    // As many as the worker makes compact in one call.
    for some in compactions.chunks(200) {
        compact += ledger.compact(some).await.unwrap();
    }
    assert_eq!(compact, jobs as u64, "compact jobs of {batch}");
}

/// Stores that a queued job is done, and says how it is kept from now on.
async fn done(ledger: &SharedLedger, stored: Stored) -> Compaction {
    let Stored { job, version, now, record, .. } = stored;
    let id = TaskId::parse(&format!("{:016x}{:016x}", u64::from(job.batch), u64::from(job.seq))).unwrap();
    let at = Timestamp::from_millis(now.as_millis() - u64::try_from(LONG_AGO.as_millis()).unwrap());
    let state = State::Done { task: Task { id: id.clone(), attempt: 1, at }, files: Files::Usual(1) };
    let record = Record { state, attempts: 1, ..record };
    let (body, facets) = (record.body(), record.facets());
    let put = Put {
        job,
        version,
        fence: None,
        nonce: Nonce::random(),
        body,
        facets,
        task: Some(id),
        settle: None,
        spec: None,
    };
    let version = ledger.put(&put).await.unwrap();
    Compaction { job, version, body: record.compact().unwrap() }
}

/// As if everything had come to rest long ago: the ledgers have no other clock than their own.
async fn age(url: &LedgerUrl) {
    match url {
        LedgerUrl::Redis(url) => {
            let client = redis::Client::open(url.server()).unwrap();
            let mut server: MultiplexedConnection = client.get_multiplexed_async_connection().await.unwrap();
            let rest = "{veobatch}:rest";
            let mut weighed = redis::cmd("ZUNIONSTORE");
            weighed.arg(rest).arg(1).arg(rest).arg("WEIGHTS").arg(0);
            let _: u64 = weighed.query_async(&mut server).await.unwrap();
        }
        LedgerUrl::Sqlite(path) => {
            let file = rusqlite::Connection::open(path).unwrap();
            file.busy_timeout(Duration::from_secs(10)).unwrap();
            file.execute("UPDATE rest SET since = 0", []).unwrap();
        }
    }
}
