//! Fetches one file into a part file: streamed, hashed on the way, synced, its length and structure checked.
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
use crate::failpoint::Failpoint;
use crate::options::Downloads;
use crate::runtime::blocking;
use crate::runtime::leases::Hold;
use crate::save::content::Content;
use crate::save::mp4::{self, CheckError, Measured};
use crate::save::part::{Part, Source};

/// Longest time without data from a file host; the lease of such a step is not renewed either.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How often an interrupted fetch is resumed within one step.
const MAX_RESUMPTIONS: u32 = 3;

/// Chunks between the network and the disk. Those of hyper have at most about 400 KiB, usually 8 KiB.
const BUFFERED_CHUNKS: usize = 4;

/// A file that is on disk under a temporary name, whole and checked.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) part: Part,
    pub(crate) url: String,
    pub(crate) content: Content,
    pub(crate) picture: Measured,
}

/// A message to the writing thread.
enum Order {
    /// What follows comes from this source; `true` if the file starts over.
    From(Source, bool),
    Write(Bytes),
    /// The file is complete. Without this message the thread keeps what it has for a later step.
    Whole,
}

/// Fetches `url` into `part`, resuming at its end if the host still has the same file.
///
/// Whatever goes wrong, the part is kept so that a later step can resume; except on a full disk, or if the data is not a
/// video or is too large.
pub(crate) async fn fetch(
    host: &FileHost,
    url: &str,
    part: Part,
    hold: &Hold,
    limits: &Downloads,
) -> Result<Fetched, SaveError> {
    let path = part.path();
    let (orders, inbox) = mpsc::channel(BUFFERED_CHUNKS);
    let (from, is_whole) = (resume(&part, url), part.is_whole());
    let writer = blocking::feed(inbox, Writing { part, whole: None }, Writing::take, Writing::finish);
    let streaming = async move {
        if is_whole {
            debug!("the part file is complete already");
            drop(orders.send(Order::Whole).await);
            return Ok(None);
        }
        stream(host, url, from, (hold, limits), orders).await
    };
    let (streamed, written) = tokio::join!(streaming, writer);
    // If the disk failed, that is the cause, even if the stream then failed as well.
    let (part, content) = written.map_err(|error| disk(&path, &error))?;
    let total = match streamed {
        Ok(total) => total,
        Err(Broken::TooLarge(why)) => {
            part.discard();
            let message = format!("the file is not fetched: {why} ({})", redact(url));
            warn!(%message, "a paid video is not saved");
            return Err(SaveError::Transfer(message));
        }
        Err(Broken::Failed(why)) => return Err(why),
    };
    if let Some(total) = total.filter(|total| *total != content.bytes) {
        part.discard();
        return Err(SaveError::Content(format!("received {} of {total} bytes from {}", content.bytes, redact(url))));
    }
    match check(path.clone(), content.bytes).await {
        Ok(picture) => {
            hold.progressed();
            Ok(Fetched { part, url: url.to_owned(), content, picture })
        }
        Err(CheckError::NotAVideo(why)) => {
            part.discard();
            Err(SaveError::Content(format!("the data from {} is not a whole video: it {why}", redact(url))))
        }
        Err(CheckError::Unreadable(error)) => Err(disk(&path, &error)),
    }
}

/// Where to resume, if there is something to resume.
fn resume(part: &Part, url: &str) -> Option<Resume> {
    let validator = part.source().validator_for(url)?.to_owned();
    Some(Resume { offset: part.bytes(), validator }).filter(|resume| resume.offset > 0)
}

/// Why a file could not be fetched.
enum Broken {
    /// It is larger than allowed.
    TooLarge(String),
    /// Any other reason.
    Failed(SaveError),
}

/// Streams the file to the writing thread; returns its length if the host sent it.
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
        let mut download = host.open(url, from).await.map_err(|error| Broken::Failed(save_error(url, &error)))?;
        let mut at = download.starts_at;
        let least = download.total.unwrap_or_else(|| at.saturating_add(download.length.unwrap_or_default()));
        if let Some(why) = too_large(limits, least) {
            return Err(Broken::TooLarge(why));
        }
        if offset > 0 {
            debug!(offset, at, "resuming a fetch");
        }
        let source = Source::new(url, download.validator.clone(), download.total);
        drop(orders.send(Order::From(source, at == 0)).await);
        match forward(&mut download, &mut at, (hold, &mut watch), &orders).await {
            Ok(()) => {
                if let Some(why) = too_large(limits, at) {
                    return Err(Broken::TooLarge(why));
                }
                drop(orders.send(Order::Whole).await);
                return Ok(download.total);
            }
            Err(error) if resumptions < MAX_RESUMPTIONS && at > offset && is_transfer(&error) && !watch.is_over() => {
                debug!(%error, at, "a fetch was interrupted; resuming it");
                resumptions += 1;
                from = download.validator.take().map(|validator| Resume { offset: at, validator });
            }
            Err(error) => return Err(Broken::Failed(save_error(url, &error))),
        }
    }
}

/// Forwards the data, and counts it in `at`. Ends early if the writing thread has ended, which reports why, and once the file
/// is larger than allowed.
async fn forward(
    download: &mut Download,
    at: &mut u64,
    (hold, watch): (&Hold, &mut Watch<'_>),
    orders: &mpsc::Sender<Order>,
) -> Result<(), DownloadError> {
    loop {
        let silent = |_| DownloadError::Transfer { message: "no data for a minute".to_owned(), retry_after: None };
        let asked = Instant::now();
        let chunk = tokio::time::timeout(READ_TIMEOUT, download.chunk()).await.map_err(silent)??;
        let Some(chunk) = chunk else { return Ok(()) };
        hold.progressed();
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

fn save_error(url: &str, error: &DownloadError) -> SaveError {
    let message = format!("{error} ({})", redact(url));
    match error {
        DownloadError::Link(_) | DownloadError::Refused(_) => SaveError::Link(message),
        DownloadError::Transfer { .. } => SaveError::Transfer(message),
    }
}

/// A part that is being written, and its content once it is complete.
struct Writing {
    part: Part,
    whole: Option<Content>,
}

impl Writing {
    /// Carries out `order`. A part that could not be written is discarded.
    fn take(mut self, order: Order) -> io::Result<Self> {
        match self.carry_out(order) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.part.discard();
                Err(error)
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::From(source, anew) => {
                if anew && self.part.bytes() > 0 {
                    self.part.start_over()?;
                }
                self.part.continue_from(source);
            }
            Order::Write(chunk) => {
                self.part.write(&chunk)?;
                Failpoint::Part.reached();
            }
            Order::Whole => self.whole = Some(self.part.seal()?),
        }
        Ok(())
    }

    /// A complete file is synced and hashed when this returns; an incomplete one is kept for later.
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

/// A failure of our own disk: nothing is lost, the job waits.
pub(crate) fn disk(path: &Path, error: &io::Error) -> SaveError {
    SaveError::Disk(format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "fetch/tests.rs"]
mod tests;
