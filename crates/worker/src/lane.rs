//! The lanes: apalis runs their steps. Only this file uses apalis.
//!
//! Our `Backend` only receives what a claimer sends: it never ends and never fails, because either would end the apalis
//! worker and drop the steps it runs. Steps run as tasks of their own, so they survive if apalis drops their handlers. They
//! return `Ok` whatever happened: there is nothing for apalis to retry.

pub(crate) mod claimer;
pub(crate) mod step;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};
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

use crate::lane::step::Stepper;
use crate::runtime::claim::Claim;
use crate::runtime::context::Context;

/// How long calls in progress are waited for at shutdown: the time limit of the paid call, 60 s, and what follows it.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(75);

/// One lane: its name, its number of concurrent steps, and the claims that were sent to it.
#[derive(Clone, Debug)]
pub(crate) struct LaneQueue {
    lane: Lane,
    concurrency: usize,
    claims: Arc<Mutex<mpsc::Receiver<Claim>>>,
}

impl LaneQueue {
    /// A lane, and the channel its claimer sends to, with room for one claim per concurrent step.
    pub(crate) fn new(lane: Lane, concurrency: usize) -> (Self, mpsc::Sender<Claim>) {
        let (sender, claims) = mpsc::channel(concurrency.max(1));
        (Self { lane, concurrency, claims: Arc::new(Mutex::new(claims)) }, sender)
    }

    /// Claims that were never started.
    pub(crate) fn drain(&self) -> Vec<Claim> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| claims.try_recv().ok()).collect()
    }
}

/// Receives claims.
impl Backend for LaneQueue {
    type Task = Task<Claim>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut task::Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut task::Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.poll_recv(cx) {
            Poll::Ready(Some(claim)) => Poll::Ready(Some(Ok(Task::new(claim)))),
            // The claimer has ended because the worker is shutting down; the stop signal wakes apalis.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut task::Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LaneQueue {
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

/// Runs `lanes` until the worker shuts down and their steps have ended, or are no longer waited for.
pub(crate) async fn run(stepper: &Arc<Stepper>, lanes: &[LaneQueue]) {
    let running = RunningSteps { tracker: TaskTracker::new(), abort: CancellationToken::new() };
    let shutdown = &stepper.context.shutdown;
    let (closing, now) = (shutdown.closing.clone(), shutdown.now.clone());
    let mut monitor = Monitor::new()
        .should_restart(|context, error| {
            warn!(lane = context.name(), %error, "a lane ended; restarting it");
            true
        })
        .with_terminator(async move {
            drop(tokio::time::timeout(SHUTDOWN_LIMIT, now.cancelled_owned()).await);
        });
    for lane in lanes {
        monitor = register(monitor, stepper, lane.clone(), running.clone());
    }
    let signal = async move {
        closing.cancelled_owned().await;
        Ok::<(), io::Error>(())
    };
    // A task of its own, so that it runs on the runtime's threads and not on that of the program's main future.
    let mut lanes = JoinSet::new();
    lanes.spawn(monitor.run_with_signal(signal).in_current_span());
    while let Some(ended) = lanes.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the lanes ended with an error"),
            Err(error) => warn!(%error, "the lanes ended with an error"),
        }
    }
    running.end(&stepper.context).await;
}

fn register(monitor: Monitor, stepper: &Arc<Stepper>, lane: LaneQueue, running: RunningSteps) -> Monitor {
    let stepper = Arc::clone(stepper);
    monitor.register(move |_| {
        let (stepper, running) = (Arc::clone(&stepper), running.clone());
        WorkerBuilder::new(lane.lane.as_str())
            .backend(lane.clone())
            .concurrency(lane.concurrency)
            .catch_panic()
            .layer(ParallelizeLayer::new(move |future| running.spawn(future)))
            // Boxed, because it is moved through every layer before it runs.
            .build(move |claim: Claim| Box::pin(Arc::clone(&stepper).step(claim)))
    })
}

/// The steps in progress: tasks of their own, waited for at shutdown.
#[derive(Clone, Debug)]
struct RunningSteps {
    tracker: TaskTracker,
    abort: CancellationToken,
}

/// The result of a step for apalis if its task was aborted or panicked.
#[derive(Debug, thiserror::Error)]
#[error("the step was aborted")]
struct Aborted;

impl RunningSteps {
    fn spawn<F>(&self, future: F) -> Pin<Box<dyn Future<Output = Result<F::Output, Aborted>> + Send>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = self.tracker.spawn(self.abort.clone().run_until_cancelled_owned(future));
        Box::pin(async move { task.await.ok().flatten().ok_or(Aborted) })
    }

    /// Aborts what has not ended by now, and releases what it held.
    async fn end(self, context: &Context) {
        self.tracker.close();
        if self.tracker.is_empty() {
            return;
        }
        let held = context.leases.all();
        warn!(steps = self.tracker.len(), "aborting steps; submissions among them may be left in doubt");
        self.abort.cancel();
        self.tracker.wait().await;
        if let Err(error) = context.ledger.renew(&held, None).await {
            debug!(%error, "leases could not be released; they will expire");
        }
    }
}
