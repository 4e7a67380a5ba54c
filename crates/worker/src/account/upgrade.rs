//! Asking for a larger version. The first call of a size pays, so each needs the ledger's leave, and one for 4k a slot of
//! the account's pace: the service counts it as a submission (docs/kie-api.md, section 11).
//!
//! Repeating a call buys nothing again, so there is no intent and no journal; what it may cost was set aside by the claim
//! of the submission.

use tokio::time::Instant;
use tracing::debug;
use veobatch_api::{Permit, wall_clock};
use veobatch_core::{Resolution, Task, Token, Trouble, TroubleKind, Upgrade, Upgrading};
use veobatch_ledger::{Issuer, LedgerError, UpgradeClaim};

use crate::follow::report_trouble;
use crate::runtime::backoff::Backoff;
use crate::runtime::claim::{BEGIN_WITHIN, Claim, STALL};
use crate::runtime::random;
use crate::runtime::worker::Worker;
use crate::submit::upgrade_settled;

/// Asks once for the version `to` of the task's first video, if the account's pace has room for the call.
pub(crate) async fn upgrade(worker: &Worker, claim: &Claim, task: &Task, to: Resolution) -> Upgrade {
    let token = Token::of_attempt(random::bits(), false);
    let is_paced = match to {
        Resolution::P720 | Resolution::P1080 => false,
        Resolution::K4 => true,
    };
    let permit = match leave(worker, claim, &token, is_paced).await {
        Ok(permit) => permit,
        Err(upgrade) => return upgrade,
    };
    let answer = Box::pin(worker.client.upgrade(permit, &task.id, to, 0)).await;
    if is_paced && claim.settle.set(upgrade_settled(token, &answer)).is_err() {
        debug!("a step made two upgrade calls; the first one's slot ends by itself");
    }
    if let Upgrade::Trouble(trouble) = &answer.outcome {
        report_trouble(worker, trouble);
    }
    answer.outcome
}

/// The ledger's leave for one call; or what is told instead of its answer.
async fn leave(
    worker: &Worker,
    claim: &Claim,
    token: &Token,
    is_paced: bool,
) -> Result<Permit<Issuer, Upgrading>, Upgrade> {
    let mut backoff = Backoff::until(worker.shutdown.closing.clone());
    loop {
        let (until, until_wall) = (Instant::now() + BEGIN_WITHIN, wall_clock() + BEGIN_WITHIN);
        let claimed = worker.ledger.claim_upgrade(&claim.claimed.lease, token, is_paced.then_some(STALL)).await;
        let error = match claimed {
            Ok(UpgradeClaim::Granted(grant)) => return Ok(Permit::new(grant, until, until_wall)),
            Ok(UpgradeClaim::Wait { why, until, now }) => {
                debug!(?why, "the call for a larger version waits");
                worker.clock.saw(now);
                return Err(Upgrade::NotAsked(until));
            }
            Err(error) => error,
        };
        let is_outage = matches!(error, LedgerError::Unavailable(_));
        if !is_outage || !backoff.wait("a larger version cannot be asked for", &error).await {
            let (kind, message) = (TroubleKind::Transport, error.to_string());
            return Err(Upgrade::Trouble(Trouble { kind, message, retry_after: None }));
        }
    }
}
