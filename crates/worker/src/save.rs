//! The save lane's step: from the links of a finished task to files that are whole, checked and durable.
//!
//! ```text
//! links stale? ─▶ ask for new ones
//! links ─▶ part files (fetch) ─▶ names that are free (place) ─▶ sidecar ─▶ put
//! ```
//!
//! A crash anywhere leaves part files, or files that the next step finds to be its own. No other task's file is replaced.

mod naming;

use std::fs;
use std::path::PathBuf;

use tracing::{info, warn};
use veobatch_core::{Event, Files, Hindrance, Lane, Progress, Record, Resolution, State, Step, Task, Upgrade, plan};

use self::naming::{Saving, already, put_down};
use crate::claim::Claim;
use crate::fetch::{Fetched, disk, fetch};
use crate::follow::heed;
use crate::output;
use crate::worker::Worker;

/// Fetches the claimed job's videos, or new links to them.
pub(crate) async fn save(worker: &Worker, claim: &Claim) {
    let event = match plan(&claim.claimed.stored.record, Lane::Save, None) {
        Step::Relink(task) => match relink(worker, &claim.claimed.stored.record, &task).await {
            Ok(urls) => Event::Relinked { task: task.id, urls },
            Err(why) => Event::NotSaved { task: task.id, why },
        },
        Step::Save(task, urls) => match fetch_all(worker, claim, &task, &urls).await {
            Ok((files, remark)) => {
                if let Some(remark) = &remark {
                    warn!(%remark, task = %task.id, "saved");
                } else {
                    info!(task = %task.id, "saved");
                }
                Event::Saved { task: task.id, files, remark }
            }
            Err(why) => {
                if let Hindrance::Disk(words) = &why {
                    warn!(%words, "a video that is paid for cannot be written; it is tried again");
                }
                Event::NotSaved { task: task.id, why }
            }
        },
        Step::Submit(_) | Step::Orphan | Step::Poll(_) | Step::Upgrade(..) | Step::Nothing => {
            return worker.release(claim).await;
        }
    };
    worker.tell(claim, &event).await;
}

/// The links as the service names them now.
async fn relink(worker: &Worker, record: &Record, task: &Task) -> Result<Vec<String>, Hindrance> {
    let mut urls = match worker.client.poll(&task.id).await.progress {
        Progress::Made { urls, .. } => urls,
        Progress::Trouble(trouble) => {
            heed(worker, &trouble);
            return Err(Hindrance::Transfer(trouble.message));
        }
        Progress::Missing(why) => return Err(Hindrance::Link(why)),
        Progress::Running => return Err(Hindrance::Link("the service says it is still being made".to_owned())),
        Progress::NoOutput => return Err(Hindrance::Link("the service names no video any more".to_owned())),
        Progress::Failed(failure) => return Err(Hindrance::Link(failure.message)),
    };
    if let Some(to) = upgraded(record) {
        let url = upgrade_again(worker, task, to).await?;
        match urls.first_mut() {
            Some(first) => *first = url,
            None => urls.push(url),
        }
    }
    if matches!(&record.state, State::Downloading { urls: refused, .. } if *refused == urls) {
        refresh(worker, &mut urls).await?;
    }
    Ok(urls)
}

/// The same links again are no help: the service makes others for files that it still has (kie-api.md, section 8).
async fn refresh(worker: &Worker, urls: &mut [String]) -> Result<(), Hindrance> {
    for url in urls {
        match worker.client.fresh_url(url).await {
            Ok(Some(fresh)) => *url = fresh,
            Ok(None) => {}
            Err(trouble) => {
                heed(worker, &trouble);
                return Err(Hindrance::Transfer(trouble.message));
            }
        }
    }
    Ok(())
}

/// The size of the upgrade that the first link came from, if it did.
fn upgraded(record: &Record) -> Option<Resolution> {
    match &record.state {
        State::Downloading { upgraded: true, size, .. } => Some(size.unwrap_or(record.resolution)),
        State::Downloading { .. }
        | State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => None,
    }
}

async fn upgrade_again(worker: &Worker, task: &Task, to: Resolution) -> Result<String, Hindrance> {
    match worker.client.upgrade(&task.id, to, 0).await {
        Upgrade::Ready(url) => Ok(url),
        Upgrade::Waiting(why) | Upgrade::Unavailable(why) => Err(Hindrance::Link(why)),
        Upgrade::Trouble(trouble) => {
            heed(worker, &trouble);
            Err(Hindrance::Transfer(trouble.message))
        }
    }
}

async fn fetch_all(
    worker: &Worker,
    claim: &Claim,
    task: &Task,
    urls: &[String],
) -> Result<(Files, Option<String>), Hindrance> {
    let stored = &claim.claimed.stored;
    let (output, batch) = (worker.output.clone(), stored.key.batch.clone());
    let folder = blocking(move || output.folder(&batch).map_err(|error| disk(batch.as_str().as_ref(), &error))).await?;
    let saved_at = worker.clock.now().unwrap_or(stored.now);
    let saving = Saving {
        stored: stored.clone(),
        task: task.clone(),
        fence: claim.claimed.lease.fence.clone(),
        folder: folder.clone(),
        saved_at,
        again: claim.claimed.deliveries > 1 || has_failed(&stored.record),
    };
    let known = saving.clone();
    if let Some(files) = blocking(move || already(&known)).await? {
        info!(task = %task.id, "was saved already");
        return Ok(files);
    }
    let mut fetched = Vec::with_capacity(urls.len());
    for (number, url) in (1..).zip(urls) {
        let part = output::part(&folder, &stored.key.job, &claim.claimed.lease.fence, number);
        match fetch(&worker.files, url, part.clone(), &claim.hold).await {
            Ok(file) => fetched.push(file),
            Err(why) => {
                fetched.iter().map(|file: &Fetched| file.part.clone()).chain([part]).for_each(discard);
                return Err(why);
            }
        }
    }
    blocking(move || {
        let put = put_down(&saving, &fetched);
        if put.is_err() {
            fetched.into_iter().map(|file| file.part).for_each(discard);
        }
        put
    })
    .await
}

/// Removes what no later step can use: the next one has another fence, and a full disk is no place for leftovers.
fn discard(part: PathBuf) {
    drop(fs::remove_file(part));
}

/// Whether an earlier try of this download left something behind.
fn has_failed(record: &Record) -> bool {
    matches!(record.state, State::Downloading { tries: 1.., .. })
}

/// Runs file work off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Hindrance> + Send + 'static,
) -> Result<T, Hindrance> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Hindrance::Disk(error.to_string())))
}
