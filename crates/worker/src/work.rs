//! One working process from its first check to its last lease.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, warn};
use veobatch_api::{FileHost, FileHostConfig};
use veobatch_core::{InDoubtPolicy, Lane, PollPolicy};
use veobatch_ledger::{AccountUpdate, CLAIM_MAX, Guarantee, Ledger, LedgerError, NoteKind, SharedLedger, WorkerStart};

use crate::account::access::{self, Access};
use crate::account::balance::{self, Balance};
use crate::callback::Receiver;
use crate::callback::listener::serve;
use crate::journal::replay::{Telling, Told, replay};
use crate::journal::restored::{self, unusable};
use crate::journal::{Journal, others};
use crate::lane::claimer::Due;
use crate::lane::{self, LaneOfWork};
use crate::runtime::backoff::Backoff;
use crate::runtime::claim::Claim;
use crate::runtime::claimer::supervise;
use crate::runtime::clock::LedgerClock;
use crate::runtime::learning::Learning;
use crate::runtime::leases::{Leases, Renewals};
use crate::runtime::shutdown::Shutdown;
use crate::runtime::worker::{Batches, Worker};
use crate::runtime::{blocking, random};
use crate::save::fetch::SILENCE;
use crate::save::output::{self, Output, Tidy};
use crate::submit::backpressure::{Backpressure, CapacityCheck};
use crate::submit::claimer::Submissions;
use crate::submit::refusal_streak::RefusalStreaks;
use crate::submit::worker_window::WorkerWindow;
use crate::upkeep::maintenance::duties;
use crate::upkeep::{PeriodicTask, run_periodically};
use crate::{Client, Options, Stop, WorkError, WorkerExit, submit};

/// How long the last leases are tried to be given back; they end by themselves otherwise.
const HAND_BACK_WITHIN: Duration = Duration::from_secs(5);

/// How long claims under way are waited for at the end. They have no limit of their own, as their answers may be grants.
const CLAIMERS_WITHIN: Duration = Duration::from_secs(30);

/// How long the directories are waited for at the start.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Works until it is told to stop or `options.until` comes true.
///
/// Before anything is submitted: the ledger's guarantee is looked at, the output and state directories are tried, the
/// working place is taken, and the journals of processes that are gone are replayed. The ledger must be bound already.
///
/// On return nothing of it runs any more, and every lease that could be given back was. After [`Stop::now`] jobs may be
/// left in `submitting`, which the next worker finds to be in doubt.
///
/// # Errors
/// [`WorkError`]'s variants are what a person can do.
pub async fn work(
    ledger: SharedLedger,
    client: Arc<Client>,
    options: Options,
    stop: Stop,
) -> Result<WorkerExit, WorkError> {
    let id = format!("{:08x}", random::bits() >> 96);
    run(ledger, client, options, &stop).instrument(info_span!("worker", id)).await
}

async fn run(
    ledger: SharedLedger,
    client: Arc<Client>,
    options: Options,
    stop: &Stop,
) -> Result<WorkerExit, WorkError> {
    let start = ledger.start_worker().await?;
    check_guarantee(&start.guarantee, &options)?;
    let listener = listen(&options).await?;
    let files = file_host(&options)?;
    let worker = Arc::new(prepare(ledger, client, files, &options, &start, stop).await?);
    // The service takes this key; and if one submits, how near it is has yet to be heard.
    let begins = AccountUpdate {
        forget_round_trips: options.lanes.contains(&Lane::Submit),
        retry_unreadable: true,
        ..AccountUpdate::default()
    };
    worker.ledger.update_account(&begins).await?;
    worker.ledger.note(NoteKind::KeyRefused, None).await?;
    worker.window.look(&worker.batches.keep(worker.ledger.list(&veobatch_ledger::Batches::Active).await?));
    // Before anything is submitted, and then again and again.
    CapacityCheck::default().turn(&worker).await?;
    info!(lanes = ?options.lanes, output = %options.output.display(), "working");

    let mut lanes = Vec::new();
    let mut claimers = JoinSet::new();
    for lane in &options.lanes {
        lanes.push(start_lane(&worker, *lane, &options, &mut claimers));
    }
    let kept = CancellationToken::new();
    let mut beside = start_beside(&worker, &options, listener, &kept);

    lane::run(&worker, &lanes).await;
    if tokio::time::timeout(CLAIMERS_WITHIN, ended(&mut claimers)).await.is_err() {
        warn!("a claim hangs, as a disk or the ledger does; the journal knows that nothing was sent for it");
    }
    drop(claimers);
    hand_back(&worker, lanes.iter().flat_map(LaneOfWork::left).collect()).await;
    // Not waited for if the ledger is away.
    drop(tokio::time::timeout(HAND_BACK_WITHIN, worker.learning.tell(worker.ledger.as_ref())).await);
    kept.cancel();
    ended(&mut beside).await;
    drop(start);
    let ended = finish(&worker).await;
    if let Err(WorkError::KeyRefused(words)) = &ended {
        // For people who look from elsewhere; this process says it by itself.
        drop(tokio::time::timeout(HAND_BACK_WITHIN, worker.ledger.note(NoteKind::KeyRefused, Some(words))).await);
    }
    ended
}

