//! Ctrl-C, SIGTERM and SIGHUP: the first asks, a second Ctrl-C or SIGTERM does not.
//!
//! ```text
//! signals ─▶ a thread of their own ─▶ orders ─▶ the command
//!                    └─ the second order ─▶ after a few seconds, the end of the process
//! ```
//!
//! What sends a signal to a process and to its group, as `timeout` and supervisors do, sends it twice. That is one order:
//! taken for two, it would cut off paid calls. A terminal that closes (SIGHUP) asks, however often it does, and asks
//! nothing of a process that was started with `nohup`.
//!
//! The thread needs nothing of the rest of the program, where a file system that hangs may hold up anything: a second
//! order ends the process in any case.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::exit::INTERRUPTED;
use crate::failure::{Failure, Result};

/// Signals that come so soon after one are the same order.
const SAME: Duration = Duration::from_secs(1);

/// From the second order to the end of the process, at most.
const LAST_RESORT: Duration = Duration::from_secs(8);

/// The signals of this process that mean "stop".
#[derive(Debug)]
pub(crate) struct Signals {
    orders: UnboundedReceiver<()>,
}

impl Signals {
    /// Takes the signals over: from now on they no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self> {
        let failed = |error: &std::io::Error| Failure::unavailable("listen for signals").because(error);
        let (sender, orders) = unbounded_channel();
        let (ready, listening) = sync_channel(1);
        let hears_hangups = !is_hangup_ignored();
        let listen = move || {
            let heard = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let heard = runtime.block_on(async { Heard::listen(hears_hangups) })?;
                Ok((runtime, heard))
            });
            match heard {
                Ok((runtime, heard)) => {
                    drop(ready.send(Ok(())));
                    runtime.block_on(heard.pass_on(sender));
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(|error| failed(&error))?;
        match listening.recv() {
            Ok(Ok(())) => Ok(Self { orders }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&std::io::Error::other(error))),
        }
    }

    /// The next order to stop. Safe to drop and to call again.
    pub(crate) async fn next(&mut self) {
        if self.orders.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// `work`, unless an order to stop comes first.
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            () = self.next() => Err(Failure::interrupted()),
        }
    }
}

/// What the thread hears.
struct Heard {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    orders: Orders,
}

impl Heard {
    fn listen(hears_hangups: bool) -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hears_hangups.then(|| signal(SignalKind::hangup())).transpose()?,
            orders: Orders::default(),
        })
    }

    /// Passes orders on. With the second one it ends the process, should nothing else do so before.
    async fn pass_on(mut self, sender: UnboundedSender<()>) {
        let mut given = 0;
        while given < 2 {
            let is_hangup = self.next().await;
            if self.orders.is_new(Instant::now(), is_hangup) {
                given += 1;
                // Nobody who receives it: the command has ended, and the process ends.
                let _ = sender.send(());
            }
        }
        let end = Instant::now() + LAST_RESORT;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => std::process::exit(INTERRUPTED.into()),
                is_hangup = self.next() => {
                    if self.orders.is_new(Instant::now(), is_hangup) {
                        let _ = sender.send(());
                    }
                }
            }
        }
    }

    /// Whether the next signal is a hangup.
    async fn next(&mut self) -> bool {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => None,
            }
        };
        tokio::select! {
            Some(()) = self.interrupt.recv() => false,
            Some(()) = self.terminate.recv() => false,
            Some(()) = hangup => true,
            else => std::future::pending().await,
        }
    }
}

/// Which signals are orders.
#[derive(Debug, Default)]
struct Orders {
    last: Option<Instant>,
}

impl Orders {
    fn is_new(&mut self, now: Instant, is_hangup: bool) -> bool {
        let is_new = self.last.is_none_or(|last| !is_hangup && now.duration_since(last) >= SAME);
        if is_new {
            self.last = Some(now);
        }
        is_new
    }
}

/// Whether this process was started so that a terminal that closes does not concern it. Linux tells; elsewhere it is
/// taken for one that wants to know.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("SigIgn:")).is_some_and(ignores_hangup)
}

/// `mask` is hexadecimal, with a bit for each signal; SIGHUP is the first.
fn ignores_hangup(mask: &str) -> bool {
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_in_one_second_are_one_order_and_a_terminal_that_closes_never_gives_the_second() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut orders = Orders::default();
        let given = [(0, false), (900, false), (1_000, true), (1_000, false), (9_000, true), (9_000, false)]
            .map(|(at, is_hangup)| orders.is_new(start + ms(at), is_hangup));
        assert_eq!(given, [true, false, false, true, false, true]);
        let mut orders = Orders::default();
        let given = [0, 5_000].map(|at| orders.is_new(start + ms(at), true));
        assert_eq!(given, [true, false]);
    }

    #[test]
    fn a_mask_of_ignored_signals_tells_of_hangups() {
        assert!(ignores_hangup("\t0000000000000001") && ignores_hangup(" 0000000000001007"));
        assert!(!ignores_hangup("\t0000000000001006") && !ignores_hangup("") && !ignores_hangup("x"));
    }
}
