//! The size of a finished video that the service does not tell, read from the file's own index before a larger version is
//! bought: the one that is there may be as large as the one that was asked for, and paid for already.
//!
//! ```text
//! first bytes ─▶ ftyp │ moov │ …      the index comes first: one request
//!                ftyp │ mdat ───▶ moov      it comes last: one request more
//! ```

use std::time::Duration;

use tracing::warn;
use veobatch_api::{DownloadError, FileHost};
use veobatch_core::{Progress, Record, Resolution, State, Task, Trouble, TroubleKind};

use crate::runtime::worker::Worker;
use crate::save::mp4::{self, Picture};

/// Bytes of one request: enough for the index of a short video, where it comes first.
const SOME: usize = 64 << 10;

/// The largest index that is fetched; one of a video of 8 s has some 10 KiB.
const LARGEST: u64 = 4 << 20;

/// Most boxes of a file, and so requests, that are looked at.
const MOST_BOXES: usize = 16;

/// All of it takes so long at most; then the task is polled again.
const WITHIN: Duration = Duration::from_secs(30);

/// What a poll of `task` said, with the size of its video where that decides over money and was not told.
pub(crate) async fn sized(worker: &Worker, record: &Record, task: &Task, progress: Progress) -> Progress {
    let Progress::Made { urls, resolution: None } = &progress else { return progress };
    let is_own = matches!(&record.state, State::Generating { task: own, .. } if own.id == task.id);
    let Some(first) = urls.first().filter(|_| is_own && record.resolution > Resolution::default()) else {
        return progress;
    };
    match measured(worker, first).await {
        Ok(picture) => Progress::Made { urls: urls.clone(), resolution: picture.map(Picture::resolution) },
        Err(trouble) => Progress::Trouble(trouble),
    }
}

/// The picture of the file at `url`; `None` if nobody can tell. In trouble it may be told later.
async fn measured(worker: &Worker, url: &str) -> Result<Option<Picture>, Trouble> {
    let reading = async {
        match picture(&worker.files, url).await {
            // As for a download: the service makes new links for old ones.
            Err(DownloadError::Link(why)) => match worker.client.fresh_url(url).await? {
                Some(fresh) => picture(&worker.files, &fresh).await.map_err(trouble),
                None => Err(trouble(DownloadError::Link(why))),
            },
            Err(DownloadError::Refused(why)) => {
                warn!(%why, "the size of a finished video cannot be told");
                Ok(None)
            }
            read => read.map_err(trouble),
        }
    };
    let late = |_| Err(unread("it took too long", None));
    tokio::time::timeout(WITHIN, reading).await.unwrap_or_else(late)
}

fn trouble(error: DownloadError) -> Trouble {
    match error {
        DownloadError::Link(why) | DownloadError::Refused(why) => unread(&why, None),
        DownloadError::Transfer { message, retry_after } => unread(&message, retry_after),
    }
}

fn unread(why: &str, retry_after: Option<Duration>) -> Trouble {
    let message = format!("the size of the finished video could not be read: {why}");
    Trouble { kind: TroubleKind::Transport, message, retry_after }
}

/// The picture of the MP4 at `url`, as its index tells it; `None` if none is found.
async fn picture(host: &FileHost, url: &str) -> Result<Option<Picture>, DownloadError> {
    let (mut at, mut held) = (0, host.part(url, 0, SOME).await?);
    for _ in 0..MOST_BOXES {
        let Some((kind, size)) = inside(&held.bytes, held.starts_at, at).and_then(mp4::header) else {
            if at == held.starts_at {
                return Ok(None);
            }
            held = host.part(url, at, SOME).await?;
            if held.starts_at != at {
                // A host that sends no parts, and what it sends first does not reach so far.
                return Ok(None);
            }
            continue;
        };
        if kind == *b"moov" {
            let Ok(whole) = usize::try_from(size.min(LARGEST)) else { return Ok(None) };
            if let Some(index) = inside(&held.bytes, held.starts_at, at).and_then(|rest| rest.get(..whole)) {
                return Ok(mp4::picture_of(index));
            }
            let index = host.part(url, at, whole).await?;
            return Ok(mp4::picture_of(&index.bytes).filter(|_| index.starts_at == at));
        }
        at = at.saturating_add(size);
    }
    Ok(None)
}

/// The bytes from `at` on, of those that begin at `starts_at`.
fn inside(bytes: &[u8], starts_at: u64, at: u64) -> Option<&[u8]> {
    let skipped = usize::try_from(at.checked_sub(starts_at)?).ok()?;
    bytes.get(skipped..)
}

#[cfg(test)]
#[path = "measure/tests.rs"]
mod tests;
