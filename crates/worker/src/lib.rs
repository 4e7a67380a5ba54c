//! Moves jobs to their end: three lanes over the ledger, a journal of paid calls, downloads, the output directory.
//!
//! ```text
//!            ┌ claimer ─▶ submit ─▶ journal ══▶ the service ─▶ journal ─┐
//! [ledger] ──┼ claimer ─▶ follow ─────────────▶ the service ────────────┼──▶ [ledger]
//!            └ claimer ─▶ save ───▶ part file ─▶ <batch>/<job>.mp4 ─────┘
//! ```
//!
//! A step is always the same: a job is due, `plan` says what to do, it is done once, and the result is put. No step sleeps:
//! "come back at T" is a due time. Everything may safely be done twice, except for the paid call, which is made once per
//! intent in the ledger, between two lines of the journal.
//!
//! `work` puts a worker together and runs it; `lane` runs the steps of `submit`, `follow` and `save`; `upkeep` is what runs
//! periodically. All of them stand on `account`, `journal`, `callback` and `runtime`, and never the other way round.

mod account;
mod callback;
mod failpoint;
mod follow;
mod journal;
mod lane;
mod options;
mod runtime;
mod save;
#[cfg(test)]
mod simulation;
mod submit;
mod upkeep;
mod work;

/// The client of the service: it takes the ledger's grants, and no others.
pub type Client = veobatch_api::Client<veobatch_ledger::Issuer>;

pub use callback::signature::WebhookKey;
pub use failpoint::Failpoint;
#[cfg(feature = "failpoints")]
pub use failpoint::{FailpointAction, hang_while_there_is};
pub use journal::carry::carry_journals;
pub use journal::restored::{Restored, reconcile};
pub use options::{Callbacks, Concurrency, Downloads, Options, Past, Stop, Until, WorkError, WorkerExit};
pub use upkeep::cancellations::sweep;
pub use upkeep::compaction::compact;
pub use work::work;
