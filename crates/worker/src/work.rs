//! One worker process, from its first check to its last lease.

pub(crate) mod parts;
pub(crate) mod startup;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, warn};
use veobatch_core::Lane;
use veobatch_ledger::{AccountUpdate, CLAIM_MAX, NoteKind, SharedLedger};

use crate::Client;
use crate::callback::listener::serve;
use crate::lane::claimer::DueClaimer;
use crate::lane::{self, LaneQueue};
use crate::options::{Options, Stop, WorkError, WorkerExit};
use crate::runtime::claim::Claim;
use crate::runtime::leases::Renewals;
use crate::runtime::supervise::{PeriodicTask as _, run_periodically, supervise};
use crate::runtime::{blocking, random};
use crate::submit::claimer::SubmissionClaimer;
use crate::work::parts::Parts;
use crate::work::startup::{check_guarantee, file_host, listen, prepare};

/// How long a worker that shuts down tries to release its last leases; they expire otherwise.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// How long claims in progress are waited for at shutdown. They have no time limit, because their answers may be grants.
const CLAIMERS_LIMIT: Duration = Duration::from_secs(30);

/// Works until it is told to stop or `options.until` is reached.
///
/// Before anything is submitted, the ledger's guarantees and the output and state directories are checked, the place of the
/// one worker is taken (on `SQLite`), and the journals of processes that are gone are replayed. The ledger must be bound already.
///
/// When this returns, nothing of the worker runs any more, and every lease that could be released was. After [`Stop::now`]
/// jobs may be left in `submitting`, which the next worker puts in doubt.
///
/// # Errors
/// The variants of [`WorkError`] say what a person can do.
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
    let parts = prepare(ledger, client, files, &options, &start, stop).await?;
    let (context, ledger) = (&parts.context, &parts.context.ledger);
    // The service accepts this key; and if this worker submits, the ledger has yet to learn how near it is to the service.
    let begins = AccountUpdate {
        forget_round_trips: options.lanes.contains(&Lane::Submit),
        retry_unreadable: true,
        ..AccountUpdate::default()
    };
    ledger.update_account(&begins).await?;
    ledger.note(NoteKind::KeyRefused, None).await?;
    parts.upkeep.batches.refresh(context).await?;
    // Before anything is submitted, and then periodically.
    let mut capacity = parts.capacity_check(&options);
    capacity.tick().await?;
    info!(lanes = ?options.lanes, output = %options.output.display(), "working");

    let mut lanes = Vec::new();
    let mut claimers = JoinSet::new();
    for lane in &options.lanes {
        lanes.push(start_lane(&parts, *lane, &options, &mut claimers));
    }
    let last = CancellationToken::new();
    let mut beside = JoinSet::new();
    for task in parts.upkeep.tasks(capacity, &options.until, options.compact_after) {
        beside.spawn(run_periodically(task, context.shutdown.closing.clone()).in_current_span());
    }
    start_watchers(&parts, listener, &last, &mut beside);

    lane::run(&parts.stepper, &lanes).await;
    if tokio::time::timeout(CLAIMERS_LIMIT, all_ended(&mut claimers)).await.is_err() {
        warn!("a claim hangs, like the disk or the ledger; the journal knows that nothing was sent for it");
    }
    drop(claimers);
    hand_back(&parts, lanes.iter().flat_map(LaneQueue::drain).collect()).await;
    // Not waited for if the ledger is unavailable.
    drop(tokio::time::timeout(RELEASE_LIMIT, context.learning.report(ledger.as_ref())).await);
    last.cancel();
    all_ended(&mut beside).await;
    drop(start);
    let exit = finish(&parts).await;
    if let Err(WorkError::KeyRefused(message)) = &exit {
        // For `status` on other machines; this process reports it by itself.
        drop(tokio::time::timeout(RELEASE_LIMIT, ledger.note(NoteKind::KeyRefused, Some(message))).await);
    }
    exit
}

