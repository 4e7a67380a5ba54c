//! Asking for a larger version of a video. The first call per size is charged, so each call needs a grant of the ledger,
//! and a call for 4k a slot of the account's pace: the service counts it as a submission (docs/kie-api.md, section 11).
//!
//! Repeating a call buys nothing again, so there is no intent and no journal. What it may cost was reserved by the claim of
//! the submission.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::debug;
use veobatch_api::{Permit, wall_clock};
use veobatch_core::{Resolution, Task, Token, Trouble, TroubleKind, Upgrade, Upgrading};
use veobatch_ledger::{Issuer, LedgerError, UpgradeClaim};

use crate::Client;
use crate::account::access::Access;
use crate::account::gate::after_upgrade;
use crate::runtime::backoff::Backoff;
use crate::runtime::claim::{BEGIN_WITHIN, Claim, STALL};
use crate::runtime::context::Context;
use crate::runtime::random;

/// Makes upgrade calls.
#[derive(Clone, Debug)]
pub(crate) struct Upgrader {
    pub(crate) context: Arc<Context>,
    pub(crate) client: Arc<Client>,
    pub(crate) access: Arc<Access>,
}

impl Upgrader {
    /// Asks once for the version `to` of the task's first video, if the account's pace has room for the call.
    pub(crate) async fn upgrade(&self, claim: &Claim, task: &Task, to: Resolution) -> Upgrade {
        let token = Token::of_attempt(random::bits(), false);
        let is_paced = match to {
            Resolution::P720 | Resolution::P1080 => false,
            Resolution::K4 => true,
        };
        let permit = match self.permit(claim, &token, is_paced).await {
            Ok(permit) => permit,
            Err(upgrade) => return upgrade,
        };
        let answer = Box::pin(self.client.upgrade(permit, &task.id, to, 0)).await;
        if is_paced && claim.settle.set(after_upgrade(token, &answer)).is_err() {
            debug!("a step made two upgrade calls; the slot of the first will expire");
        }
        if let Upgrade::Trouble(trouble) = &answer.outcome {
            self.access.report(trouble);
        }
        answer.outcome
    }

    /// A permit for one call; `Err` is the result of the upgrade if there is none.
    async fn permit(&self, claim: &Claim, token: &Token, is_paced: bool) -> Result<Permit<Issuer, Upgrading>, Upgrade> {
        let Context { ledger, clock, shutdown, .. } = self.context.as_ref();
        let mut backoff = Backoff::until(shutdown.closing.clone());
        loop {
            let (until, until_wall) = (Instant::now() + BEGIN_WITHIN, wall_clock() + BEGIN_WITHIN);
            let error = match ledger.claim_upgrade(&claim.claimed.lease, token, is_paced.then_some(STALL)).await {
                Ok(UpgradeClaim::Granted(grant)) => return Ok(Permit::new(grant, until, until_wall)),
                Ok(UpgradeClaim::Wait { why, until, now }) => {
                    debug!(?why, "the upgrade call has to wait");
                    clock.set(now);
                    return Err(Upgrade::NotAsked(until));
                }
                Err(error) => error,
            };
            let is_outage = matches!(error, LedgerError::Unavailable(_));
            if !is_outage || !backoff.wait("an upgrade call cannot be claimed", &error).await {
                let (kind, message) = (TroubleKind::Transport, error.to_string());
                return Err(Upgrade::Trouble(Trouble { kind, message, retry_after: None }));
            }
        }
    }
}
