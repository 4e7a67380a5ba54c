//! The save lane's step: from the links of a finished task to files that are whole, checked and durable.
//!
//! ```text
//! links expired? ─▶ ask for new ones
//! links ─▶ part files (fetch) ─▶ free names (naming) ─▶ sidecar ─▶ put
//! ```
//!
//! A crash at any point leaves part files, or files that the next step recognises as its own. A file of another task is never
//! replaced.

pub(crate) mod content;
pub(crate) mod fetch;
pub(crate) mod links;
pub(crate) mod mp4;
mod naming;
pub(crate) mod output;
pub(crate) mod part;
pub(crate) mod sidecar;

use std::sync::Arc;

use tracing::{debug, info, warn};
use veobatch_api::FileHost;
use veobatch_core::{Event, Lane, SaveError, Step, Task, plan};

use self::links::{Download, LinkRenewer, Links};
use self::naming::{Saved, Saving, already_saved, move_into_place};
use crate::options::Downloads;
use crate::runtime::claim::Claim;
use crate::runtime::context::Context;
use crate::save::fetch::{Fetched, disk, fetch};
use crate::save::output::Output;

/// Saves finished videos.
#[derive(Debug)]
pub(crate) struct Saver {
    pub(crate) context: Arc<Context>,
    pub(crate) files: FileHost,
    pub(crate) output: Output,
    pub(crate) downloads: Downloads,
    pub(crate) links: LinkRenewer,
}

impl Saver {
    /// Fetches the claimed job's videos, or new links to them. `None` if there is nothing to do.
    pub(crate) async fn save(&self, claim: &Claim) -> Option<Event> {
        let record = &claim.claimed.stored.record;
        match plan(record, Lane::Save, None) {
            Step::Relink(task) => match self.links.renew(claim, &Download::of(record, &task), &task).await {
                Ok(Links::Stored(urls)) => Some(Event::Relinked { task: task.id, urls }),
                Ok(Links::Temporary(urls)) => Some(result(self.fetch_all(claim, &task, &urls).await, task)),
                Err(why) => Some(Event::NotSaved { task: task.id, why }),
            },
            Step::Save(task, urls) => Some(result(self.fetch_all(claim, &task, &urls).await, task)),
            Step::Submit(_)
            | Step::Withdraw
            | Step::Orphan
            | Step::Poll(_)
            | Step::Compare(..)
            | Step::Upgrade(..)
            | Step::Nothing => None,
        }
    }

    async fn fetch_all(&self, claim: &Claim, task: &Task, urls: &[String]) -> Result<Saved, SaveError> {
        let stored = &claim.claimed.stored;
        let (output, batch) = (self.output.clone(), stored.key.batch.clone());
        let folder =
            blocking(move || output.folder(&batch).map_err(|error| disk(batch.as_str().as_ref(), &error))).await?;
        let saving = Saving {
            stored: stored.clone(),
            task: task.clone(),
            fence: claim.claimed.lease.fence.clone(),
            folder,
            saved_at: self.context.clock.now().unwrap_or(stored.now),
            again: claim.claimed.deliveries > 1 || Download::of(&stored.record, task).tries > 0,
        };
        let known = saving.clone();
        if let Some(files) = blocking(move || already_saved(&known)).await? {
            info!(task = %task.id, "had been saved already");
            return Ok(files);
        }
        let mut fetched = Vec::with_capacity(urls.len());
        for (number, url) in (1..).zip(urls) {
            match self.fetch_one(claim, &saving, number, url).await {
                Ok(file) => fetched.push(file),
                Err(why) => return blocking(move || keep(fetched, why)).await,
            }
        }
        blocking(move || move_into_place(&saving, &mut fetched).or_else(|why| keep(fetched, why))).await
    }

    async fn fetch_one(&self, claim: &Claim, saving: &Saving, number: usize, url: &str) -> Result<Fetched, SaveError> {
        let saving = saving.clone();
        let part = blocking(move || saving.part(number)).await?;
        fetch(&self.files, url, part, &claim.hold, &self.downloads).await
    }
}

/// The result of a fetch as an event, logged.
fn result(saved: Result<Saved, SaveError>, task: Task) -> Event {
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
            if let SaveError::Disk(error) = &why {
                warn!(%error, "a paid video cannot be written; it will be tried again");
            }
            Event::NotSaved { task: task.id, why }
        }
    }
}

/// Keeps what was fetched for a later step. It is on disk already, so this works even on a full disk.
fn keep<T>(fetched: Vec<Fetched>, why: SaveError) -> Result<T, SaveError> {
    for mut file in fetched {
        if let Err(error) = file.part.keep() {
            debug!(%error, "a whole file cannot be kept, and will be fetched again");
            file.part.discard();
        }
    }
    Err(why)
}

/// Runs file work off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SaveError> + Send + 'static,
) -> Result<T, SaveError> {
    crate::runtime::blocking::run(work).await.unwrap_or_else(|error| Err(SaveError::Disk(error.to_string())))
}
