//! Whether the service lets this process in.
//!
//! ```text
//! key refused (401, 403) ─────────────┐                  ┌─ refused again ─▶ the process ends
//!                                     ├─▶ ask for the    ┼─ answered ──────▶ work continues after a wait
//! a page instead of an answer (403) ──┘   balance ◀─┐    └─ anything else ─┐
//!                                                   └────── after 10 s ────┘
//! ```
//!
//! One answer may be a mistake, and a firewall's page says nothing about the key. So a free request decides, and until it is
//! answered this process submits nothing: a paid call whose answer is hidden by such a page would be in doubt. The gate
//! closes for all workers, since most of them are behind the same firewall.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use veobatch_core::{Credits, Trouble, TroubleKind};
use veobatch_ledger::AccountUpdate;

use crate::Client;
use crate::account::gate::{BLOCKED_WAIT, blocked_wait};
use crate::runtime::context::Context;

/// Wait between two requests for the balance while access is uncertain.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Watches for refused keys and firewalls, and clears them up by asking for the balance.
#[derive(Debug)]
pub(crate) struct Access {
    context: Arc<Context>,
    client: Arc<Client>,
    problem: Mutex<Option<Problem>>,
    changed: Notify,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    KeyRefused(String),
    /// A firewall answered in place of the service, and asked for this wait.
    Blocked(String, Duration),
}

impl Access {
    pub(crate) fn new(context: Arc<Context>, client: Arc<Client>) -> Self {
        Self { context, client, problem: Mutex::default(), changed: Notify::new() }
    }

    /// Takes note of trouble that concerns the whole process. The job keeps its trouble and is polled again.
    pub(crate) fn report(&self, trouble: &Trouble) {
        match trouble.kind {
            TroubleKind::KeyRefused => self.key_refused(&trouble.message),
            TroubleKind::Blocked => self.blocked(&trouble.message, trouble.retry_after),
            TroubleKind::Transport | TroubleKind::RateLimited | TroubleKind::Busy => {}
        }
    }

    /// An answer said that the key is refused.
    pub(crate) fn key_refused(&self, message: &str) {
        let mut problem = self.problem();
        if !matches!(*problem, Some(Problem::KeyRefused(_))) {
            warn!(%message, "the service refused the API key; asking for the balance to be sure");
            *problem = Some(Problem::KeyRefused(message.to_owned()));
            self.changed.notify_one();
        }
    }

    /// A firewall answered in place of the service.
    pub(crate) fn blocked(&self, message: &str, asked: Option<Duration>) {
        let mut problem = self.problem();
        if problem.is_none() {
            warn!(%message, "something in front of the service turns requests away: the gate closes for a while");
            *problem = Some(Problem::Blocked(message.to_owned(), blocked_wait(asked)));
            self.changed.notify_one();
        }
    }

    /// Whether nothing speaks against submitting.
    pub(crate) fn is_open(&self) -> bool {
        self.problem().is_none()
    }

    /// Why this process submits nothing.
    pub(crate) fn why_closed(&self) -> Option<String> {
        match &*self.problem() {
            None => None,
            Some(Problem::KeyRefused(message)) => Some(format!("the service refused the API key: {message}")),
            Some(Problem::Blocked(message, _)) => {
                Some(format!("something in front of the service turns requests away: {message}"))
            }
        }
    }

    /// Clears up each problem, until `end`.
    pub(crate) async fn watch(&self, end: &CancellationToken) {
        loop {
            let Some(problem) = self.problem().clone() else {
                if end.run_until_cancelled(self.changed.notified()).await.is_none() {
                    return;
                }
                continue;
            };
            if end.run_until_cancelled(self.clear_up(problem)).await.is_none() {
                return;
            }
        }
    }

    /// Asks for the balance until the answer settles `problem`.
    async fn clear_up(&self, problem: Problem) {
        if let Problem::Blocked(message, wait) = &problem {
            self.close_gate(message.clone(), *wait).await;
        }
        while !self.is_settled(&problem, self.client.credits().await).await {
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Whether the answer to the request for the balance settles `problem`.
    async fn is_settled(&self, problem: &Problem, answer: Result<Credits, Trouble>) -> bool {
        match (answer, problem) {
            (Ok(_), problem) => {
                if let Problem::KeyRefused(message) = problem {
                    // The key is valid, but the next call would probably be refused as well.
                    let why = format!("the key was refused, but not for the balance: {message}");
                    self.close_gate(why, BLOCKED_WAIT).await;
                }
                info!("the service accepts the key: work continues, and one submission tries the gate");
                self.set(None);
                true
            }
            (Err(Trouble { kind: TroubleKind::KeyRefused, .. }), Problem::KeyRefused(message)) => {
                self.context.shutdown.key_refused(message);
                self.set(None);
                true
            }
            // The first refusal of the key: it has to be confirmed.
            (Err(Trouble { kind: TroubleKind::KeyRefused, message, .. }), Problem::Blocked(..)) => {
                self.set(Some(Problem::KeyRefused(message)));
                true
            }
            (Err(trouble), _) => {
                debug!(why = %trouble.message, "the balance could not be read; asking again soon");
                false
            }
        }
    }

    /// Closes the gate for all workers for a while, unless it is closed.
    async fn close_gate(&self, why: String, wait: Duration) {
        let close_gate = Some((why, wait));
        if let Err(error) =
            self.context.ledger.update_account(&AccountUpdate { close_gate, ..AccountUpdate::default() }).await
        {
            warn!(%error, "the gate could not be closed; this process submits nothing all the same");
        }
    }

    fn set(&self, problem: Option<Problem>) {
        *self.problem() = problem;
    }

    fn problem(&self) -> MutexGuard<'_, Option<Problem>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
