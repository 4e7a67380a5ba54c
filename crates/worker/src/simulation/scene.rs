//! What everything in one story has in common.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use veobatch_api::FileHost;
use veobatch_core::{InDoubtPolicy, PollPolicy};
use veobatch_ledger::SqliteLedger;

use super::ledger::{Leases, LedgerLine};
use super::network::Inbox;
use super::scheduler::Scheduler;
use super::state::SimState;
use super::state::processes::Owner;

/// Cloned into every part.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) scheduler: Rc<Scheduler>,
    pub(super) state: Arc<SimState>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) ledger: veobatch_ledger::SharedLedger,
    pub(super) sqlite: Arc<SqliteLedger>,
    /// The ledger goes back in time.
    pub(super) rewinds: bool,
    pub(super) leases: Arc<Leases>,
    pub(super) files: FileHost,
    pub(super) dir: PathBuf,
    pub(super) policy: PollPolicy,
    pub(super) in_doubt: InDoubtPolicy,
}

impl Scene {
    pub(super) fn line(&self, owner: Owner) -> LedgerLine {
        LedgerLine {
            ledger: Arc::clone(&self.ledger),
            state: Arc::clone(&self.state),
            owner,
            leases: Arc::clone(&self.leases),
        }
    }
}