/// Starts what goes on beside the lanes, in part until the worker is closing and in part until it `kept` its leases to the
/// last.
fn start_beside(
    worker: &Arc<Worker>,
    options: &Options,
    listener: Option<Arc<TcpListener>>,
    kept: &CancellationToken,
) -> JoinSet<()> {
    let mut beside = JoinSet::new();
    let closing = &worker.shutdown.closing;
    let mut tasks: Vec<(Box<dyn PeriodicTask>, &CancellationToken)> = Vec::new();
    tasks.push((Box::new(Renewals), kept));
    tasks.push((Box::new(Tidy::default()), closing));
    tasks.extend(duties(&options.until, options.compact_after).into_iter().map(|duty| (duty, closing)));
    for (duty, end) in tasks {
        beside.spawn(run_periodically(Arc::clone(worker), duty, end.clone()).in_current_span());
    }
    let (reading, until) = (Arc::clone(worker), kept.clone());
    beside.spawn(supervise(move || balance::watch(Arc::clone(&reading), until.clone())).in_current_span());
    let (asking, until) = (Arc::clone(worker), kept.clone());
    beside.spawn(supervise(move || access::watch(Arc::clone(&asking), until.clone())).in_current_span());
    if let Some((listener, receiver)) = listener.zip(worker.receiver.clone()) {
        // To the last, so that what ends meanwhile is still heard.
        let (worker, until) = (Arc::clone(worker), kept.clone());
        let serving =
            supervise(move || serve(Arc::clone(&worker), Arc::clone(&receiver), Arc::clone(&listener), until.clone()));
        beside.spawn(serving.in_current_span());
    }
    beside
}

/// Waits until all of `tasks` have ended.
async fn ended(tasks: &mut JoinSet<()>) {
    while let Some(result) = tasks.join_next().await {
        if let Err(error) = result {
            warn!(%error, "a task did not end as it should");
        }
    }
}

/// Listens for callbacks, if they are wanted: before anything asks for one.
async fn listen(options: &Options) -> Result<Option<Arc<TcpListener>>, WorkError> {
    if options.in_doubt == InDoubtPolicy::Resubmit {
        warn!(
            "--in-doubt resubmit: a job whose paid call was cut off is submitted again by itself, up to three times, and \
             if the first call had gone through after all, each video is paid for"
        );
    }
    let Some(callbacks) = &options.callbacks else { return Ok(None) };
    let listener = TcpListener::bind(&callbacks.listen)
        .await
        .map_err(|error| WorkError::Listen(format!("{}: {error}", callbacks.listen)))?;
    info!(listen = %callbacks.listen, url = %callbacks.url, "callbacks are heard");
    Ok(Some(Arc::new(listener)))
}

/// Refuses to pay where paid work may be lost, unless a person accepted that.
fn check_guarantee(guarantee: &Guarantee, options: &Options) -> Result<(), WorkError> {
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

/// Finds out whether the ledger was restored, tries the directories, starts the journal, and replays those of processes that
/// are gone.
pub(crate) async fn prepare(
    ledger: SharedLedger,
    client: Arc<Client>,
    files: FileHost,
    options: &Options,
    start: &WorkerStart,
    stop: &Stop,
) -> Result<Worker, WorkError> {
    let held = restored::hold(ledger.as_ref(), options).await?;
    let shutdown = Shutdown::of(stop);
    let (output, journal) = open(ledger.as_ref(), options, &start.guarantee).await?;
    let told = recall(&journal, ledger.as_ref(), options, &shutdown).await;
    let told = told.map_err(|error| unusable(&options.state_dir, &error))?;
    if options.past.adopt_journals && !told.all {
        let words = "it did not take everything that the adopted journals know of paid calls";
        return Err(LedgerError::Unavailable(words.to_owned()).into());
    }
    let learning = Learning::new(PollPolicy { callbacks: options.callbacks.is_some(), ..options.policy.clone() });
    learning.step(ledger.as_ref()).await;
    Ok(Worker {
        ledger,
        wake: start.wake.clone(),
        client,
        files,
        output,
        downloads: options.downloads,
        journal,
        learning,
        receiver: options.callbacks.as_ref().map(|callbacks| Arc::new(Receiver::new(callbacks))),
        in_doubt: options.in_doubt,
        only: options.only.clone(),
        window: WorkerWindow::new(options.window.clone()),
        leases: Arc::new(Leases::default()),
        clock: LedgerClock::default(),
        backpressure: Backpressure::new(
            options.lanes.contains(&Lane::Save).then_some(options.min_free),
            options.lanes.contains(&Lane::Submit),
            held,
        ),
        balance: Balance::default(),
        access: Access::default(),
        refusal_streaks: RefusalStreaks::default(),
        batches: Batches::default(),
        shutdown,
    })
}

/// What `work` on a directory came to; an error if that does not answer.
async fn answered<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let silent = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer (a network disk that hangs?)"));
    tokio::time::timeout(OPEN_WITHIN, work).await.unwrap_or_else(silent)
}

