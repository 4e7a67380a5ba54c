//! New links for a finished task whose old ones do not work any more.

use veobatch_core::{Progress, Resolution, SaveError, Task, Upgrade};

use super::Download;
use crate::account::upgrade::upgrade;
use crate::follow::report_trouble;
use crate::runtime::claim::Claim;
use crate::runtime::worker::Worker;

/// So many failed tries show that links which the service names anew are no better than the old ones.
const TRIES: u32 = 2;

/// Links that may work.
pub(super) enum Links {
    /// As the service names them now: kept with the job.
    Named(Vec<String>),
    /// Made for us just now, and good for 20 minutes: used at once, and kept nowhere.
    Passing(Vec<String>),
}

/// Asks the service where `task`'s videos are now; if that is no help, for links made anew (docs/kie-api.md, section 8).
pub(super) async fn renew(
    worker: &Worker,
    claim: &Claim,
    refused: &Download<'_>,
    task: &Task,
) -> Result<Links, SaveError> {
    let mut urls = named(worker, task).await?;
    if let Some(size) = refused.upgraded {
        let url = upgrade_again(worker, claim, task, size).await?;
        match urls.first_mut() {
            Some(first) => *first = url,
            None => urls.push(url),
        }
    }
    if refused.urls != urls && refused.tries < TRIES {
        return Ok(Links::Named(urls));
    }
    refresh(worker, &mut urls).await?;
    Ok(Links::Passing(urls))
}

/// The links as `record-info` names them.
async fn named(worker: &Worker, task: &Task) -> Result<Vec<String>, SaveError> {
    match worker.client.poll(&task.id).await.progress {
        Progress::Made { urls, .. } => Ok(urls),
        Progress::Trouble(trouble) => {
            report_trouble(worker, &trouble);
            Err(SaveError::Transfer(trouble.message))
        }
        Progress::Missing(why) => Err(SaveError::Link(why)),
        Progress::Running => Err(SaveError::Link("the service says it is still being made".to_owned())),
        Progress::NoOutput => Err(SaveError::Link("the service names no video any more".to_owned())),
        Progress::Failed(failure) => Err(SaveError::Link(failure.message)),
    }
}

/// Replaces the links by others that the service makes; those it makes none for stay.
async fn refresh(worker: &Worker, urls: &mut [String]) -> Result<(), SaveError> {
    for url in urls {
        match worker.client.fresh_url(url).await {
            Ok(Some(fresh)) => *url = fresh,
            Ok(None) => {}
            Err(trouble) => {
                report_trouble(worker, &trouble);
                return Err(SaveError::Transfer(trouble.message));
            }
        }
    }
    Ok(())
}

async fn upgrade_again(worker: &Worker, claim: &Claim, task: &Task, to: Resolution) -> Result<String, SaveError> {
    match upgrade(worker, claim, task, to).await {
        Upgrade::Ready(url) => Ok(url),
        Upgrade::Waiting(why) | Upgrade::Unavailable(why) => Err(SaveError::Link(why)),
        Upgrade::Trouble(trouble) => Err(SaveError::Transfer(trouble.message)),
        Upgrade::NotAsked(_) => {
            Err(SaveError::Transfer("the account's pace had no room to ask for a new link".to_owned()))
        }
    }
}
