//! What a job takes of a Redis server's memory in each state on its way.

use redis::aio::MultiplexedConnection;
use veobatch_core::{BatchId, Event, Outcome, PollPolicy, Progress, Refusal, RefusalKind, Resolution, Token};
use veobatch_ledger::{Change, Claimed, LedgerUrl, Lookup, NoRetry, SharedLedger, change};

use crate::queue::{admit, ended, task_of, with_all};

/// How far a job is brought.
#[derive(Clone, Copy, PartialEq)]
enum Far {
    Granted,
    Accepted,
    Made,
    Unknown,
    Refused,
}

const STATES: [(&str, Resolution, Far); 6] = [
    ("submitting", Resolution::P720, Far::Granted),
    ("generating", Resolution::P720, Far::Accepted),
    ("upscaling", Resolution::P1080, Far::Made),
    ("downloading", Resolution::P720, Far::Made),
    ("in_doubt", Resolution::P720, Far::Unknown),
    ("failed", Resolution::P720, Far::Refused),
];

pub(crate) async fn measure(ledger: &SharedLedger, url: &LedgerUrl, jobs: usize) {
    let LedgerUrl::Redis(url) = url else { panic!("the states are measured on Redis") };
    let client = redis::Client::open(url.server()).unwrap();
    let mut server = client.get_multiplexed_async_connection().await.unwrap();
    // The server's scripts and buffers are no job's: some go before.
    brought(ledger, "before", 500, Resolution::P720, Far::Made).await;
    for (n, (name, resolution, far)) in STATES.into_iter().enumerate() {
        let before = used(&mut server).await;
        admit(ledger, &BatchId::parse(name).unwrap(), jobs, resolution).await;
        if n == 0 {
            println!("{} queued", (used(&mut server).await - before) / jobs);
        }
        with_all(ledger, move |ledger, token, claimed| bring(ledger, token, claimed, far)).await;
        println!("{} {name}", (used(&mut server).await - before) / jobs);
    }
}

async fn brought(ledger: &SharedLedger, name: &str, jobs: usize, resolution: Resolution, far: Far) {
    admit(ledger, &BatchId::parse(name).unwrap(), jobs, resolution).await;
    with_all(ledger, move |ledger, token, claimed| bring(ledger, token, claimed, far)).await;
}

async fn bring(ledger: SharedLedger, token: Token, claimed: Claimed, far: Far) {
    let (key, task) = (claimed.stored.key.clone(), task_of(&claimed));
    let outcome = match far {
        Far::Granted => return,
        Far::Accepted | Far::Made => Outcome::Accepted(task.clone()),
        Far::Unknown => Outcome::Unknown("the connection was closed before an answer came".to_owned()),
        Far::Refused => Outcome::Refused(Refusal {
            kind: RefusalKind::Job,
            code: 400,
            message: "Your prompt was flagged by Website as violating content policies.".to_owned(),
            retry_after: None,
        }),
    };
    ended(&ledger, token, claimed, outcome).await;
    if far == Far::Made {
        let urls = vec![format!("https://tempfile.aiquickdraw.com/v/{task}_1758801234.mp4")];
        let progress = Progress::Made { urls, resolution: Some(Resolution::P720) };
        let event = Event::Polled { task, progress };
        let policy = PollPolicy::default();
        let told = Change { event: &event, lease: None, settle: None, jitter: 0.5, policy: &policy };
        let stored = ledger.find(Lookup::Name(&key)).await.unwrap().unwrap();
        change(&*ledger, stored, &told, &mut NoRetry).await.unwrap();
    }
}

/// Bytes that the server's data take.
async fn used(server: &mut MultiplexedConnection) -> usize {
    // The log of submissions is no job's: in a real night it holds the last minute's.
    let _: i64 = redis::cmd("DEL").arg("{veobatch}:arrivals").query_async(server).await.unwrap();
    let info: String = redis::cmd("INFO").arg("memory").query_async(server).await.unwrap();
    let field = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).unwrap();
    field.trim().parse().unwrap()
}
