//! One file from a link to a part file: streamed, hashed on the way, synced, its length and structure checked.
//!
//! ```text
//! network ─▶ chunks ─▶ small bounded channel ─▶ a blocking thread that writes and hashes ─▶ fsync ─▶ check
//! ```

use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tracing::debug;
use veobatch_api::{Download, DownloadError, FileHost, Resume, redact};
use veobatch_core::Hindrance;

use crate::leases::Hold;
use crate::mp4::{self, CheckError, Picture};
use crate::output::{Content, hex};

/// Longest silence of a file host; the lease of a step that heard nothing for so long is not renewed either.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// How often a fetch that broke off goes on where it ended, within one step.
const RESUMPTIONS: u32 = 3;

/// Chunks between the network and the disk; hyper's have at most some 400 KiB, usually 8.
const CHUNKS: usize = 4;

/// A file that is on disk under a passing name, whole and checked.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) part: PathBuf,
    pub(crate) url: String,
    pub(crate) content: Content,
    pub(crate) picture: Option<Picture>,
}

/// What the writing thread is told.
enum Order {
    Write(Bytes),
    /// The host starts over: so does the file.
    StartOver,
}

/// Fetches `url` into the file `part`.
pub(crate) async fn fetch(host: &FileHost, url: &str, part: PathBuf, hold: &Hold) -> Result<Fetched, Hindrance> {
    let (orders, inbox) = mpsc::channel(CHUNKS);
    let path = part.clone();
    let writer = tokio::task::spawn_blocking(move || write(&path, inbox));
    let streamed = stream(host, url, hold, orders).await;
    let written = writer.await.map_err(io::Error::other).flatten();
    // A disk that failed is the cause, even where the stream then failed as well.
    let content = written.map_err(|error| disk(&part, &error))?;
    let total = streamed?;
    if let Some(total) = total.filter(|total| *total != content.bytes) {
        return Err(Hindrance::Content(format!("{} of {total} bytes came from {}", content.bytes, redact(url))));
    }
    let picture = check(part.clone(), content.bytes).await.map_err(|error| match error {
        CheckError::NotAVideo(why) => {
            Hindrance::Content(format!("what came from {} is not a whole video: it {why}", redact(url)))
        }
        CheckError::Unreadable(error) => disk(&part, &error),
    })?;
    hold.alive();
    Ok(Fetched { part, url: url.to_owned(), content, picture })
}

/// Streams the file to the writing thread; returns its length if the host said it.
async fn stream(
    host: &FileHost,
    url: &str,
    hold: &Hold,
    orders: mpsc::Sender<Order>,
) -> Result<Option<u64>, Hindrance> {
    let mut from: Option<Resume> = None;
    let mut resumptions = 0;
    loop {
        let offset = from.as_ref().map_or(0, |resume| resume.offset);
        let mut download = host.open(url, from).await.map_err(|error| hindrance(url, &error))?;
        if offset > 0 && download.starts_at != offset {
            drop(orders.send(Order::StartOver).await);
        }
        let mut at = download.starts_at;
        match pass_on(&mut download, &mut at, hold, &orders).await {
            Ok(()) => return Ok(download.total),
            Err(error) if resumptions < RESUMPTIONS && at > offset && is_transfer(&error) => {
                debug!(%error, at, "a fetch broke off; it goes on");
                resumptions += 1;
                from = download.validator.take().map(|validator| Resume { offset: at, validator });
                if from.is_none() {
                    drop(orders.send(Order::StartOver).await);
                }
            }
            Err(error) => return Err(hindrance(url, &error)),
        }
    }
}

/// Passes on what comes, and counts it in `at`. Ends early if the writing thread has ended, which knows why.
async fn pass_on(
    download: &mut Download,
    at: &mut u64,
    hold: &Hold,
    orders: &mpsc::Sender<Order>,
) -> Result<(), DownloadError> {
    loop {
        let silent = |_| DownloadError::Transfer { message: "nothing came for a minute".to_owned(), retry_after: None };
        let chunk = tokio::time::timeout(SILENCE, download.chunk()).await.map_err(silent)??;
        let Some(chunk) = chunk else { return Ok(()) };
        hold.alive();
        *at += chunk.len() as u64;
        if orders.send(Order::Write(chunk)).await.is_err() {
            return Ok(());
        }
    }
}

fn is_transfer(error: &DownloadError) -> bool {
    match error {
        DownloadError::Transfer { .. } => true,
        DownloadError::Link(_) | DownloadError::Refused(_) => false,
    }
}

fn hindrance(url: &str, error: &DownloadError) -> Hindrance {
    let words = format!("{error} ({})", redact(url));
    match error {
        DownloadError::Link(_) | DownloadError::Refused(_) => Hindrance::Link(words),
        DownloadError::Transfer { .. } => Hindrance::Transfer(words),
    }
}

/// Writes and hashes what is ordered; the file is synced when this returns.
fn write(path: &Path, mut inbox: mpsc::Receiver<Order>) -> io::Result<Content> {
    let mut file = File::create(path)?;
    let (mut sha256, mut bytes) = (Sha256::new(), 0);
    while let Some(order) = inbox.blocking_recv() {
        match order {
            Order::Write(chunk) => {
                file.write_all(&chunk)?;
                sha256.update(&chunk);
                bytes += chunk.len() as u64;
            }
            Order::StartOver => {
                file.set_len(0)?;
                file.rewind()?;
                (sha256, bytes) = (Sha256::new(), 0);
            }
        }
    }
    file.sync_all()?;
    Ok(Content { bytes, sha256: hex(sha256) })
}

async fn check(path: PathBuf, length: u64) -> Result<Option<Picture>, CheckError> {
    let check = tokio::task::spawn_blocking(move || mp4::check(&mut BufReader::new(File::open(path)?), length));
    check.await.unwrap_or_else(|error| Err(CheckError::Unreadable(io::Error::other(error))))
}

/// Our disk is in the way: nothing is lost, the job waits.
pub(crate) fn disk(path: &Path, error: &io::Error) -> Hindrance {
    Hindrance::Disk(format!("{}: {error}", path.display()))
}
