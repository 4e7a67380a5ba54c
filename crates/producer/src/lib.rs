//! Prompt files to checked jobs to the ledger.
//!
//! ```text
//! YAML, JSON ──▶ nodes ──▶ drafts ──▶ specs ──▶ spool ──▶ stage ──▶ update ──▶ publish
//! JSON lines ──┘   with places   fields,   ids,     on disk   nothing visible   all at once
//!                                rules     numbers
//! ```
//!
//! [`check`] reads every source once and to the end, and reports *all* problems with file, line and column; a file with
//! one bad line admits nothing. What passed waits in a spool, a temporary file, so that exactly what was checked is
//! admitted, whatever happens to the source meanwhile, and memory does not grow with the file (except for 20 bytes a
//! job: two jobs of one name must be found). [`compare`] and [`admit`] take the spool to the ledger.
//!
//! Spends nothing, and decides nothing about a job's life.

mod admit;
mod batch_options;
mod check;
mod defaults;
mod estimate;
mod field;
mod formats;
mod problem;
mod spool;
mod update;

pub use admit::compare::{Compared, Comparison, compare, compare_first};
pub use admit::error::AdmitError;
pub use admit::restate::{PolicyChange, restate};
pub use admit::{Admitted, admit};
pub use batch_options::{BatchOptions, Setting, parse_budget, parse_priority, parse_weight};
pub use check::checked::Checked;
pub use check::{check, check_with};
pub use defaults::Defaults;
pub use estimate::Estimate;
pub use formats::source::Source;
pub use formats::yaml::parse_yaml;
pub use problem::{Problem, Problems};
pub use update::{UpdatedBatch, update_batch, update_batches};
