//! Upper bounds of the arrivals of submissions at the service.

use std::time::Duration;

use veobatch_core::account::lowered_bound;
use veobatch_core::{Token, millis};

use super::account_state::{self, now_us};
use super::row::{ms, put_time};
use super::slots;
use super::transaction::Transaction;
use crate::LedgerError;
use crate::ledger::account::{Arrival, Settle};

/// The call that `token` stands for may arrive until its time limit.
pub(super) fn expect_arrival(tx: &Transaction<'_>, token: &Token, stall: Duration) -> Result<(), LedgerError> {
    tx.sql
        .prepare_cached("INSERT OR REPLACE INTO arrival (token, bound) VALUES (?, ?)")?
        .execute((token.as_str(), put_time(tx.now + stall)))?;
    Ok(())
}

/// The same where the call is granted again, and has yet to be made.
pub(super) fn expect_again(tx: &Transaction<'_>, token: &Token, stall: Duration) -> Result<(), LedgerError> {
    expect_arrival(tx, token, stall)?;
    let mut account = account_state::load(tx.sql)?;
    account.retry_gate(token, ms(stall), now_us(tx));
    account_state::store(tx.sql, &account)
}

/// Whether the call that `token` was granted is within its time limit.
pub(super) fn is_expected(tx: &Transaction<'_>, token: &Token) -> Result<bool, LedgerError> {
    let open = "SELECT 1 FROM arrival WHERE token = ? AND bound >= ?";
    Ok(tx.sql.prepare_cached(open)?.exists((token.as_str(), put_time(tx.now)))?)
}

/// What is known now of a submission's arrival. A bound is only ever lowered.
pub(super) fn arrived(tx: &Transaction<'_>, settle: &Settle) -> Result<(), LedgerError> {
    match settle.arrival {
        Arrival::Unknown => {}
        Arrival::Never => {
            slots::wasted(tx, "unsent")?;
            tx.sql.prepare_cached("DELETE FROM arrival WHERE token = ?")?.execute([settle.token.as_str()])?;
        }
        Arrival::Ago(ago) => lower(tx, settle, ms(ago))?,
        Arrival::Answered { took, ago } => {
            let mut known = account_state::min_rtt(tx.sql)?;
            let lead = known.lead(u32::try_from(millis(took)).unwrap_or(u32::MAX));
            account_state::store_min_rtt(tx.sql, &known)?;
            lower(tx, settle, ms(ago).saturating_add(lead.into()))?;
        }
    }
    Ok(())
}

/// It arrived so many ms ago, at the latest.
fn lower(tx: &Transaction<'_>, settle: &Settle, ago: i64) -> Result<(), LedgerError> {
    let bound = lowered_bound(ago, now_us(tx));
    tx.sql
        .prepare_cached("UPDATE arrival SET bound = ?2 WHERE token = ?1 AND bound > ?2")?
        .execute((settle.token.as_str(), bound))?;
    Ok(())
}
