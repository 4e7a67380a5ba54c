//! Claims for the submit lane: one token, one grant, one paid call.
//!
//! The token is in the journal before the first claim with it. A claim is repeated with the same token until there is a
//! grant, so an answer that is lost costs nothing. A claim in progress at shutdown is not cancelled, since its answer may be
//! a grant.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use veobatch_api::{Permit, wall_clock};
use veobatch_core::{BatchId, Lane, Outcome, Timestamp, Token};
use veobatch_ledger::{Arrival, Blocked, Claimed, GateReport, LedgerError, Lookup, Settle, SubmissionClaim};

use crate::account::access::Access;
use crate::journal::Journal;
use crate::runtime::backoff::Backoff;
use crate::runtime::changes::{Evidence, record_outcome};
use crate::runtime::claim::{BEGIN_WITHIN, Claim, STALL, SubmitPermit};
use crate::runtime::context::Context;
use crate::runtime::leases::LEASE;
use crate::runtime::random;
use crate::runtime::shutdown::is_permanent;
use crate::submit::backpressure::Backpressure;
use crate::submit::worker_window::{Allowed, WorkerWindow};

/// Time limit of one try to give back a claim; a worker that shuts down makes one. Otherwise its journal knows the claim.
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(5);

/// What decides whether and for which batches this process submits now.
#[derive(Debug)]
pub(crate) struct SubmitRules {
    pub(crate) backpressure: Arc<Backpressure>,
    pub(crate) access: Arc<Access>,
    pub(crate) window: Arc<WorkerWindow>,
    /// Submits for these batches only.
    pub(crate) only: Option<Vec<BatchId>>,
    /// Whether attempts ask for callbacks.
    pub(crate) asks_for_callbacks: bool,
}

impl SubmitRules {
    fn serves(&self, batch: &BatchId) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|one| one.folded() == batch.folded()))
    }
}

/// Claims submissions while there is room in the lane.
#[derive(Debug)]
pub(crate) struct SubmissionClaimer {
    context: Arc<Context>,
    journal: Journal,
    rules: Arc<SubmitRules>,
    room: Arc<Semaphore>,
    claims: mpsc::Sender<Claim>,
}

/// The result of asking for a grant.
enum Asked {
    Granted(Box<Claimed>, SubmitPermit),
    /// The worker is shutting down; `true` if the ledger may have granted it.
    Closing(bool),
    /// The ledger granted it, but it is too late to use it.
    TooLate,
}

impl SubmissionClaimer {
    pub(crate) fn new(
        context: Arc<Context>,
        journal: Journal,
        rules: Arc<SubmitRules>,
        concurrency: usize,
        claims: mpsc::Sender<Claim>,
    ) -> Self {
        Self { context, journal, rules, room: Arc::new(Semaphore::new(concurrency)), claims }
    }

    /// Claims until the worker shuts down.
    pub(crate) async fn run(&self) {
        while let Some(room) = self.wait_for_room().await {
            let token = Token::of_attempt(random::bits(), self.rules.asks_for_callbacks);
            if !self.write_down(&token).await {
                return;
            }
            match self.ask(&token).await {
                Asked::Granted(claimed, permit) => self.send(claimed, permit, room).await,
                Asked::TooLate => self.give_back(&token).await,
                Asked::Closing(uncertain) => {
                    if uncertain {
                        self.give_back(&token).await;
                    } else {
                        self.settled(&token).await;
                    }
                    return;
                }
            }
        }
    }

    /// Waits for room in the lane; `None` if the worker is shutting down.
    async fn wait_for_room(&self) -> Option<OwnedSemaphorePermit> {
        let closing = &self.context.shutdown.closing;
        let room = closing.run_until_cancelled(Arc::clone(&self.room).acquire_owned()).await?.ok()?;
        (!closing.is_cancelled()).then_some(room)
    }

    /// Writes the token to the journal before its first claim: nothing is claimed that the journal does not know.
    async fn write_down(&self, token: &Token) -> bool {
        let mut backoff = Backoff::until(self.context.shutdown.closing.clone());
        while let Err(error) = self.journal.claiming(token).await {
            if !backoff.wait("the journal cannot be written, so nothing is submitted", &error).await {
                return false;
            }
        }
        true
    }

