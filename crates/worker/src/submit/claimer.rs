//! The claimer of the submit lane: one token, one grant, one paid call.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use veobatch_api::{Permit, wall_clock};
use veobatch_core::{Lane, Outcome, Timestamp, Token};
use veobatch_ledger::{Arrival, Blocked, Claimed, GateReport, LedgerError, Lookup, Settle, SubmissionClaim};

use crate::runtime::backoff::Backoff;
use crate::runtime::claim::{BEGIN_WITHIN, Claim, STALL, SubmitPermit};
use crate::runtime::claimer::{is_over, rest};
use crate::runtime::evidence::{Evidence, record_outcome};
use crate::runtime::leases::LEASE;
use crate::runtime::random;
use crate::runtime::worker::Worker;
use crate::submit::worker_window::Allowed;

/// How long one try to give back a claim may take; a stopping worker makes one. Its journal knows the claim otherwise.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(5);

/// Claims submissions.
#[derive(Debug)]
pub(crate) struct Submissions {
    worker: Arc<Worker>,
    slots: Arc<Semaphore>,
    claims: mpsc::Sender<Claim>,
}

/// What asking for a grant came to.
enum Asked {
    Granted(Box<Claimed>, SubmitPermit),
    /// The worker is closing; `true` if the ledger may have granted it.
    Closing(bool),
    /// The ledger granted it, and by now it is too late to use it.
    TooLate,
}

impl Submissions {
    pub(crate) fn new(worker: Arc<Worker>, slots: usize, claims: mpsc::Sender<Claim>) -> Self {
        Self { worker, slots: Arc::new(Semaphore::new(slots)), claims }
    }

