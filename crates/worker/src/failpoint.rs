//! Failpoints: the places between two actions of a step at which a crash leaves the most to recover.
//!
//! Does nothing without the feature `failpoints`, which only the specifications enable: then a process can be told to kill
//! itself (like a power cut) or to stop (like a laptop whose lid closes) when it reaches a failpoint.

/// Where a process can be told to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// The ledger has the intent; the journal does not have it yet.
    Granted,
    /// The journal has `sending`; nothing was sent.
    Sending,
    /// The answer arrived; the journal does not have it.
    Answered,
    /// The journal has the answer; the ledger does not.
    Written,
    /// The ledger has the outcome; the journal does not know that.
    Told,
    /// A part of the video is on disk.
    Part,
    /// All of it is on disk, without its final name.
    Whole,
    /// The video has its name, but no sidecar.
    Named,
    /// The sidecar is written; the ledger does not know it.
    Saved,
}

impl Failpoint {
    /// In the order of a job's life.
    pub const ALL: &[Self] = &[
        Self::Granted,
        Self::Sending,
        Self::Answered,
        Self::Written,
        Self::Told,
        Self::Part,
        Self::Whole,
        Self::Named,
        Self::Saved,
    ];

    /// Called when a step gets here.
    #[cfg(not(feature = "failpoints"))]
    #[expect(clippy::unused_self, reason = "failpoints are disabled")]
    pub(crate) fn reached(self) {}

    /// Called when a step gets here; ends or stops the process if this failpoint is armed.
    #[cfg(feature = "failpoints")]
    pub(crate) fn reached(self) {
        armed::reached(self);
    }

    /// Kills or stops this process when it reaches this failpoint for the `nth` time (from 1).
    #[cfg(feature = "failpoints")]
    pub fn arm(self, action: FailpointAction, nth: u32) {
        armed::arm(self, action, nth);
    }
}

/// What happens to the process at a failpoint.
#[cfg(feature = "failpoints")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailpointAction {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, until a SIGCONT.
    Stop,
}

/// From now on the disk of the output directory hangs while there is a file at `path`, like a network disk whose server is
/// gone.
#[cfg(feature = "failpoints")]
pub fn hang_while_there_is(path: std::path::PathBuf) {
    drop(hanging::WHILE.set(path));
}

#[cfg(feature = "failpoints")]
pub(crate) fn hang_if_told() {
    hanging::hang_if_told();
}

#[cfg(feature = "failpoints")]
mod hanging {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::time::Duration;

    pub(super) static WHILE: OnceLock<PathBuf> = OnceLock::new();

    pub(super) fn hang_if_told() {
        while WHILE.get().is_some_and(|path| path.exists()) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::process::{Command, id};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Failpoint, FailpointAction};

    static ARMED: OnceLock<(Failpoint, FailpointAction, AtomicU32)> = OnceLock::new();

    pub(super) fn arm(failpoint: Failpoint, action: FailpointAction, nth: u32) {
        drop(ARMED.set((failpoint, action, AtomicU32::new(nth))));
    }

    pub(super) fn reached(failpoint: Failpoint) {
        let Some((armed, action, left)) = ARMED.get() else { return };
        if *armed != failpoint || left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        let signal = |name: &str| drop(Command::new("kill").args([name, &id().to_string()]).status());
        match action {
            FailpointAction::Stop => {
                signal("-STOP");
                wait_for_continue();
            }
            FailpointAction::Kill => {
                // No handler, no destructor, no flush: like a crash.
                signal("-KILL");
                std::process::abort();
            }
        }
    }

    /// Returns once this process was stopped and continued. The signal stops one thread after another, and on a busy machine
    /// this one may be the last: until then it must not continue.
    fn wait_for_continue() {
        const STEP: Duration = Duration::from_millis(5);
        let mut last = Instant::now();
        for _ in 0..2_000 {
            std::thread::sleep(STEP);
            if last.elapsed() > 200 * STEP {
                return;
            }
            last = Instant::now();
        }
    }
}
