//! A whole ledger as lines of text: written from either kind, read into an empty one of either kind.
//!
//! ```text
//! export   source ─▶ header, account, batches with their jobs, tasks ─▶ end (counts, a digest of all lines before)
//!
//! import   check the file ─▶ target begun (nothing else can use it)
//!             ─▶ source moved, if it is still what was exported (it changes no more)
//!             ─▶ lines, chunk by chunk, each with how far the target is by then
//!             ─▶ source given up ─▶ target in use
//! ```
//!
//! At no time can both submit. The source decides: from its mark on it refuses every change, and names the one import that
//! goes on; another import takes over only as long as the first has not *given up* the source, which an import must do before
//! its target can be used. Whoever dies anywhere on the way leaves something that the same command takes to its end:
//!
//! | died before | the source | the target | the same command again |
//! |---|---|---|---|
//! | the mark | as it was | begun, unusable | begins anew |
//! | the last line | moved, not given up | unusable | goes on behind the last chunk; into another target if this one is lost |
//! | the source was given up | moved, not given up | whole, unusable | gives it up |
//! | the target is in use | given up | whole, unusable | puts it in use |
//!
//! "Still what was exported" is a stamp that every change renews: a count and the time, so that a ledger which went back
//! and on has another one. Lines are what a newer program or a bad disk left, byte for byte; what this program cannot read is
//! carried along. The format is described in `docs/ledger-export.md`.

mod bytes;
mod check;
mod ends;
mod line;
mod moving;
mod writing;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use veobatch_core::Timestamp;

use crate::{LedgerError, LedgerId};

pub(crate) use bytes::{Bytes, bytes_of, digits};
pub use check::{CheckedExport, check};
pub(crate) use line::{
    AccountLine, Alias, Batch, Daily, End, ExportEntry, Fast, Gate, Header, Heard, Job, Low, Seen, Slot, TaskOf,
    Unreadable, VERSION,
};
pub use moving::Moving;
pub use writing::{Exported, export};

/// Until the next change: the largest number that Lua counts to.
pub(crate) const UNLIMITED: u64 = 9_007_199_254_740_991;

/// Jobs of one chunk: a few ms of a Redis server's time.
pub(crate) const CHUNK: usize = 200;

/// One end of an export or import, beside [`crate::Ledger`]: it is asked while the ledger itself refuses everything.
#[async_trait]
pub(crate) trait Endpoint: Send + Sync {
    /// How it stands.
    async fn standing(&self) -> Result<Standing, LedgerError>;

    /// Sends everything as of one moment, the header first. `source` is what the header says of where it is.
    ///
    /// # Errors
    /// [`LedgerError::Transfer`] if it changed meanwhile and cannot be told as of one moment.
    async fn export(&self, source: &str, lines: mpsc::Sender<Sent>) -> Result<(), LedgerError>;

    /// Is the target of this import from now on and can be used by nothing else, if it is empty, or begun by an import that
    /// has added nothing. Returns how many entries it has by now, if it is the target of this very import already.
    ///
    /// # Errors
    /// [`LedgerError::Transfer`] if it is neither.
    async fn begin(&self, import: &Import) -> Result<u64, LedgerError>;

    /// Adds entries behind the first `from`, all or none. Nothing happens if it has them already.
    async fn add(&self, import: &Import, from: u64, entries: &[ExportEntry]) -> Result<(), LedgerError>;

    /// Can be used from now on. Repeating it changes nothing.
    async fn finish(&self, import: &Import) -> Result<(), LedgerError>;

    /// An import that has added nothing is off, and the target empty again.
    async fn call_off(&self, import: &Import) -> Result<(), LedgerError>;

    /// Changes no more, if it is still at `stamp` and nobody works on it. `dry`: only says whether it would.
    ///
    /// # Errors
    /// [`LedgerError::Transfer`] says what is in the way.
    async fn mark(&self, stamp: &str, moved: &Moved, dry: bool) -> Result<(), LedgerError>;

