//! Leave for an upgrade call: a slot of the pace where the call counts in it, and nothing else of the account.

use std::time::Duration;

use veobatch_core::account::Blocked;
use veobatch_core::{StateName, Token};

use super::account::{self, now_us};
use super::row::{self, put_fence, put_state};
use super::submission;
use super::writer::Step;
use crate::LedgerError;
use crate::grant::{UpgradeClaim, grant};
use crate::job::Lease;

pub(super) fn claim(
    step: &mut Step<'_>,
    lease: &Lease,
    token: &Token,
    stall: Option<Duration>,
) -> Result<UpgradeClaim, LedgerError> {
    check_held(step, lease)?;
    let Some(stall) = stall else { return Ok(UpgradeClaim::Granted(grant(token))) };
    if submission::is_expected(step, token)? {
        submission::expect_again(step, token, stall)?;
        return Ok(UpgradeClaim::Granted(grant(token)));
    }
    let (mut account, now) = (account::load(step.sql)?, now_us(step));
    if let Some(until) = account.closed_until(now) {
        return Ok(UpgradeClaim::Wait { why: Blocked::Gate, until, now: step.now });
    }
    let nth_bound = account::nth_bound(step.sql, account.most_young(now))?;
    let slot = account.upgrade_slot(nth_bound, now);
    if let Some(until) = slot {
        account::store(step.sql, &account)?;
        return Ok(UpgradeClaim::Wait { why: Blocked::Slot, until, now: step.now });
    }
    submission::take_slot(step, &mut account, nth_bound, token, stall)?;
    step.nudge = true;
    Ok(UpgradeClaim::Granted(grant(token)))
}

fn check_held(step: &Step<'_>, lease: &Lease) -> Result<(), LedgerError> {
    let mut held = step.sql.prepare_cached("SELECT 1 FROM job WHERE id = ? AND fence = ? AND state IN (?, ?)")?;
    let [upscaling, downloading] = [StateName::Upscaling, StateName::Downloading].map(put_state);
    let is_held = held.exists((row::id(lease.job), put_fence(&lease.fence), upscaling, downloading))?;
    if is_held { Ok(()) } else { Err(LedgerError::LostLease) }
}
