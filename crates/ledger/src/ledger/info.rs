//! What a ledger says of itself, and what whoever works with it holds.

use std::sync::Arc;

use tokio::sync::Notify;
use veobatch_core::Timestamp;

use crate::ledger::identity::Identity;

/// A ledger's clocks, and which ledger it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The ledger's clock, the only one for due times, leases and slots.
    pub now: Timestamp,
    /// The clock that windows, days and recurrences go by. It is behind `now` where a `SQLite` file was used with a wall clock
    /// that was ahead: then the ledger's own time runs on from there, and this is what the wall clock says.
    pub calendar: Timestamp,
    /// Which ledger it is, and how many submissions it has granted.
    pub identity: Identity,
}

/// What [`crate::Ledger::bind`] does with a ledger that is not bound yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Binds it.
    Bind,
    /// Leaves it as it is.
    Check,
}

/// What a ledger promises about durability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarantee {
    /// What can lose paid work: submission is refused unless a person accepts it.
    pub dangers: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// It may go back in time by itself (a server that crashes, or is replaced by its replica): what workers told it is
    /// worth remembering for a while.
    pub may_go_back: bool,
}

/// What a worker gets when it starts.
#[derive(Debug)]
pub struct WorkerStart {
    /// The place of the one working process, held until it is dropped. `None`: any number of workers may work here.
    pub lock: Option<WorkerLock>,
    /// What the ledger can promise.
    pub guarantee: Guarantee,
    /// Tells when something in this process became due.
    pub wake: Wake,
}

/// The place of the one working process; held until dropped.
pub type WorkerLock = Box<dyn std::any::Any + Send + Sync>;

/// A signal that something in this process became due. A hint: it may never come.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Resolves at the next signal.
    pub async fn notified(&self) {
        self.0.notified().await;
    }

    /// Whoever waits wakes up.
    pub(crate) fn wake(&self) {
        self.0.notify_waiters();
    }

    /// Whoever waits wakes up; whoever is about to wait does not wait.
    pub(crate) fn wake_next(&self) {
        self.0.notify_waiters();
        self.0.notify_one();
    }
}