    /// The import may be put in use: no other one takes over from now on.
    async fn give_up(&self, import: &Import) -> Result<(), LedgerError>;
}

/// What an export sends.
#[derive(Debug)]
pub(crate) enum Sent {
    Header(Box<Header>),
    ExportEntry(Box<ExportEntry>),
    /// At the end: jobs that were staged and not published, which are left out.
    LeftOut(u64),
}

/// How a ledger stands to exports and imports.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) id: Option<LedgerId>,
    /// Where its jobs went.
    pub(crate) moved: Option<Moved>,
    /// The import that it is the target of, or was.
    pub(crate) import: Option<Import>,
}

/// One import: of one file into one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Import {
    /// Random.
    pub(crate) id: String,
    /// The digest of the file, from its end.
    pub(crate) digest: String,
    /// Which ledger it becomes.
    pub(crate) ledger: LedgerId,
    /// How many submissions that one had granted, if it counted them; its mark as moved is one more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grants: Option<u64>,
    /// The source's time as of the export.
    pub(crate) exported: Timestamp,
    /// The source could not be marked as moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_copy: bool,
    /// The target's time when it began.
    #[serde(default)]
    pub(crate) begun: Timestamp,
    /// It can be used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) done: bool,
}

impl Import {
    /// How times are brought in.
    pub(crate) fn shift(&self) -> Shift {
        Shift::between(self.exported, self.begun)
    }
}

/// Where a ledger's jobs went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// The import's id.
    pub(crate) import: String,
    /// The target, as a person reads it.
    pub(crate) to: String,
    /// No other import takes over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) given_up: bool,
}

impl Moved {
    /// Reads the mark as it is stored; of one that cannot be read nothing is known but that it is there.
    pub(crate) fn parse(stored: &str) -> Self {
        serde_json::from_str(stored).unwrap_or_else(|_| Self {
            import: String::new(),
            to: "another ledger".to_owned(),
            given_up: true,
        })
    }

    pub(crate) fn error(self) -> LedgerError {
        LedgerError::Moved { to: self.to }
    }
}

/// Why a source cannot be marked for the import of `moved`, if it was moved before.
pub(crate) fn refuse_moved(before: Option<&Moved>, moved: &Moved) -> Result<(), LedgerError> {
    match before {
        Some(before) if before.given_up && before.import != moved.import => Err(LedgerError::Transfer(format!(
            "its jobs were moved to {} already: export that ledger instead",
            before.to
        ))),
        Some(_) | None => Ok(()),
    }
}

pub(crate) fn not_empty() -> LedgerError {
    LedgerError::Transfer(
        "the target is in use already: an import needs an empty ledger (another file, or another queue)".to_owned(),
    )
}

pub(crate) fn begun_elsewhere() -> LedgerError {
    LedgerError::Transfer(
        "the import of another file into this ledger has begun: give that file again, or name another, empty ledger"
            .to_owned(),
    )
}

pub(crate) fn out_of_step() -> LedgerError {
    LedgerError::Transfer("another import is at work on this ledger: wait for it to end".to_owned())
}

pub(crate) fn changed() -> LedgerError {
    LedgerError::Transfer(
        "it changed since it was exported, so the file does not know all that was paid for: export it again".to_owned(),
    )
}

/// How the times of the source become those of the target, whose clock may be behind: what is due is never later by that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift(u64);

impl Shift {
    /// From the time of an export to that of the target.
    pub(crate) fn between(exported: Timestamp, now: Timestamp) -> Self {
        Self(exported.as_millis().saturating_sub(now.as_millis()))
    }

    /// A time of the queue.
    pub(crate) fn of(self, ms: u64) -> u64 {
        if ms >= UNLIMITED { ms } else { ms.saturating_sub(self.0) }
    }

    /// In microseconds.
    pub(crate) fn micros(self, us: i64) -> i64 {
        us.saturating_sub(i64::try_from(self.0.saturating_mul(1000)).unwrap_or(i64::MAX)).max(0)
    }
}
