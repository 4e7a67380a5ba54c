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
    /// Which kinds of work it does.
    pub lanes: Vec<Lane>,
    /// Paid calls, polls and downloads at a time.
    pub concurrency: Concurrency,
    /// How often to look.
    pub policy: PollPolicy,
    /// Submits for these batches only; follows and saves everything.
    pub only: Option<Vec<BatchId>>,
    /// Its hours: outside of them it submits only for batches that have a window of their own.
    pub window: Option<Window>,
    /// When it ends by itself.
    pub until: Until,
    /// Free bytes on the output's file system below which nothing is submitted.
    pub min_free: u64,
    /// What is put up with from file hosts.
    pub downloads: Downloads,
    /// Fetch files from private and loopback addresses too (the API base is one itself).
    pub private_hosts: bool,
    /// Submit although the ledger may lose paid work.
    pub accept_data_loss: bool,
    /// What a person says about the ledger's past.
    pub past: Past,
    /// Callbacks, if they are to be asked for and heard.
    pub callbacks: Option<Callbacks>,
    /// What becomes of jobs in doubt, in the batches that it submits for.
    pub in_doubt: InDoubtPolicy,
    /// Jobs that are done for so long are made compact; `None`: never.
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

/// What is put up with from file hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloads {
    /// Most bytes of a file.
    pub largest: u64,
    /// Fewest bytes a second, on the average of [`Self::over`].
    pub slowest: u64,
    /// So long a host may send less than that.
    pub over: Duration,
    /// Longest time of one try.
    pub within: Duration,
}

/// What a person says about a ledger that may not know its own past.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    /// It took the place of those whose journals are in the state directory: it is told what they know.
    pub adopt_journals: bool,
    /// It was restored from a backup, and may submit once it was told what it forgot.
    pub accept_restored: bool,
}

/// Steps at a time, by lane.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    /// Paid calls.
    pub submit: usize,
    /// Polls.
    pub follow: usize,
    /// Downloads.
    pub save: usize,
}

/// Submissions wait for their answers at 2 per second, polls take a fraction of a second, downloads are few and long.
impl Default for Concurrency {
    fn default() -> Self {
        Self { submit: 32, follow: 64, save: 8 }
    }
}

/// When a worker ends by itself.
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
    /// Its [`Until`] came true.
    Finished,
    /// It was told to stop.
    Stopped,
}

/// Why a worker could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Files cannot be fetched or written: the output or state directory, or the HTTP client. Found before anything is
    /// submitted; with a hint.
    #[error("{0}")]
    Directory(String),
    /// Callbacks cannot be listened for.
    #[error("callbacks cannot be listened for: {0}")]
    Listen(String),
    /// The service refuses the key, and did so again when it was asked for the balance.
    #[error("the service refuses the API key: {0}")]
    KeyRefused(String),
    /// The ledger may lose paid work.
    #[error("the ledger may lose paid work: {0}")]
    Unsafe(String),
    /// The ledger, at the start; or a newer program has changed its format.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Tells a worker to stop: first gracefully, then at once.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new claims; calls under way are waited for, 75 s at most.
    pub graceful: tokio_util::sync::CancellationToken,
    /// Do not wait: calls under way may be left in doubt.
    pub now: tokio_util::sync::CancellationToken,
}
