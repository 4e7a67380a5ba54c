//! How a worker is told to work and to stop, and how it ends.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;
use veobatch_core::{BatchId, InDoubtPolicy, Lane, PollPolicy, Window};
use veobatch_ledger::LedgerError;

use crate::callback::signature::WebhookKey;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where finished videos go.
    pub output: PathBuf,
    /// Where the journal of paid calls is kept.
    pub state_dir: PathBuf,
    /// The lanes it works in.
    pub lanes: Vec<Lane>,
    /// Concurrent paid calls, polls and downloads.
    pub concurrency: Concurrency,
    /// How often to poll.
    pub policy: PollPolicy,
    /// Submits for these batches only; follows and saves everything.
    pub only: Option<Vec<BatchId>>,
    /// Its window: outside of it, it submits only for batches that have a window of their own.
    pub window: Option<Window>,
    /// When it ends without being told to.
    pub until: Until,
    /// Free bytes on the output's file system below which nothing is submitted.
    pub min_free: u64,
    /// Limits on downloads.
    pub downloads: Downloads,
    /// Also fetch files from private and loopback addresses (because the API base is one).
    pub private_hosts: bool,
    /// Submit although the ledger may lose paid work.
    pub accept_data_loss: bool,
    /// What a person decided about the ledger's past.
    pub past: Past,
    /// Callbacks, if they are to be requested and received.
    pub callbacks: Option<Callbacks>,
    /// What happens to jobs in doubt, in the batches it submits for.
    pub in_doubt: InDoubtPolicy,
    /// Jobs that have been done for this long are made compact; `None`: never.
    pub compact_after: Option<Duration>,
}

/// How callbacks are requested and received.
#[derive(Clone, Debug)]
pub struct Callbacks {
    /// Where to listen: `HOST:PORT`.
    pub listen: String,
    /// The public base of every callback URL, without user, query and fragment.
    pub url: Url,
    /// Verifies signatures; without it the token alone is the proof.
    pub key: Option<WebhookKey>,
}

/// Limits on downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloads {
    /// Largest file, in bytes.
    pub largest: u64,
    /// Lowest rate in bytes per second, averaged over [`Self::over`].
    pub slowest: u64,
    /// How long a host may send less than that.
    pub over: Duration,
    /// Time limit of one try.
    pub within: Duration,
}

/// What a person decided about a ledger that may not know its own past.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    /// It replaced the ledgers whose journals are in the state directory: they are replayed into it.
    pub adopt_journals: bool,
    /// It was restored from a backup, and may submit once what it forgot was replayed.
    pub accept_restored: bool,
}

/// Concurrent steps, by lane.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    /// Paid calls.
    pub submit: usize,
    /// Polls.
    pub follow: usize,
    /// Downloads.
    pub save: usize,
}

/// At 2 submissions per second some wait for their answers, polls take a fraction of a second, downloads are few and long.
impl Default for Concurrency {
    fn default() -> Self {
        Self { submit: 32, follow: 64, save: 8 }
    }
}

/// When a worker ends without being told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Never.
    Stopped,
    /// Once nothing can move without a person, in any batch.
    Idle,
    /// Once nothing of these batches can move without a person.
    Settled(Vec<BatchId>),
}

/// Why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerExit {
    /// Its [`Until`] was reached.
    Finished,
    /// It was told to stop.
    Stopped,
}

/// Why a worker could not continue.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Files cannot be fetched or written: the output or state directory, or the HTTP client. Found before anything is
    /// submitted; the message has a hint.
    #[error("{0}")]
    Directory(String),
    /// The listener for callbacks cannot be opened.
    #[error("cannot listen for callbacks: {0}")]
    Listen(String),
    /// The service refuses the key, and refused it again for the balance.
    #[error("the service refuses the API key: {0}")]
    KeyRefused(String),
    /// The ledger may lose paid work.
    #[error("the ledger may lose paid work: {0}")]
    Unsafe(String),
    /// The ledger, at the start; or a newer program has changed its format.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Tells a worker to stop, gracefully or at once.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new claims; calls in progress are waited for, 75 s at most.
    pub graceful: tokio_util::sync::CancellationToken,
    /// Do not wait: calls in progress may be left in doubt.
    pub now: tokio_util::sync::CancellationToken,
}