/// Starts what runs until the very end of the worker, so that leases are renewed and callbacks received while it shuts down.
fn start_watchers(
    parts: &Parts,
    listener: Option<Arc<TcpListener>>,
    last: &CancellationToken,
    beside: &mut JoinSet<()>,
) {
    let context = &parts.context;
    let renewals = Renewals { ledger: Arc::clone(&context.ledger), leases: Arc::clone(&context.leases) };
    beside.spawn(run_periodically(Box::new(renewals), last.clone()).in_current_span());
    let (balance, end) = (Arc::clone(&parts.stepper.balance), last.clone());
    beside.spawn(async move { supervise(|| balance.watch(&end)).await }.in_current_span());
    let (access, end) = (Arc::clone(&parts.access), last.clone());
    beside.spawn(async move { supervise(|| access.watch(&end)).await }.in_current_span());
    if let Some((listener, receiver)) = listener.zip(parts.receiver.clone()) {
        let end = last.clone();
        let serving = supervise(move || serve(Arc::clone(&receiver), Arc::clone(&listener), end.clone()));
        beside.spawn(serving.in_current_span());
    }
}

fn start_lane(parts: &Parts, lane: Lane, options: &Options, claimers: &mut JoinSet<()>) -> LaneQueue {
    let concurrency = match lane {
        Lane::Submit => options.concurrency.submit,
        Lane::Follow => options.concurrency.follow,
        Lane::Save => options.concurrency.save,
    }
    .max(1);
    let (queue, claims) = LaneQueue::new(lane, concurrency);
    let context = Arc::clone(&parts.context);
    match lane {
        Lane::Submit => {
            let (journal, rules) = (parts.upkeep.journal.clone(), Arc::clone(&parts.rules));
            let claimer = SubmissionClaimer::new(context, journal, rules, concurrency, claims);
            claimers.spawn(async move { supervise(|| claimer.run()).await }.in_current_span());
        }
        Lane::Follow | Lane::Save => {
            let claimer = DueClaimer::new(context, lane, concurrency, claims);
            claimers.spawn(async move { supervise(|| claimer.run()).await }.in_current_span());
        }
    }
    queue
}

/// Waits until all of `tasks` have ended.
async fn all_ended(tasks: &mut JoinSet<()>) {
    while let Some(result) = tasks.join_next().await {
        if let Err(error) = result {
            warn!(%error, "a task ended with an error");
        }
    }
}

/// Gives back what was claimed and never started: releases leases, and records granted submissions as "not sent".
pub(crate) async fn hand_back(parts: &Parts, claims: Vec<Claim>) {
    let ledger = &parts.context.ledger;
    let all = async {
        let leases: Vec<_> =
            claims.iter().filter(|claim| claim.permit.is_none()).map(|claim| claim.claimed.lease.clone()).collect();
        for some in leases.chunks(CLAIM_MAX) {
            if let Err(error) = ledger.renew(some, None).await {
                debug!(%error, "leases could not be released; they will expire");
            }
        }
        let granted = claims.iter().filter_map(|claim| Some((claim, claim.permit.as_ref()?.token())));
        let back = granted.map(|(claim, token)| parts.stepper.submitter.hand_back(claim, token));
        futures::stream::iter(back).buffer_unordered(CLAIM_MAX).collect::<Vec<()>>().await;
    };
    if tokio::time::timeout(RELEASE_LIMIT, all).await.is_err() {
        warn!("not everything could be given back; the journal knows that nothing was sent for it");
    }
}

async fn finish(parts: &Parts) -> Result<WorkerExit, WorkError> {
    let journal = parts.upkeep.journal.clone();
    // A disk that hangs is not waited for.
    let removed = tokio::time::timeout(RELEASE_LIMIT, blocking::run(move || journal.finish())).await;
    let removed = removed.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).flatten();
    if let Err(error) = removed {
        debug!(%error, "the journal could not be removed; replaying it will change nothing");
    }
    parts.context.shutdown.result()
}
