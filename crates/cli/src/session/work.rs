//! A worker at work in this process: its options, its signals, and what is shown meanwhile.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use veobatch_core::{BatchId, Lane, StateName};
use veobatch_ledger::{BatchSummary, Batches, LedgerError};
use veobatch_worker::{Options, Past, Stop, Until, WorkError, WorkerExit};

use crate::args::settings::{Settings, WorkSettings};
use crate::failure::{Failure, Result};
use crate::output::format::counted;
use crate::output::ui;
use crate::report::progress::{Progress, TICK, is_settled, summaries};
use crate::report::{account, attention, budgets, forecast};
use crate::session::Session;
use crate::session::callbacks;
use crate::session::remote::Remote;
use crate::signals::Signals;

/// From a second order to stop to the end of the work, whatever hangs.
const AT_ONCE: Duration = Duration::from_secs(4);

/// How a worker's time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// What it was there for is done.
    Finished,
    /// A person stopped it.
    Interrupted,
    /// Another process has the only place on this ledger.
    NoPlace,
}

/// The worker's options as `work` says, with every lane and at every hour.
pub(crate) fn options(
    settings: &Settings,
    work: &WorkSettings,
    session: &Session,
    remote: &Remote,
    until: Until,
) -> Result<Options> {
    let only = match &until {
        Until::Settled(batches) => Some(batches.clone()),
        Until::Stopped | Until::Idle => None,
    };
    Ok(Options {
        output: work.output.output.clone(),
        state_dir: session.state_dir(work),
        lanes: Lane::ALL.to_vec(),
        concurrency: work.concurrency(),
        policy: work.policy(settings),
        only,
        window: None,
        until,
        min_free: work.min_free,
        downloads: work.downloads(),
        private_hosts: remote.private_hosts,
        accept_data_loss: work.accept_data_loss,
        past: Past::default(),
        compact_after: work.compact_after(),
        callbacks: callbacks::of(work)?,
        in_doubt: work.in_doubt,
    })
}

/// Works until `options.until` comes true or a person stops it. Shows how far the batches of `shown` are, if given.
pub(crate) async fn work(
    session: &Session,
    remote: &Remote,
    options: Options,
    signals: &mut Signals,
    shown: Option<&mut Shown<'_>>,
) -> Result<Work> {
    let stop = Stop::default();
    let output = options.output.clone();
    // Side by side in one task: none of them waits for another.
    tokio::select! {
        ended = veobatch_worker::work(session.ledger.clone(), remote.client.clone(), options, stop.clone()) => {
            told(ended, stop.graceful.is_cancelled(), &output)
        }
        () = obey(session, &stop, signals) => Ok(Work::Interrupted),
        () = show(session, shown) => Ok(Work::Interrupted),
    }
}

/// Passes on what signals say. Ends soon after the second one, whatever does not.
async fn obey(session: &Session, stop: &Stop, signals: &mut Signals) {
    signals.next().await;
    // Said first: the work may end sooner than it is said.
    ui::message(format_args!(
        "stopping: no new submissions; {} (75 s at most); Ctrl-C again stops at once",
        under_way(session).await
    ));
    stop.graceful.cancel();
    signals.next().await;
    stop.now.cancel();
    ui::message(
        "stopping at once: a paid call in progress may leave its job in doubt; see `veobatch status`, and settle it \
         with `veobatch resolve`",
    );
    drop(timeout(AT_ONCE, signals.next()).await);
}

/// Shows how far the work is, for ever.
async fn show(session: &Session, shown: Option<&mut Shown<'_>>) {
    let Some(shown) = shown else { return std::future::pending().await };
    loop {
        shown.update(session).await;
        sleep(TICK).await;
    }
}

/// What is shown while the work goes on.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) progress: Progress,
    pub(crate) batches: &'a [BatchId],
}

