//! What a worker checks and opens before it works.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::{info, warn};
use veobatch_api::{FileHost, FileHostConfig};
use veobatch_core::{InDoubtPolicy, Lane, PollPolicy};
use veobatch_ledger::{Guarantee, Ledger, LedgerError, SharedLedger, WorkerStart};

use crate::Client;
use crate::journal::replay::{ReplayScope, Replayed, replay};
use crate::journal::restored::{self, unusable};
use crate::journal::{Journal, others};
use crate::options::{Options, Stop, WorkError};
use crate::runtime::backoff::Backoff;
use crate::runtime::blocking;
use crate::runtime::clock::LedgerClock;
use crate::runtime::context::Context;
use crate::runtime::learning::Learning;
use crate::runtime::leases::Leases;
use crate::runtime::shutdown::Shutdown;
use crate::save::fetch::READ_TIMEOUT;
use crate::save::output::{self, Output};
use crate::work::parts::Parts;

/// Time limit for opening the directories.
const OPEN_LIMIT: Duration = Duration::from_secs(30);

/// Refuses to pay where paid work may be lost, unless a person accepted that.
pub(super) fn check_guarantee(guarantee: &Guarantee, options: &Options) -> Result<(), WorkError> {
    for warning in &guarantee.warnings {
        warn!("{warning}");
    }
    let dangers = guarantee.dangers.join("; ");
    if dangers.is_empty() {
        return Ok(());
    }
    if options.lanes.contains(&Lane::Submit) && !options.accept_data_loss {
        return Err(WorkError::Unsafe(dangers));
    }
    warn!("the ledger may lose paid work: {dangers}");
    Ok(())
}

/// Listens for callbacks, if they are wanted, before any are requested.
pub(super) async fn listen(options: &Options) -> Result<Option<Arc<TcpListener>>, WorkError> {
    if options.in_doubt == InDoubtPolicy::Resubmit {
        warn!(
            "--in-doubt resubmit: a job whose paid call was interrupted is submitted again automatically, up to three \
             times; if the first call was successful after all, each video is paid for"
        );
    }
    let Some(callbacks) = &options.callbacks else { return Ok(None) };
    let listener = TcpListener::bind(&callbacks.listen)
        .await
        .map_err(|error| WorkError::Listen(format!("{}: {error}", callbacks.listen)))?;
    info!(listen = %callbacks.listen, url = %callbacks.url, "listening for callbacks");
    Ok(Some(Arc::new(listener)))
}

pub(super) fn file_host(options: &Options) -> Result<FileHost, WorkError> {
    let user_agent = concat!("veobatch/", env!("CARGO_PKG_VERSION")).to_owned();
    let config = FileHostConfig { private: options.private_hosts, user_agent, read_timeout: READ_TIMEOUT };
    FileHost::new(&config).map_err(|error| WorkError::Directory(format!("files cannot be fetched: {error}")))
}

/// Finds out whether the ledger was restored, opens the directories, starts the journal, replays the journals of processes
/// that are gone, and puts the worker together.
pub(crate) async fn prepare(
    ledger: SharedLedger,
    client: Arc<Client>,
    files: FileHost,
    options: &Options,
    start: &WorkerStart,
    stop: &Stop,
) -> Result<Parts, WorkError> {
    let held = restored::hold(ledger.as_ref(), options).await?;
    let shutdown = Shutdown::of(stop);
    let (output, journal) = open(ledger.as_ref(), options, &start.guarantee).await?;
    let replayed = replay_all(&journal, ledger.as_ref(), options, &shutdown).await;
    let replayed = replayed.map_err(|error| unusable(&options.state_dir, &error))?;
    if options.past.adopt_journals && !replayed.all {
        let message = "it did not take everything that the adopted journals know of paid calls";
        return Err(LedgerError::Unavailable(message.to_owned()).into());
    }
    let learning = Learning::new(PollPolicy { callbacks: options.callbacks.is_some(), ..options.policy.clone() });
    learning.exchange(ledger.as_ref()).await;
    let context = Context {
        ledger,
        wake: start.wake.clone(),
        clock: LedgerClock::default(),
        learning: Arc::new(learning),
        leases: Arc::new(Leases::default()),
        shutdown,
    };
    Ok(Parts::new(context, client, files, (output, journal), options, held))
}

/// Opens the directories, and starts this process's journal.
async fn open(ledger: &dyn Ledger, options: &Options, guarantee: &Guarantee) -> Result<(Output, Journal), WorkError> {
    let of = ledger.info().await?.identity;
    let (root, state_dir, keeps_settled) = (options.output.clone(), options.state_dir.clone(), guarantee.may_go_back);
    let output = within_limit(blocking::run(move || Output::open(&root))).await;
    let output = output.map_err(|error| output::unusable(&options.output, &error))??;
    let journal = within_limit(blocking::run(move || Journal::start(&state_dir, &of, keeps_settled))).await;
    Ok((output, journal.flatten().map_err(|error| unusable(&options.state_dir, &error))?))
}

/// The result of `work` on a directory; an error if it exceeds [`OPEN_LIMIT`].
async fn within_limit<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let message = "it does not answer (a network disk that hangs?)";
    let hangs = |_| Err(io::Error::new(io::ErrorKind::TimedOut, message));
    tokio::time::timeout(OPEN_LIMIT, work).await.unwrap_or_else(hangs)
}

/// Replays what this machine's processes that are gone left behind.
async fn replay_all(
    journal: &Journal,
    ledger: &dyn Ledger,
    options: &Options,
    shutdown: &Shutdown,
) -> io::Result<Replayed> {
    let mut backoff = Backoff::until(shutdown.closing.clone());
    // A ledger that recovers (or may, if it does not answer) may have forgotten what an earlier process of this machine stored.
    // And this process may not live long enough for the periodic replay.
    let is_sound = ledger.account(0).await.is_ok_and(|account| account.recovering_until.is_none());
    let scope = if is_sound { ReplayScope::Open } else { ReplayScope::Everything };
    let mut replayed = replay(journal, scope, ledger, &options.policy, &mut backoff).await?;
    let place = journal.place();
    if options.past.adopt_journals {
        replayed.and(others::adopt(place, ledger, &options.policy, &mut backoff).await?);
    } else if options.lanes.contains(&Lane::Submit) {
        others::warn_of(place).await?;
    }
    Ok(replayed)
}
