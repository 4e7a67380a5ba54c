//! The edges between what a step does and what it does next, where a process that dies leaves the most to find out.
//!
//! Only the feature `edges`, which only the specifications switch on, does anything here: a process can be told to
//! kill itself, as hard as a power cut, or to stop, as a laptop that is closed, when it comes to an edge.

/// Where a process may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
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

impl Edge {
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
    #[cfg(not(feature = "edges"))]
    #[expect(clippy::unused_self, reason = "nobody dies here")]
    pub(crate) fn reached(self) {}

    /// Comes to this edge, and ends there if that was asked for.
    #[cfg(feature = "edges")]
    pub(crate) fn reached(self) {
        deadly::reached(self);
    }

    /// Kills or stops this process when it comes to this edge for the `nth` time (from 1).
    #[cfg(feature = "edges")]
    pub fn brings(self, fate: Fate, nth: u32) {
        deadly::arm(self, fate, nth);
    }
}

/// What becomes of a process at an edge.
#[cfg(feature = "edges")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// SIGKILL.
    Death,
    /// SIGSTOP, until a SIGCONT.
    Sleep,
}

/// From now on the disk of the output directory hangs whenever there is a file at `path`, as one of a server that is gone.
#[cfg(feature = "edges")]
pub fn hang_while_there_is(path: std::path::PathBuf) {
    drop(hanging::WHILE.set(path));
}

#[cfg(feature = "edges")]
pub(crate) fn hangs(disk: crate::runtime::disk::Disk) {
    hanging::hangs(disk);
}

#[cfg(feature = "edges")]
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

#[cfg(feature = "edges")]
mod deadly {
    use std::process::{Command, id};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Edge, Fate};

    static ARMED: OnceLock<(Edge, Fate, AtomicU32)> = OnceLock::new();

    pub(super) fn arm(edge: Edge, fate: Fate, nth: u32) {
        drop(ARMED.set((edge, fate, AtomicU32::new(nth))));
    }

    pub(super) fn reached(edge: Edge) {
        let Some((armed, fate, left)) = ARMED.get() else { return };
        if *armed != edge || left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        let signal = |name: &str| drop(Command::new("kill").args([name, &id().to_string()]).status());
        match fate {
            Fate::Sleep => {
                signal("-STOP");
                awake_again();
            }
            Fate::Death => {
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