impl Shown<'_> {
    /// Shows how far the batches are, and whether they are settled. An outage of the ledger is told, not an error.
    pub(crate) async fn update(&mut self, session: &Session) -> bool {
        let read = async {
            let summaries = summaries(&*session.ledger, self.batches).await?;
            let account = session.ledger.account(0).await?;
            let hindrance =
                match account::gate(&account).or_else(|| forecast::text::closed(&summaries, account.calendar)) {
                    None => budgets::spent(&*session.ledger, &summaries, &account).await?,
                    hindrance @ Some(_) => hindrance,
                };
            Ok::<_, Failure>((summaries, hindrance))
        };
        let Ok(Ok((summaries, hindrance))) = timeout(TICK * 5, read).await else {
            self.progress.show(&[], Some("the ledger cannot be reached; waiting"));
            return false;
        };
        self.progress.show(&summaries, hindrance.as_deref());
        summaries.iter().all(is_settled) || are_settled_but_for_unreadable(session, summaries).await
    }
}

/// Whether only jobs that this program cannot read are left.
async fn are_settled_but_for_unreadable(session: &Session, summaries: Vec<BatchSummary>) -> bool {
    match timeout(TICK * 5, session.ledger.unreadable(attention::LOOK)).await {
        Ok(Ok(unreadable)) if !unreadable.is_empty() => {
            summaries.into_iter().all(|batch| is_settled(&batch.without(&unreadable)))
        }
        Ok(Ok(_) | Err(_)) | Err(_) => false,
    }
}

/// What a graceful stop waits for.
async fn under_way(session: &Session) -> String {
    let batches = timeout(TICK, session.ledger.list(&Batches::Active)).await;
    let count = |state| match &batches {
        Ok(Ok(batches)) => batches.iter().map(|batch| batch.count(state)).sum(),
        Ok(Err(_)) | Err(_) => 0,
    };
    let (calls, files): (u64, u64) = (count(StateName::Submitting), count(StateName::Downloading));
    let some = |n, one| (n > 0).then(|| counted(n, one));
    let both: Vec<String> = [some(calls, "paid call"), some(files, "download")].into_iter().flatten().collect();
    if both.is_empty() {
        "finishing what is in progress".to_owned()
    } else {
        format!("waiting for {}", both.join(" and "))
    }
}

fn told(
    ended: std::result::Result<WorkerExit, WorkError>,
    is_interrupted: bool,
    output: &std::path::Path,
) -> Result<Work> {
    match ended {
        Ok(WorkerExit::Stopped) if is_interrupted => Ok(Work::Interrupted),
        Ok(WorkerExit::Finished | WorkerExit::Stopped) => Ok(Work::Finished),
        Err(WorkError::Ledger(LedgerError::WorkerPresent)) => Ok(Work::NoPlace),
        Err(error) => Err(failed(&error, output)),
    }
}

/// Why the worker could not go on, and what to do.
pub(crate) fn failed(error: &WorkError, output: &std::path::Path) -> Failure {
    match error {
        WorkError::Directory(why) => Failure::bad_input(format!("work with the output directory {}", output.display()))
            .since(why.clone())
            .hint("make it writable, or use others: --output DIR, --state-dir DIR"),
        WorkError::Listen(why) => Failure::bad_input("listen for callbacks")
            .since(why.clone())
            .hint("use another address if a process listens there already: --callback-listen 0.0.0.0:PORT"),
        WorkError::KeyRefused(why) => {
            Failure::unavailable("continue working").since(format!("the service refuses the API key: {why}")).hint(
                "check KIE_API_KEY with `veobatch credits`; what is paid for is kept, and the same command continues",
            )
        }
        WorkError::Unsafe(why) => Failure::unavailable("start submitting")
            .since(format!("the ledger may lose the record of paid work: {why}"))
            .hint("turn on Redis's append-only file (appendonly yes), or accept it: --accept-data-loss"),
        WorkError::Ledger(error) => Failure::ledger("work on the ledger", error),
    }
}
