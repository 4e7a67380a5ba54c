//! Whether the service lets this process in.
//!
//! ```text
//! a refused key (401, 403) ──────────┐                       ┌─ refused too ─▶ the process ends
//!                                    ├─▶ ask for the balance ┼─ answered ────▶ work goes on, after a while
//! a page in place of an answer (403) ┘         ▲             └─ anything else ─┐
//!                                              └──────── a bit later ──────────┘
//! ```
//!
//! One answer may be a mistake, and a firewall's page says nothing of the key. So a free question decides, and until it is
//! answered this process submits nothing: a paid call whose answer such a page hides would be in doubt. The gate close_gate for
//! all machines, since most of them share what is in front of the service.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use veobatch_core::{Credits, Trouble, TroubleKind};
use veobatch_ledger::AccountUpdate;

use crate::runtime::worker::Worker;

/// How long the gate close_gate, at least, when the service or what is in front of it turns a call away.
pub(crate) const BLOCKED_WAIT: Duration = Duration::from_secs(20);

/// Between two questions, as long as the first is not answered.
const AGAIN: Duration = Duration::from_secs(10);

/// What was met, until the balance was told.
#[derive(Debug, Default)]
pub(crate) struct Access {
    met: Mutex<Option<Met>>,
    news: Notify,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Met {
    /// The key was refused.
    Refused(String),
    /// Something answered in the service's place, and asked for this wait.
    Blocked(String, Duration),
}

impl Access {
    /// An answer said that the key is refused.
    pub(crate) fn refused(&self, words: &str) {
        let mut met = self.met();
        if !matches!(*met, Some(Met::Refused(_))) {
            warn!(%words, "the service refused the API key; asking it for the balance to be sure");
            *met = Some(Met::Refused(words.to_owned()));
            self.news.notify_one();
        }
    }

    /// Something in front of the service answered in its place.
    pub(crate) fn blocked(&self, words: &str, asked: Option<Duration>) {
        let mut met = self.met();
        if met.is_none() {
            warn!(%words, "something in front of the service turns requests away: the gate close_gate for a while");
            *met = Some(Met::Blocked(words.to_owned(), BLOCKED_WAIT.max(asked.unwrap_or_default())));
            self.news.notify_one();
        }
    }

    /// Whether there is no question open.
    pub(crate) fn is_open(&self) -> bool {
        self.met().is_none()
    }

    /// Why this process submits nothing.
    pub(crate) fn words(&self) -> Option<String> {
        let words = match &*self.met() {
            None => return None,
            Some(Met::Refused(words)) => format!("the service refused the API key: {words}"),
            Some(Met::Blocked(words, _)) => format!("something in front of the service turns requests away: {words}"),
        };
        Some(words)
    }

    /// What was met is settled; `next` is what its question brought up.
    fn settled(&self, next: Option<Met>) {
        *self.met() = next;
    }

    fn met(&self) -> MutexGuard<'_, Option<Met>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the open question whenever there is one, until `end`.
pub(crate) async fn watch(worker: Arc<Worker>, end: CancellationToken) {
    let access = &worker.access;
    loop {
        let Some(met) = access.met().clone() else {
            if end.run_until_cancelled(access.news.notified()).await.is_none() {
                return;
            }
            continue;
        };
        if end.run_until_cancelled(ask(&worker, met)).await.is_none() {
            return;
        }
    }
}

/// Asks for the balance until the answer settles what was `met`.
async fn ask(worker: &Worker, met: Met) {
    if let Met::Blocked(words, wait) = &met {
        close_gate(worker, words.clone(), *wait).await;
    }
    while !is_settled(worker, &met, worker.client.credits().await).await {
        tokio::time::sleep(AGAIN).await;
    }
}

/// Takes note of the answer to the question for the balance; `true` if it settles what was `met`.
async fn is_settled(worker: &Worker, met: &Met, answer: Result<Credits, Trouble>) -> bool {
    let access = &worker.access;
    match (answer, met) {
        (Ok(_), met) => {
            if let Met::Refused(words) = met {
                // Not a matter of the key, then; but the next call would be refused as well.
                close_gate(worker, format!("the key was refused, but not for the balance: {words}"), BLOCKED_WAIT)
                    .await;
            }
            info!("the service tells the balance to this key: work goes on, and one submission tries the gate");
            access.settled(None);
            true
        }
        (Err(Trouble { kind: TroubleKind::KeyRefused, .. }), Met::Refused(words)) => {
            worker.shutdown.key_refused(words);
            access.settled(None);
            true
        }
        // The first that refuses the key: it is to be confirmed.
        (Err(Trouble { kind: TroubleKind::KeyRefused, message, .. }), Met::Blocked(..)) => {
            access.settled(Some(Met::Refused(message)));
            true
        }
        (Err(trouble), _) => {
            debug!(why = %trouble.message, "the balance is not told; asked again soon");
            false
        }
    }
}

/// Closes the gate for all, for a while, unless it is closed.
async fn close_gate(worker: &Worker, why: String, wait: Duration) {
    let close_gate = Some((why, wait));
    if let Err(error) = worker.ledger.update_account(&AccountUpdate { close_gate, ..AccountUpdate::default() }).await {
        warn!(%error, "the gate could not be closed; this process submits nothing all the same");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_closes_the_gate_for_as_long_as_it_asks_for_and_for_a_while_at_least() {
        for (asked, seconds) in [(None, 20), (Some(5), 20), (Some(90), 90)] {
            let access = Access::default();
            access.blocked("a page", asked.map(Duration::from_secs));
            assert_eq!(*access.met(), Some(Met::Blocked("a page".to_owned(), Duration::from_secs(seconds))));
        }
    }
}