    /// Asks with the same token until there is a grant.
    async fn ask(&self, token: &Token) -> Asked {
        let context = self.context.as_ref();
        let mut backoff = Backoff::until(context.shutdown.closing.clone());
        let mut uncertain = false;
        let mut logged = None;
        loop {
            if context.shutdown.closing.is_cancelled() {
                return Asked::Closing(uncertain);
            }
            // A grant whose answer was lost is asked for all the same: it may be there.
            if !uncertain && (self.rules.backpressure.is_on() || !self.rules.access.is_open()) {
                context.wait_until(None).await;
                continue;
            }
            let only = match self.allowed().await {
                Allowed::All => self.rules.only.clone(),
                Allowed::Only(own, from) if own.is_empty() && !uncertain => {
                    context.wait_until(Some(from)).await;
                    continue;
                }
                Allowed::Only(own, _) => Some(own.into_iter().filter(|batch| self.rules.serves(batch)).collect()),
            };
            let until = Instant::now() + BEGIN_WITHIN;
            let until_wall = wall_clock() + BEGIN_WITHIN;
            match context.ledger.claim_submission(token, only.as_deref(), LEASE, STALL).await {
                Ok(SubmissionClaim::Granted(mut claimed)) => {
                    let Some(grant) = claimed.grant.take() else { return Asked::TooLate };
                    return Asked::Granted(claimed, Permit::new(grant, until, until_wall));
                }
                Ok(SubmissionClaim::Wait { why, until, now }) => {
                    backoff.succeeded();
                    context.clock.set(now);
                    uncertain = false;
                    log_wait(why, &mut logged);
                    context.wait_until(until).await;
                }
                Err(LedgerError::LostLease) => return Asked::TooLate,
                Err(error) if is_permanent(&error) => context.shutdown.ledger_unusable(error),
                Err(error) => {
                    uncertain = true;
                    backoff.wait("no submission can be claimed", &error).await;
                }
            }
        }
    }

    /// For which batches submissions may be claimed now.
    async fn allowed(&self) -> Allowed {
        let (context, window) = (self.context.as_ref(), &self.rules.window);
        if !window.is_limited() {
            return Allowed::All;
        }
        if let Some(now) = context.clock.calendar() {
            return window.allowed(now);
        }
        match context.ledger.info().await {
            Ok(info) => window.allowed(info.calendar),
            // If the ledger cannot tell the time, it can grant nothing either.
            Err(_) => Allowed::Only(Vec::new(), Timestamp::default()),
        }
    }

    async fn send(&self, claimed: Box<Claimed>, permit: SubmitPermit, room: OwnedSemaphorePermit) {
        self.context.clock.set(claimed.stored.now);
        let hold = self.context.leases.hold(claimed.lease.clone(), Lane::Submit);
        let settle = OnceLock::new();
        let claim = Claim { lane: Lane::Submit, claimed, permit: Some(permit), settle, hold, _room: room };
        // The channel has room, and the lane outlives its claimer. If not, the journal knows that nothing was sent.
        drop(self.claims.send(claim).await);
    }

    /// Puts the job that `token` was granted, if it was, back into the queue: nothing was sent for it.
    async fn give_back(&self, token: &Token) {
        let mut backoff = Backoff::until(self.context.shutdown.closing.clone());
        loop {
            let error = match tokio::time::timeout(GIVE_BACK_LIMIT, self.try_give_back(token)).await {
                Ok(Ok(())) => return self.settled(token).await,
                Ok(Err(error)) => error,
                Err(_) => LedgerError::Unavailable("it did not answer in time".to_owned()),
            };
            // While this process lives nobody replays its journal: without this, the job would stay in doubt.
            if !backoff.wait("a claim cannot be given back", &error).await {
                return warn!(%error, "a claim could not be given back; the journal knows that nothing was sent");
            }
        }
    }

    async fn try_give_back(&self, token: &Token) -> Result<(), LedgerError> {
        let Context { ledger, learning, shutdown, .. } = self.context.as_ref();
        let Some(key) = ledger.owner(Lookup::Token(token)).await? else { return Ok(()) };
        let Some(stored) = ledger.find(Lookup::Name(&key)).await? else { return Ok(()) };
        let outcome = Outcome::NotSent("its claim was answered too late".to_owned());
        let settle = Settle { token: token.clone(), arrival: Arrival::Never, gate: GateReport::Silent };
        let evidence = Evidence { token, outcome, settle: Some(settle), lease: None };
        let mut backoff = Backoff::until(shutdown.now.clone());
        record_outcome(ledger.as_ref(), &learning.policy(), stored, evidence, &mut backoff).await.map(drop)
    }

    async fn settled(&self, token: &Token) {
        if let Err(error) = self.journal.settled(token).await {
            warn!(%error, "the journal could not be written; replaying it later will change nothing");
        }
    }
}

/// Logs what submissions wait for, once per reason.
fn log_wait(why: Blocked, logged: &mut Option<Blocked>) {
    if logged.replace(why) == Some(why) {
        return;
    }
    match why {
        Blocked::Gate => info!("submissions wait: the account's gate is closed"),
        Blocked::Cap => info!("submissions wait: as many videos are in flight as the cap allows"),
        Blocked::Recovery => {
            warn!("submissions wait: the ledger's server was replaced or restarted; the journals are replayed");
        }
        Blocked::Window => info!("submissions wait: no batch with queued jobs is in its window"),
        Blocked::Budget => info!("submissions wait: a budget is used up"),
        Blocked::Slot | Blocked::Work => debug!(?why, "submissions wait"),
    }
}
