//! Processes that are stopped between a grant and its call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::processes::Owner;

/// Who is stopped, and who is about to be.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    pub(crate) wanted: Mutex<Vec<(Owner, Arc<Notify>)>>,
    /// By the job that was granted: rung when it is granted to somebody else.
    stopped: Mutex<BTreeMap<String, (Owner, Arc<Notify>)>>,
    pub(crate) news: Notify,
    /// How many are stopped, or went on so lately that they may still have something to tell.
    pub(crate) under_way: AtomicU32,
}

impl Stalls {
    /// `job` was granted to `owner`, who may be stopped for it.
    pub(crate) fn granted(&self, job: &str, owner: Owner, stops: impl FnOnce() -> bool) {
        let mut stopped = self.stopped.lock().unwrap();
        if let Some((_, again)) = stopped.get(job).filter(|(first, _)| *first != owner) {
            again.notify_one();
            stopped.remove(job);
        } else if stops() {
            let again = Arc::new(Notify::new());
            stopped.insert(job.to_owned(), (owner, Arc::clone(&again)));
            self.wanted.lock().unwrap().push((owner, again));
            self.under_way.fetch_add(1, Ordering::Relaxed);
            self.news.notify_one();
        }
    }

    /// Whether somebody may still tell of a grant of long ago.
    pub(crate) fn are_over(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }
}
