//! One file from a link to a part file: streamed, hashed on the way, synced, its length and structure checked.
//!
//! ```text
//! network ─▶ chunks ─▶ small bounded channel ─▶ a blocking thread that writes and hashes ─▶ fsync ─▶ check
//! ```

mod limits;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, warn};
use veobatch_api::{Download, DownloadError, FileHost, Resume, redact};
use veobatch_core::SaveError;

use self::limits::{Watch, too_large};
use crate::Downloads;
use crate::failpoint::Failpoint;
use crate::runtime::blocking;
use crate::runtime::leases::Hold;
use crate::save::mp4::{self, CheckError, Measured};
use crate::save::output::Content;
use crate::save::part::{Part, Source};

/// Longest silence of a file host; the lease of a step that heard nothing for so long is not renewed either.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// How often a fetch that broke off goes on where it ended, within one step.
const RESUMPTIONS: u32 = 3;

/// Chunks between the network and the disk; hyper's have at most some 400 KiB, usually 8.
const CHUNKS: usize = 4;

/// A file that is on disk under a passing name, whole and checked.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) part: Part,
    pub(crate) url: String,
    pub(crate) content: Content,
    pub(crate) picture: Measured,
}

/// What the writing thread is told.
enum Order {
    /// What comes next is from here; the file starts over if so.
    From(Source, bool),
    Write(Bytes),
    /// That was all. A thread that is left without this order keeps what it has for a later step.
    Whole,
}

/// Fetches `url` into `part`, from where that ends if the host still has the same file.
///
/// Whatever goes wrong on the way, the part is left for a later step to go on with; but not if it is in the way on a
/// disk that is full, nor if what came is no video, or too much.
pub(crate) async fn fetch(
    host: &FileHost,
    url: &str,
    part: Part,
    hold: &Hold,
    limits: &Downloads,
) -> Result<Fetched, SaveError> {
    let path = part.path();
    let (orders, inbox) = mpsc::channel(CHUNKS);
    let (from, is_whole) = (resume(&part, url), part.is_whole());
    let writer = blocking::feed(inbox, Writing { part, whole: None }, Writing::take, Writing::finish);
    let streaming = async move {
        if is_whole {
            debug!("all of it is there already");
            drop(orders.send(Order::Whole).await);
            return Ok(None);
        }
        stream(host, url, from, (hold, limits), orders).await
    };
    let (streamed, written) = tokio::join!(streaming, writer);
    // A disk that failed is the cause, even where the stream then failed as well.
    let (part, content) = written.map_err(|error| disk(&path, &error))?;
    let total = match streamed {
        Ok(total) => total,
        Err(Broken::TooLarge(why)) => {
            part.discard();
            let words = format!("the file is not fetched: {why} ({})", redact(url));
            warn!(%words, "a video that is paid for is not saved");
            return Err(SaveError::Transfer(words));
        }
        Err(Broken::Off(why)) => return Err(why),
    };
    if let Some(total) = total.filter(|total| *total != content.bytes) {
        part.discard();
        return Err(SaveError::Content(format!("{} of {total} bytes came from {}", content.bytes, redact(url))));
    }
    match check(path.clone(), content.bytes).await {
        Ok(picture) => {
            hold.alive();
            Ok(Fetched { part, url: url.to_owned(), content, picture })
        }
        Err(CheckError::NotAVideo(why)) => {
            part.discard();
            Err(SaveError::Content(format!("what came from {} is not a whole video: it {why}", redact(url))))
        }
        Err(CheckError::Unreadable(error)) => Err(disk(&path, &error)),
    }
}

/// What to ask the host for, if there is something to go on with.
fn resume(part: &Part, url: &str) -> Option<Resume> {
    let validator = part.source().validator_for(url)?.to_owned();
    Some(Resume { offset: part.bytes(), validator }).filter(|resume| resume.offset > 0)
}

/// Why a file is not there.
enum Broken {
    /// It is larger than a person allowed.
    TooLarge(String),
    /// For any other reason.
    Off(SaveError),
}

