//! Prompt files to checked jobs to the ledger.
//!
//! ```text
//! YAML, JSON ──▶ nodes ──▶ drafts ──▶ specs ──▶ spool ──▶ stage ──▶ arrange ──▶ publish
//! JSON lines ──┘   with places   fields,   ids,     on disk   nothing visible   all at once
//!                                rules     twins
//! ```
//!
//! [`check`] reads every source once and to the end, and reports *all* problems with file, line and column; a file with
//! one bad line admits nothing. What passed waits in a spool, a temporary file, so that exactly what was checked is
//! admitted, whatever happens to the source meanwhile, and memory does not grow with the file (except for 20 bytes a
//! job: two jobs of one name must be found). [`compare`] and [`admit`] take the spool to the ledger.
//!
//! Spends nothing, and decides nothing about a job's life.

mod admit;
mod arrange;
mod asked;
mod check;
mod compare;
mod defaults;
mod document;
mod draft;
mod field;
mod image;
mod json;
mod lines;
mod node;
mod problem;
mod restate;
mod roll;
mod rule;
mod source;
mod spool;
mod tally;
mod twice;
mod yaml;

use std::path::PathBuf;

use veobatch_core::BatchId;

pub use admit::{AdmitError, Admitted, admit};
pub use arrange::{Arranged, arrange, rearrange};
pub use asked::{BatchOptions, Setting, parse_budget, parse_priority, parse_weight};
pub use check::{Checked, check, check_with};
pub use compare::{Compared, Comparison, compare, compare_first};
pub use defaults::Defaults;
pub use problem::{Problem, Problems};
pub use restate::{PolicyChange, restate};
pub use tally::Estimate;
pub use yaml::parse_yaml;

/// Where jobs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file in YAML, JSON lines or JSON: by its extension, else by its content.
    File(PathBuf),
    /// Standard input, as JSON lines.
    Stdin {
        /// Standard input has no name that a batch could take.
        batch: BatchId,
    },
}
