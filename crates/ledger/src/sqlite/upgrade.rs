//! Leave for an upgrade call: a slot of the pace where the call counts in it, and nothing else of the account.

use std::time::Duration;

use veobatch_core::account::Blocked;
use veobatch_core::{StateName, Token};

use super::account_state::{self, now_us};
use super::row::{self, put_fence, put_state};
use super::transaction::Transaction;
use super::{arrivals, submission};
use crate::LedgerError;
use crate::ledger::grant::{UpgradeClaim, grant};
use crate::ledger::job::Lease;

pub(super) fn claim(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    token: &Token,
    stall: Option<Duration>,
) -> Result<UpgradeClaim, LedgerError> {
    check_held(tx, lease)?;
    let Some(stall) = stall else { return Ok(UpgradeClaim::Granted(grant(token))) };
    if arrivals::is_expected(tx, token)? {
        arrivals::expect_again(tx, token, stall)?;
        return Ok(UpgradeClaim::Granted(grant(token)));
    }
    let (mut account, now) = (account_state::load(tx.sql)?, now_us(tx));
    if let Some(until) = account.closed_until(now) {
        return Ok(UpgradeClaim::Wait { why: Blocked::Gate, until, now: tx.now });
    }
    let nth_bound = account_state::nth_bound(tx.sql, account.most_young(now))?;
    let slot = account.upgrade_slot(nth_bound, now);
    if let Some(until) = slot {
        account_state::store(tx.sql, &account)?;
        return Ok(UpgradeClaim::Wait { why: Blocked::Slot, until, now: tx.now });
    }
    submission::take_slot(tx, &mut account, nth_bound, token, stall)?;
    tx.wakes = true;
    Ok(UpgradeClaim::Granted(grant(token)))
}

fn check_held(tx: &Transaction<'_>, lease: &Lease) -> Result<(), LedgerError> {
    let mut held = tx.sql.prepare_cached("SELECT 1 FROM job WHERE id = ? AND fence = ? AND state IN (?, ?)")?;
    let [upscaling, downloading] = [StateName::Upscaling, StateName::Downloading].map(put_state);
    let is_held = held.exists((row::id(lease.job), put_fence(&lease.fence), upscaling, downloading))?;
    if is_held { Ok(()) } else { Err(LedgerError::LostLease) }
}