    /// Claims until the worker is closing.
    pub(crate) async fn run(&self) {
        while let Some(slot) = self.prepare().await {
            let token = Token::of_attempt(random::bits(), self.worker.receiver.is_some());
            if !self.note(&token).await {
                return;
            }
            match self.ask(&token).await {
                Asked::Granted(claimed, permit) => self.send(claimed, permit, slot).await,
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

    /// Waits for a free slot; `None` if the worker is closing.
    async fn prepare(&self) -> Option<OwnedSemaphorePermit> {
        let closing = &self.worker.shutdown.closing;
        let slot = closing.run_until_cancelled(Arc::clone(&self.slots).acquire_owned()).await?.ok()?;
        (!closing.is_cancelled()).then_some(slot)
    }

    /// Writes the token into the journal before its first claim: nothing is claimed that the journal does not know.
    async fn note(&self, token: &Token) -> bool {
        let mut backoff = Backoff::until(self.worker.shutdown.closing.clone());
        while let Err(error) = self.worker.journal.claiming(token).await {
            if !backoff.wait("the journal cannot be written, so nothing is submitted", &error).await {
                return false;
            }
        }
        true
    }

    /// Asks with the same token until there is a grant: an answer that is lost on the way costs nothing.
    async fn ask(&self, token: &Token) -> Asked {
        let worker = &self.worker;
        let mut backoff = Backoff::until(worker.shutdown.closing.clone());
        let mut uncertain = false;
        let mut waiting = None;
        loop {
            if worker.shutdown.closing.is_cancelled() {
                return Asked::Closing(uncertain);
            }
            // A grant whose answer was lost is asked for all the same: it may be there.
            if !uncertain && (worker.backpressure.is_on() || !worker.access.is_open()) {
                rest(worker, None).await;
                continue;
            }
            let only = match self.allowed().await {
                Allowed::All => worker.only.clone(),
                Allowed::Only(own, from) if own.is_empty() && !uncertain => {
                    rest(worker, Some(from)).await;
                    continue;
                }
                Allowed::Only(own, _) => Some(own.into_iter().filter(|batch| worker.serves(batch)).collect()),
            };
            let until = Instant::now() + BEGIN_WITHIN;
            let until_wall = wall_clock() + BEGIN_WITHIN;
            match worker.ledger.claim_submission(token, only.as_deref(), LEASE, STALL).await {
                Ok(SubmissionClaim::Granted(mut claimed)) => {
                    let Some(grant) = claimed.grant.take() else { return Asked::TooLate };
                    return Asked::Granted(claimed, Permit::new(grant, until, until_wall));
                }
                Ok(SubmissionClaim::Wait { why, until, now }) => {
                    backoff.succeeded();
                    worker.clock.saw(now);
                    uncertain = false;
                    say(why, &mut waiting);
                    rest(worker, until).await;
                }
                Err(LedgerError::LostLease) => return Asked::TooLate,
                Err(error) if is_over(&error) => worker.shutdown.outdated(error),
                Err(error) => {
                    uncertain = true;
                    backoff.wait("no submission can be claimed", &error).await;
                }
            }
        }
    }

    /// For which batches submissions may be claimed now.
    async fn allowed(&self) -> Allowed {
        let worker = &self.worker;
        if !worker.window.is_limited() {
            return Allowed::All;
        }
        if let Some(now) = worker.clock.calendar() {
            return worker.window.allowed(now);
        }
        match worker.ledger.info().await {
            Ok(info) => worker.window.allowed(info.calendar),
            // It cannot be asked for the time, and so for nothing else.
            Err(_) => Allowed::Only(Vec::new(), Timestamp::default()),
        }
    }

    async fn send(&self, claimed: Box<Claimed>, permit: SubmitPermit, slot: OwnedSemaphorePermit) {
        self.worker.clock.saw(claimed.stored.now);
        let hold = self.worker.leases.hold(claimed.lease.clone(), Lane::Submit);
        let settle = OnceLock::new();
        let claim = Claim { lane: Lane::Submit, claimed, permit: Some(permit), settle, hold, _slot: slot };
        // There is room for every slot, and the lane outlives its claimer; if not, the journal knows that nothing was sent.
        drop(self.claims.send(claim).await);
    }

    /// Puts the job that `token` was granted, if it was, back into the queue: nothing was sent for it.
    async fn give_back(&self, token: &Token) {
        let mut backoff = Backoff::until(self.worker.shutdown.closing.clone());
        loop {
            let error = match tokio::time::timeout(GIVE_BACK_WITHIN, self.try_give_back(token)).await {
                Ok(Ok(())) => return self.settled(token).await,
                Ok(Err(error)) => error,
                Err(_) => LedgerError::Unavailable("it did not answer in time".to_owned()),
            };
            // As long as this process lives nobody replays its journal: without this, the job would stay in doubt.
            if !backoff.wait("a claim cannot be given back", &error).await {
                return warn!(%error, "a claim could not be given back; the journal knows that it was not sent");
            }
        }
    }

    async fn try_give_back(&self, token: &Token) -> Result<(), LedgerError> {
        let worker = &self.worker;
        let Some(key) = worker.ledger.owner(Lookup::Token(token)).await? else { return Ok(()) };
        let Some(stored) = worker.ledger.find(Lookup::Name(&key)).await? else { return Ok(()) };
        let outcome = Outcome::NotSent("its claim was answered too late".to_owned());
        let settle = Settle { token: token.clone(), arrival: Arrival::Never, gate: GateReport::Silent };
        let evidence = Evidence { token, outcome, settle: Some(settle), lease: None };
        let mut backoff = Backoff::until(worker.shutdown.now.clone());
        record_outcome(worker.ledger.as_ref(), &worker.learning.policy(), stored, evidence, &mut backoff)
            .await
            .map(drop)
    }

    async fn settled(&self, token: &Token) {
        if let Err(error) = self.worker.journal.settled(token).await {
            warn!(%error, "the journal could not be written; a later replay will find nothing to do");
        }
    }
}

/// Says what submissions wait for, once for each reason.
fn say(why: Blocked, said: &mut Option<Blocked>) {
    if said.replace(why) == Some(why) {
        return;
    }
    match why {
        Blocked::Gate => info!("submissions wait: the account's gate is closed"),
        Blocked::Cap => info!("submissions wait: as many videos are in flight as the cap allows"),
        Blocked::Recovery => {
            warn!(
                "submissions wait: the ledger's server is another one or was started anew; it is told what the journals know"
            );
        }
        Blocked::Window => info!("submissions wait: no batch with queued jobs is in its window"),
        Blocked::Budget => info!("submissions wait: a budget is used up"),
        Blocked::Slot | Blocked::Work => debug!(?why, "submissions wait"),
    }
}
