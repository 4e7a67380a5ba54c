//! The edges between what a step does and what it does next, where a process that dies leaves the most to find out.
//!
//! Only the feature `edges`, which only the specifications switch on, does anything here: a process can be told to
//! kill itself, as hard as a power cut, or to stop, as a laptop that is closed, when it comes to an edge.

/// Where a process may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// The ledger has the intent, the journal not yet.
    Granted,
    /// The journal has `sending`, nothing has left.
    Sending,
    /// The answer is there, the journal does not have it.
    Answered,
    /// The journal has the answer, the ledger not.
    Written,
    /// The ledger has the outcome, the journal does not know that.
    Told,
    /// A part of the video is on the disk.
    Part,
    /// All of it is, under no name yet.
    Whole,
    /// It has its name, and no sidecar.
    Named,
    /// The sidecar is there, the ledger does not know of it.
    Saved,
}

impl Failpoint {
    /// All of them, in the order of a job's life.
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

    /// Comes to this edge.
    #[cfg(not(feature = "failpoints"))]
    #[expect(clippy::unused_self, reason = "nobody dies here")]
    pub(crate) fn reached(self) {}

    /// Comes to this edge, and ends there if that was asked for.
    #[cfg(feature = "failpoints")]
    pub(crate) fn reached(self) {
        armed::reached(self);
    }

    /// Kills or stops this process when it comes to this edge for the `nth` time (from 1).
    #[cfg(feature = "failpoints")]
    pub fn arm(self, action: FailpointAction, nth: u32) {
        armed::arm(self, action, nth);
    }
}

/// What becomes of a process at an edge.
#[cfg(feature = "failpoints")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailpointAction {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, until a SIGCONT.
    Stop,
}

/// From now on the disk of the output directory hangs whenever there is a file at `path`, as one of a server that is gone.
#[cfg(feature = "failpoints")]
pub fn hang_while_there_is(path: std::path::PathBuf) {
    drop(hanging::WHILE.set(path));
}

#[cfg(feature = "failpoints")]
pub(crate) fn hangs(disk: crate::runtime::disk::Disk) {
    hanging::hangs(disk);
}

#[cfg(feature = "failpoints")]
mod hanging {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::time::Duration;

    use crate::runtime::disk::Disk;

    pub(super) static WHILE: OnceLock<PathBuf> = OnceLock::new();

    pub(super) fn hangs(disk: Disk) {
        while disk == Disk::Output && WHILE.get().is_some_and(|path| path.exists()) {
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
                awake_again();
            }
            FailpointAction::Kill => {
                // No handler, no destructor, no flush: what a crash leaves.
                signal("-KILL");
                std::process::abort();
            }
        }
    }

    /// Returns once this process has slept. The signal stops one thread after another, and on a busy machine this one may be
    /// the last: until then it must not go on.
    fn awake_again() {
        const BLINK: Duration = Duration::from_millis(5);
        let mut last = Instant::now();
        for _ in 0..2_000 {
            std::thread::sleep(BLINK);
            if last.elapsed() > 200 * BLINK {
                return;
            }
            last = Instant::now();
        }
    }
}
