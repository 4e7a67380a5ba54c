//! The resolution of a finished video, read from the file's own index if the service does not tell it, before a larger
//! version is bought: the video may have the requested size already.
//!
//! ```text
//! first bytes ─▶ ftyp │ moov │ …      the index comes first: one request
//!                ftyp │ mdat ───▶ moov      it comes last: one more request
//! ```

use std::time::Duration;

use tracing::warn;
use veobatch_api::{DownloadError, FileHost};
use veobatch_core::{Progress, Record, Resolution, State, Task, Trouble, TroubleKind};

use crate::Client;
use crate::save::mp4::{self, Picture};

/// Bytes per request: enough for the index of a short video that begins with it.
const READ_BYTES: usize = 64 << 10;

/// Largest index that is fetched. That of a video of 8 s has about 10 KiB.
const MAX_INDEX_BYTES: u64 = 4 << 20;

/// Most boxes that are visited, and so most requests per file.
const MAX_BOXES: usize = 16;

/// Time limit for all requests together; then the task is polled again.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The result of a poll, completed by the video's resolution if that decides about a purchase and the service did not tell it.
pub(crate) async fn with_resolution(
    client: &Client,
    files: &FileHost,
    record: &Record,
    task: &Task,
    progress: Progress,
) -> Progress {
    let Progress::Made { urls, resolution: None } = &progress else { return progress };
    let is_own = matches!(&record.state, State::Generating { task: own, .. } if own.id == task.id);
    let Some(first) = urls.first().filter(|_| is_own && record.resolution > Resolution::default()) else {
        return progress;
    };
    match measure(client, files, first).await {
        Ok(picture) => Progress::Made { urls: urls.clone(), resolution: picture.map(Picture::resolution) },
        Err(trouble) => Progress::Trouble(trouble),
    }
}

/// The picture of the file at `url`; `None` if it has no readable index. Trouble is temporary.
async fn measure(client: &Client, files: &FileHost, url: &str) -> Result<Option<Picture>, Trouble> {
    let reading = async {
        match picture(files, url).await {
            // As for a download: the service makes new links for old ones.
            Err(DownloadError::Link(why)) => match client.fresh_url(url).await? {
                Some(fresh) => picture(files, &fresh).await.map_err(trouble),
                None => Err(trouble(DownloadError::Link(why))),
            },
            Err(DownloadError::Refused(why)) => {
                warn!(%why, "the resolution of a finished video cannot be determined");
                Ok(None)
            }
            read => read.map_err(trouble),
        }
    };
    let late = |_| Err(unread("it took too long", None));
    tokio::time::timeout(TIME_LIMIT, reading).await.unwrap_or_else(late)
}

fn trouble(error: DownloadError) -> Trouble {
    match error {
        DownloadError::Link(why) | DownloadError::Refused(why) => unread(&why, None),
        DownloadError::Transfer { message, retry_after } => unread(&message, retry_after),
    }
}

fn unread(why: &str, retry_after: Option<Duration>) -> Trouble {
    let message = format!("the resolution of the finished video could not be read: {why}");
    Trouble { kind: TroubleKind::Transport, message, retry_after }
}

/// The picture of the MP4 at `url`, as its index tells it; `None` if none is found.
async fn picture(host: &FileHost, url: &str) -> Result<Option<Picture>, DownloadError> {
    let (mut at, mut held) = (0, host.part(url, 0, READ_BYTES).await?);
    for _ in 0..MAX_BOXES {
        let Some((kind, size)) = inside(&held.bytes, held.starts_at, at).and_then(mp4::header) else {
            if at == held.starts_at {
                return Ok(None);
            }
            held = host.part(url, at, READ_BYTES).await?;
            if held.starts_at != at {
                // A host without range requests whose first bytes do not reach that far.
                return Ok(None);
            }
            continue;
        };
        if kind == *b"moov" {
            let Ok(whole) = usize::try_from(size.min(MAX_INDEX_BYTES)) else { return Ok(None) };
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
