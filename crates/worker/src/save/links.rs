//! New links for a finished task whose old ones no longer work.

use std::sync::Arc;

use veobatch_core::{Progress, Record, Resolution, SaveError, State, StrayState, Task, Upgrade};

use crate::Client;
use crate::account::access::Access;
use crate::account::upgrade::Upgrader;
use crate::runtime::claim::Claim;

/// Failed tries after which links as named by the service are not tried again.
const MAX_TRIES: u32 = 2;

/// Links that may work.
pub(super) enum Links {
    /// As the service names them now: stored with the job.
    Stored(Vec<String>),
    /// Made for us just now and valid for 20 minutes: used at once and not stored.
    Temporary(Vec<String>),
}

/// The state of a task's download, whether the task is the job's own or a stray.
#[derive(Debug, Default)]
pub(super) struct Download<'a> {
    urls: &'a [String],
    /// The size of the upgrade that the first link came from, if any.
    upgraded: Option<Resolution>,
    /// Failed tries so far.
    pub(super) tries: u32,
}

impl<'a> Download<'a> {
    pub(super) fn of(record: &'a Record, about: &Task) -> Self {
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

/// Asks the service for new links.
#[derive(Debug)]
pub(crate) struct LinkRenewer {
    pub(crate) client: Arc<Client>,
    pub(crate) access: Arc<Access>,
    pub(crate) upgrader: Upgrader,
}

impl LinkRenewer {
    /// Asks the service where `task`'s videos are now; if that does not help, for newly made links (docs/kie-api.md,
    /// section 8).
    pub(super) async fn renew(&self, claim: &Claim, refused: &Download<'_>, task: &Task) -> Result<Links, SaveError> {
        let mut urls = self.poll(task).await?;
        if let Some(size) = refused.upgraded {
            let url = self.upgrade_again(claim, task, size).await?;
            match urls.first_mut() {
                Some(first) => *first = url,
                None => urls.push(url),
            }
        }
        if refused.urls != urls && refused.tries < MAX_TRIES {
            return Ok(Links::Stored(urls));
        }
        self.refresh(&mut urls).await?;
        Ok(Links::Temporary(urls))
    }

    /// The links that `record-info` names.
    async fn poll(&self, task: &Task) -> Result<Vec<String>, SaveError> {
        match self.client.poll(&task.id).await.progress {
            Progress::Made { urls, .. } => Ok(urls),
            Progress::Trouble(trouble) => {
                self.access.report(&trouble);
                Err(SaveError::Transfer(trouble.message))
            }
            Progress::Missing(why) => Err(SaveError::Link(why)),
            Progress::Running => Err(SaveError::Link("the service says that it is still generating".to_owned())),
            Progress::NoOutput => Err(SaveError::Link("the service no longer names a video".to_owned())),
            Progress::Failed(failure) => Err(SaveError::Link(failure.message)),
        }
    }

    /// Replaces the links by new ones that the service makes. Those it makes none for stay.
    async fn refresh(&self, urls: &mut [String]) -> Result<(), SaveError> {
        for url in urls {
            match self.client.fresh_url(url).await {
                Ok(Some(fresh)) => *url = fresh,
                Ok(None) => {}
                Err(trouble) => {
                    self.access.report(&trouble);
                    return Err(SaveError::Transfer(trouble.message));
                }
            }
        }
        Ok(())
    }

    async fn upgrade_again(&self, claim: &Claim, task: &Task, to: Resolution) -> Result<String, SaveError> {
        match self.upgrader.upgrade(claim, task, to).await {
            Upgrade::Ready(url) => Ok(url),
            Upgrade::Waiting(why) | Upgrade::Unavailable(why) => Err(SaveError::Link(why)),
            Upgrade::Trouble(trouble) => Err(SaveError::Transfer(trouble.message)),
            Upgrade::NotAsked(_) => {
                Err(SaveError::Transfer("the account's pace had no room to ask for a new link".to_owned()))
            }
        }
    }
}
