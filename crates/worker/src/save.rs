//! The save lane's step: from the links of a finished task to files that are whole, checked and durable.
//!
//! ```text
//! links stale? ─▶ ask for new ones
//! links ─▶ part files (fetch) ─▶ names that are free (place) ─▶ sidecar ─▶ put
//! ```
//!
//! A crash anywhere leaves part files, or files that the next step finds to be its own. No other task's file is replaced.

pub(crate) mod fetch;
mod links;
pub(crate) mod mp4;
mod naming;
pub(crate) mod output;
pub(crate) mod part;
pub(crate) mod sidecar;

use tracing::{debug, info, warn};
use veobatch_core::{Event, Files, Lane, Record, Resolution, SaveError, State, Step, StrayState, Task, plan};

use self::links::{Links, renew};
use self::naming::{Saving, already_saved, move_into_place};
use crate::runtime::claim::Claim;
use crate::runtime::worker::Worker;
use crate::save::fetch::{Fetched, disk, fetch};

/// What was saved, and what a person should know about it.
type Saved = (Files, Option<String>);

/// Fetches the claimed job's videos, or new links to them.
pub(crate) async fn save(worker: &Worker, claim: &Claim) {
    let record = &claim.claimed.stored.record;
    let event = match plan(record, Lane::Save, None) {
        Step::Relink(task) => match renew(worker, claim, &Download::of(record, &task), &task).await {
            Ok(Links::Named(urls)) => Event::Relinked { task: task.id, urls },
            Ok(Links::Passing(urls)) => told(fetch_all(worker, claim, &task, &urls).await, task),
            Err(why) => Event::NotSaved { task: task.id, why },
        },
        Step::Save(task, urls) => told(fetch_all(worker, claim, &task, &urls).await, task),
        Step::Submit(_)
        | Step::Withdraw
        | Step::Orphan
        | Step::Poll(_)
        | Step::Compare(..)
        | Step::Upgrade(..)
        | Step::Nothing => {
            return worker.release(claim).await;
        }
    };
    worker.tell(claim, &event).await;
}

/// What came of a fetch, as the ledger is told it.
fn told(saved: Result<Saved, SaveError>, task: Task) -> Event {
    match saved {
        Ok((files, remark)) => {
            if let Some(remark) = &remark {
                warn!(%remark, task = %task.id, "saved");
            } else {
                info!(task = %task.id, "saved");
            }
            Event::Saved { task: task.id, files, remark }
        }
        Err(why) => {
            if let SaveError::Disk(words) = &why {
                warn!(%words, "a video that is paid for cannot be written; it is tried again");
            }
            Event::NotSaved { task: task.id, why }
        }
    }
}

async fn fetch_all(worker: &Worker, claim: &Claim, task: &Task, urls: &[String]) -> Result<Saved, SaveError> {
    let stored = &claim.claimed.stored;
    let (output, batch) = (worker.output.clone(), stored.key.batch.clone());
    let folder = blocking(move || output.folder(&batch).map_err(|error| disk(batch.as_str().as_ref(), &error))).await?;
    let saving = Saving {
        stored: stored.clone(),
        task: task.clone(),
        fence: claim.claimed.lease.fence.clone(),
        folder,
        saved_at: worker.clock.now().unwrap_or(stored.now),
        again: claim.claimed.deliveries > 1 || Download::of(&stored.record, task).tries > 0,
    };
    let known = saving.clone();
    if let Some(files) = blocking(move || already_saved(&known)).await? {
        info!(task = %task.id, "was saved already");
        return Ok(files);
    }
    let mut fetched = Vec::with_capacity(urls.len());
    for (number, url) in (1..).zip(urls) {
        match fetch_one(worker, claim, &saving, number, url).await {
            Ok(file) => fetched.push(file),
            Err(why) => return blocking(move || leave(fetched, why)).await,
        }
    }
    blocking(move || move_into_place(&saving, &mut fetched).or_else(|why| leave(fetched, why))).await
}

async fn fetch_one(
    worker: &Worker,
    claim: &Claim,
    saving: &Saving,
    number: usize,
    url: &str,
) -> Result<Fetched, SaveError> {
    let place = saving.clone();
    let part = blocking(move || place.part(number)).await?;
    fetch(&worker.files, url, part, &claim.hold, &worker.downloads).await
}

/// Leaves what was fetched already to a later step. It is on disk, so even a full one need not give it back.
fn leave<T>(fetched: Vec<Fetched>, why: SaveError) -> Result<T, SaveError> {
    for mut file in fetched {
        if let Err(error) = file.part.keep() {
            debug!(%error, "a whole file cannot be kept, and is fetched again");
            file.part.discard();
        }
    }
    Err(why)
}

/// How far the download of a task is, be it the job's own or one beside it.
#[derive(Debug, Default)]
struct Download<'a> {
    urls: &'a [String],
    /// The size of the upgrade that the first link came from, if it did.
    upgraded: Option<Resolution>,
    /// Failed tries so far.
    tries: u32,
}

impl<'a> Download<'a> {
    fn of(record: &'a Record, about: &Task) -> Self {
        if let State::Downloading { task, urls, size, upgraded, tries, .. } = &record.state
            && task.id == about.id
        {
            let size = size.unwrap_or(record.resolution);
            return Self { urls, upgraded: upgraded.then_some(size), tries: *tries };
        }
        match record.stray(&about.id).map(|stray| &stray.fate) {
            Some(StrayState::Made { urls, tries, .. }) => Self { urls, upgraded: None, tries: *tries },
            Some(StrayState::Awaited { .. } | StrayState::Saved(_) | StrayState::Gone(_)) | None => Self::default(),
        }
    }
}

/// Runs file work off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SaveError> + Send + 'static,
) -> Result<T, SaveError> {
    crate::runtime::blocking::run(work).await.unwrap_or_else(|error| Err(SaveError::Disk(error.to_string())))
}