/// Streams the file to the writing thread; returns its length if the host said it.
async fn stream(
    host: &FileHost,
    url: &str,
    mut from: Option<Resume>,
    (hold, limits): (&Hold, &Downloads),
    orders: mpsc::Sender<Order>,
) -> Result<Option<u64>, Broken> {
    let (mut resumptions, mut watch) = (0, Watch::new(limits));
    loop {
        let offset = from.as_ref().map_or(0, |resume| resume.offset);
        let mut download = host.open(url, from).await.map_err(|error| Broken::Off(hindrance(url, &error)))?;
        let mut at = download.starts_at;
        let least = download.total.unwrap_or_else(|| at.saturating_add(download.length.unwrap_or_default()));
        if let Some(why) = too_large(limits, least) {
            return Err(Broken::TooLarge(why));
        }
        if offset > 0 {
            debug!(offset, at, "a fetch goes on where an earlier one ended");
        }
        let source = Source::new(url, download.validator.clone(), download.total);
        drop(orders.send(Order::From(source, at == 0)).await);
        match pass_on(&mut download, &mut at, (hold, &mut watch), &orders).await {
            Ok(()) => {
                if let Some(why) = too_large(limits, at) {
                    return Err(Broken::TooLarge(why));
                }
                drop(orders.send(Order::Whole).await);
                return Ok(download.total);
            }
            Err(error) if resumptions < RESUMPTIONS && at > offset && is_transfer(&error) && !watch.is_over() => {
                debug!(%error, at, "a fetch broke off; it goes on");
                resumptions += 1;
                from = download.validator.take().map(|validator| Resume { offset: at, validator });
            }
            Err(error) => return Err(Broken::Off(hindrance(url, &error))),
        }
    }
}

/// Passes on what comes, and counts it in `at`. Ends early if the writing thread has ended, which knows why, and once it is
/// more than is allowed.
async fn pass_on(
    download: &mut Download,
    at: &mut u64,
    (hold, watch): (&Hold, &mut Watch<'_>),
    orders: &mpsc::Sender<Order>,
) -> Result<(), DownloadError> {
    loop {
        let silent = |_| DownloadError::Transfer { message: "nothing came for a minute".to_owned(), retry_after: None };
        let asked = Instant::now();
        let chunk = tokio::time::timeout(SILENCE, download.chunk()).await.map_err(silent)??;
        let Some(chunk) = chunk else { return Ok(()) };
        hold.alive();
        let bytes = chunk.len() as u64;
        *at += bytes;
        if watch.is_too_much(*at) {
            return Ok(());
        }
        watch.came(bytes, asked.elapsed())?;
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

fn hindrance(url: &str, error: &DownloadError) -> SaveError {
    let words = format!("{error} ({})", redact(url));
    match error {
        DownloadError::Link(_) | DownloadError::Refused(_) => SaveError::Link(words),
        DownloadError::Transfer { .. } => SaveError::Transfer(words),
    }
}

/// A part that is being written, and its content once all of it is there.
struct Writing {
    part: Part,
    whole: Option<Content>,
}

impl Writing {
    /// Carries out `order`. A part that could not be written is not kept.
    fn take(mut self, order: Order) -> io::Result<Self> {
        match self.obey(order) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.part.discard();
                Err(error)
            }
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::From(source, anew) => {
                if anew && self.part.bytes() > 0 {
                    self.part.start_over()?;
                }
                self.part.goes_on(source);
            }
            Order::Write(chunk) => {
                self.part.write(&chunk)?;
                Failpoint::Part.reached();
            }
            Order::Whole => self.whole = Some(self.part.seal()?),
        }
        Ok(())
    }

    /// If that was all, the file is synced and known when this returns, and else kept for later.
    fn finish(mut self) -> io::Result<(Part, Content)> {
        let content = match self.whole.take() {
            Some(content) => Ok(content),
            None => self.part.keep().map(|()| self.part.content()),
        };
        match content {
            Ok(content) => Ok((self.part, content)),
            Err(error) => {
                self.part.discard();
                Err(error)
            }
        }
    }
}

async fn check(path: PathBuf, length: u64) -> Result<Measured, CheckError> {
    blocking::run(move || mp4::check(&mut BufReader::new(File::open(path)?), length)).await?
}

/// Our disk is in the way: nothing is lost, the job waits.
pub(crate) fn disk(path: &Path, error: &io::Error) -> SaveError {
    SaveError::Disk(format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "fetch/tests.rs"]
mod tests;
