//! The ledger: the only truth about every job, and the only queue.
//!
//! ```text
//!            stage, publish            claim_submission, claim                 put
//! producer ────────────────▶ [ledger] ────────────────────────▶ worker ─────────────────▶ [ledger]
//!                                       leased, with a fence            version and fence
//! ```
//!
//! The ledger is dumb: it stores a body it cannot read and indexes it by its [`veobatch_core::Facets`]. A job's record
//! and its place in the queue change in one atomic step, so there is no second message that could be lost, doubled or
//! left over, and no recovery code: a first delivery, a poll, a retry and the restart after a power cut are all "a job
//! is due".
//!
//! [`change`] is how anyone changes a job: load, `after(state, event)` in core, put; again if somebody was faster.
//! Two implementations keep one contract, [`Ledger`], and one conformance suite holds both to it.

mod change;
mod digest;
mod ledger;
mod migration;
mod open;
mod random;
mod redis;
mod sqlite;
mod transfer;

pub use change::{Backoff, Change, Changed, NoRetry, change, change_unless, restate};
pub use ledger::account::{Account, AccountUpdate, Arrival, PriceList, Settle};
pub use ledger::batch::{BatchFlag, BatchSummary, BatchUpdate, Batches, TemplateAdvance};
pub use ledger::error::LedgerError;
pub use ledger::grant::{Issuer, SubmissionGrant, UpgradeClaim, UpgradeGrant};
pub use ledger::hints::{Hint, HintKind, KINDS, Note, NoteKind};
pub use ledger::identity::{Identity, LedgerId};
pub use ledger::info::{Binding, Guarantee, Info, Wake, WorkerLock, WorkerStart};
pub use ledger::job::{
    Admission, Claimed, Compaction, Fence, JobFilter, JobRef, Known, Lease, Lookup, NewJob, Nonce, Put, Restatement,
    Staged, Stored, SubmissionClaim, Version,
};
pub use ledger::slots::{SlotUse, Unused};
pub use ledger::unreadable::Unreadable;
pub use ledger::{CLAIM_MAX, Ledger, STAGE_CHUNK, STAGING_TIMEOUT, SharedLedger};
pub use migration::content_name;
pub use open::{LedgerUrl, open};
#[cfg(feature = "simulated")]
pub use random::simulated;
pub use redis::{RedisLedger, RedisUrl};
#[cfg(feature = "simulated")]
pub use sqlite::Past;
pub use sqlite::{SqliteLedger, TimeSource};
pub use transfer::{CheckedExport, Exported, Moving, check, export};
pub use veobatch_core::account::{
    Blocked, Daily, DailyBudget, Day, GATE_MAX, Gate, GateReport, Pace, SLOT_HOURS, TROUBLE_WAIT, TROUBLES,
};
