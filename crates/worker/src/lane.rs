//! The lanes: apalis runs their steps, and this file is all that knows it.
//!
//! apalis' extension point is its `Backend`. Ours only receives what a claimer sends: it never ends and never fails,
//! because either would end the worker behind it and drop what it runs. Steps run as tasks of their own, so that they
//! survive it if apalis drops their handlers, and end with `Ok` whatever happened: there is nothing for apalis to retry.

pub(crate) mod claimer;
pub(crate) mod step;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::layers::WorkerBuilderExt as _;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::monitor::Monitor;
use apalis_core::task::Task;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::parallelize::ParallelizeLayer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::layer::util::Identity;
use tracing::{Instrument as _, debug, warn};
use veobatch_core::Lane;

use crate::lane::step::step;
use crate::runtime::claim::Claim;
use crate::runtime::worker::Worker;

/// How long calls under way are waited for at the end (the paid call's limit of 60 s, and what follows it).
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(75);

/// One lane: its name, how many steps at a time, and where its claims come from.
#[derive(Clone, Debug)]
pub(crate) struct LaneOfWork {
    pub(crate) lane: Lane,
    pub(crate) slots: usize,
    claims: Arc<Mutex<mpsc::Receiver<Claim>>>,
}

impl LaneOfWork {
    /// A lane, and where its claimer sends to. There is room for a claim in every slot.
    pub(crate) fn new(lane: Lane, slots: usize) -> (Self, mpsc::Sender<Claim>) {
        let (sender, claims) = mpsc::channel(slots.max(1));
        (Self { lane, slots, claims: Arc::new(Mutex::new(claims)) }, sender)
    }

    /// What was claimed and never started.
    pub(crate) fn left(&self) -> Vec<Claim> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| claims.try_recv().ok()).collect()
    }
}

/// Only receives.
impl Backend for LaneOfWork {
    type Task = Task<Claim>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.poll_recv(cx) {
            Poll::Ready(Some(claim)) => Poll::Ready(Some(Ok(Task::new(claim)))),
            // The claimer has ended because the worker is closing; the stop signal wakes apalis by itself.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LaneOfWork {
    type Args = Claim;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

/// Runs `lanes` until the worker is closing and their steps have ended, or nobody waits for those any more.
pub(crate) async fn run(worker: &Arc<Worker>, lanes: &[LaneOfWork]) {
    let steps = Steps { tracker: TaskTracker::new(), cut: CancellationToken::new() };
    let (closing, now) = (worker.shutdown.closing.clone(), worker.shutdown.now.clone());
    let mut monitor = Monitor::new()
        .should_restart(|context, error| {
            warn!(lane = context.name(), %error, "a lane ended; it starts again");
            true
        })
        .with_terminator(async move {
            drop(tokio::time::timeout(PATIENCE_AT_THE_END, now.cancelled_owned()).await);
        });
    for lane in lanes {
        monitor = register(monitor, worker, lane.clone(), steps.clone());
    }
    let signal = async move {
        closing.cancelled_owned().await;
        Ok::<(), io::Error>(())
    };
    // A task of its own, so that it runs where its steps do and not on the thread of the program's main future.
    let mut lanes = JoinSet::new();
    lanes.spawn(monitor.run_with_signal(signal).in_current_span());
    while let Some(ended) = lanes.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the lanes did not end as they should"),
            Err(error) => warn!(%error, "the lanes did not end as they should"),
        }
    }
    steps.end(worker).await;
}

fn register(monitor: Monitor, worker: &Arc<Worker>, lane: LaneOfWork, steps: Steps) -> Monitor {
    let worker = Arc::clone(worker);
    monitor.register(move |_| {
        let (worker, steps) = (Arc::clone(&worker), steps.clone());
        WorkerBuilder::new(lane.lane.as_str())
            .backend(lane.clone())
            .concurrency(lane.slots)
            .catch_panic()
            .layer(ParallelizeLayer::new(move |future| steps.spawn(future)))
            // Boxed: it is moved through every layer before it runs.
            .build(move |claim: Claim| Box::pin(step(Arc::clone(&worker), claim)))
    })
}

/// The steps under way: tasks of their own, waited for at the end.
#[derive(Clone, Debug)]
struct Steps {
    tracker: TaskTracker,
    cut: CancellationToken,
}

/// What a step ends with for apalis if its task was cut off or panicked.
#[derive(Debug, thiserror::Error)]
#[error("the step was cut off")]
struct CutOff;

impl Steps {
    fn spawn<F>(&self, future: F) -> Pin<Box<dyn Future<Output = Result<F::Output, CutOff>> + Send>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = self.tracker.spawn(self.cut.clone().run_until_cancelled_owned(future));
        Box::pin(async move { task.await.ok().flatten().ok_or(CutOff) })
    }

    /// Cuts off what has not ended by now, and gives back what it held.
    async fn end(self, worker: &Worker) {
        self.tracker.close();
        if self.tracker.is_empty() {
            return;
        }
        let held = worker.leases.all();
        warn!(steps = self.tracker.len(), "steps are cut off; submissions among them may be left in doubt");
        self.cut.cancel();
        self.tracker.wait().await;
        if let Err(error) = worker.ledger.renew(&held, None).await {
            debug!(%error, "leases could not be given back; they end by themselves");
        }
    }
}