/// Opens the directories, and starts this process's journal.
async fn open(ledger: &dyn Ledger, options: &Options, guarantee: &Guarantee) -> Result<(Output, Journal), WorkError> {
    let of = ledger.info().await?.identity;
    let (root, state_dir, keeps_told) = (options.output.clone(), options.state_dir.clone(), guarantee.may_go_back);
    let opened = answered(blocking::run(move || Output::open(&root))).await;
    let output = opened.map_err(|error| output::unusable(&options.output, &error))??;
    let journal = answered(blocking::run(move || Journal::start(&state_dir, &of, keeps_told))).await;
    Ok((output, journal.flatten().map_err(|error| unusable(&options.state_dir, &error))?))
}

/// Tells the ledger what this machine's processes that are gone left behind.
async fn recall(journal: &Journal, ledger: &dyn Ledger, options: &Options, shutdown: &Shutdown) -> io::Result<Told> {
    let mut backoff = Backoff::until(shutdown.closing.clone());
    // A ledger that is recovering, as one that cannot be asked may be, may have forgotten what an earlier process of this
    // machine told it; and this one may not live long enough to be reminded.
    let is_sound = ledger.account(0).await.is_ok_and(|account| account.recovering_until.is_none());
    let telling = if is_sound { Telling::New } else { Telling::Again };
    let mut told = replay(journal, telling, ledger, &options.policy, &mut backoff).await?;
    let place = journal.place();
    if options.past.adopt_journals {
        told.and(others::adopt(place, ledger, &options.policy, &mut backoff).await?);
    } else if options.lanes.contains(&Lane::Submit) {
        others::warn_of(place).await?;
    }
    Ok(told)
}

fn start_lane(worker: &Arc<Worker>, lane: Lane, options: &Options, claimers: &mut JoinSet<()>) -> LaneOfWork {
    let slots = match lane {
        Lane::Submit => options.concurrency.submit,
        Lane::Follow => options.concurrency.follow,
        Lane::Save => options.concurrency.save,
    }
    .max(1);
    let (work, claims) = LaneOfWork::new(lane, slots);
    let worker = Arc::clone(worker);
    match lane {
        Lane::Submit => {
            let claimer = Arc::new(Submissions::new(worker, slots, claims));
            claimers.spawn(async move { supervise(|| claimer.run()).await }.in_current_span());
        }
        Lane::Follow | Lane::Save => {
            let claimer = Arc::new(Due::new(worker, lane, slots, claims));
            claimers.spawn(async move { supervise(|| claimer.run()).await }.in_current_span());
        }
    }
    work
}

/// Gives back what was claimed and never begun: leases at once, granted submissions as "not sent".
pub(crate) async fn hand_back(worker: &Worker, claims: Vec<Claim>) {
    let given = async {
        let leases: Vec<_> =
            claims.iter().filter(|claim| claim.permit.is_none()).map(|claim| claim.claimed.lease.clone()).collect();
        for some in leases.chunks(CLAIM_MAX) {
            if let Err(error) = worker.ledger.renew(some, None).await {
                debug!(%error, "leases could not be given back; they end by themselves");
            }
        }
        let granted = claims.iter().filter_map(|claim| Some((claim, claim.permit.as_ref()?.token())));
        let back = granted.map(|(claim, token)| submit::hand_back(worker, claim, token));
        futures::stream::iter(back).buffer_unordered(CLAIM_MAX).collect::<Vec<()>>().await;
    };
    if tokio::time::timeout(HAND_BACK_WITHIN, given).await.is_err() {
        warn!("not everything could be given back; the journal knows that it was not sent");
    }
}

async fn finish(worker: &Worker) -> Result<WorkerExit, WorkError> {
    let journal = worker.journal.clone();
    // Nobody waits for a disk that hangs.
    let removed = tokio::time::timeout(HAND_BACK_WITHIN, blocking::run(move || journal.finish())).await;
    let removed = removed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).flatten();
    if let Err(error) = removed {
        debug!(%error, "the journal could not be removed; its replay will find nothing to do");
    }
    worker.shutdown.result()
}

fn file_host(options: &Options) -> Result<FileHost, WorkError> {
    let user_agent = concat!("veobatch/", env!("CARGO_PKG_VERSION")).to_owned();
    let config = FileHostConfig { private: options.private_hosts, user_agent, read_timeout: SILENCE };
    FileHost::new(&config).map_err(|error| WorkError::Directory(format!("files cannot be fetched: {error}")))
}
