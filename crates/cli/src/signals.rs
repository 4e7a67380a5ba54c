//! Ctrl-C and SIGTERM: the first asks, the second does not.
//!
//! What sends a signal to a process and to its group, as `timeout` and supervisors do, sends it twice. That is one order:
//! taken for two, it would cut off paid calls.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::failure::{Failure, Result};

/// Signals that come so soon after one are the same order.
const SAME: Duration = Duration::from_secs(1);

/// The signals of this process that mean "stop".
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    last: Option<Instant>,
}

impl Signals {
    /// Takes the signals over: from now on they no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|error| Failure::unavailable("listen for signals").because(&error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            last: None,
        })
    }

    /// The next one. Safe to drop and to call again.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.interrupt.recv() => {}
                Some(()) = self.terminate.recv() => {}
                else => std::future::pending().await,
            }
            if self.last.is_none_or(|last| last.elapsed() >= SAME) {
                self.last = Some(Instant::now());
                return;
            }
        }
    }

    /// `work`, unless a signal comes first.
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            () = self.next() => Err(Failure::interrupted()),
        }
    }
}
