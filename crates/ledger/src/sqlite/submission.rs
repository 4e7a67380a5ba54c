//! The claim that is the intent: a queued job, a slot and a place in flight, taken in one step or not at all.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::account::{AccountState, Blocked, DAY_WAIT, DayRoom, Facts};
use veobatch_core::{Credits, Lane, StateName, Timestamp, Token};

use super::account_state::{self, now_us};
use super::arrivals::{expect_again, expect_arrival, is_expected};
use super::next_job::{BlockedUntil, Next, Ready, next, promote};
use super::row::{self, Position, STORED, UNLIMITED, get_fence, ms, put_fence, put_lane, put_state, put_time};
use super::transaction::Transaction;
use super::{counters, identity, slots};
use crate::LedgerError;
use crate::ledger::grant::grant;
use crate::ledger::job::{Claimed, Fence, SubmissionClaim};

/// Most places in flight that one claim takes back because their time is over.
const EXPIRED: i64 = 1000;

/// What turn a batch that has been served comes to next, by weight 1. The rest of the number is room for weights.
const SHARE: i64 = 1 << 16;

/// What a worker brings to the claim.
#[derive(Clone, Debug)]
pub(super) struct ClaimRequest {
    pub(super) token: Token,
    /// Folded names.
    pub(super) only: Option<Vec<String>>,
    pub(super) lease: Duration,
    pub(super) stall: Duration,
}

pub(super) fn claim(tx: &mut Transaction<'_>, wanted: &ClaimRequest) -> Result<SubmissionClaim, LedgerError> {
    if let Some(claimed) = repeated(tx, wanted)? {
        return Ok(SubmissionClaim::Granted(Box::new(claimed)));
    }
    promote(tx)?;
    expire(tx)?;
    let (mut account, now) = (account_state::load(tx.sql)?, now_us(tx));
    let nth_bound = account_state::nth_bound(tx.sql, account.most_young(now))?;
    let in_flight = account_state::in_flight(tx.sql, tx.now)?;
    let facts = Facts { recovering_until: None, in_flight, nth_bound };
    if let Some((why, until)) = account.blocked(&facts, now) {
        let until = if why == Blocked::Cap { account_state::next_expiry(tx.sql, tx.now)? } else { until };
        return wait(tx, &mut account, nth_bound, (why, until));
    }
    let next = match next(tx, wanted.only.as_deref())? {
        Next::Job(next) => next,
        Next::Nothing(blocked) => return wait(tx, &mut account, nth_bound, blocked),
    };
    if let Some(until) = day_is_full(tx, next.price)? {
        return wait(tx, &mut account, nth_bound, (Blocked::Budget, Some(until)));
    }
    take_slot(tx, &mut account, nth_bound, &wanted.token, wanted.stall)?;
    served(tx.sql, &next)?;
    submitting(tx, wanted, &next).map(|claimed| SubmissionClaim::Granted(Box::new(claimed)))
}

/// Says why there is nothing, and that slots go by for that.
fn wait(
    tx: &Transaction<'_>,
    account: &mut AccountState,
    nth_bound: Option<Timestamp>,
    (why, until): BlockedUntil,
) -> Result<SubmissionClaim, LedgerError> {
    let before = account.idle;
    slots::add(tx, &account.count_idle(why, account.next_slot_us(nth_bound), now_us(tx)))?;
    if account.idle != before {
        account_state::store(tx.sql, account)?;
    }
    Ok(SubmissionClaim::Wait { why, until, now: tx.now })
}

/// A slot of the pace is taken for `token`, whose call arrives within `stall`.
pub(super) fn take_slot(
    tx: &Transaction<'_>,
    account: &mut AccountState,
    nth_bound: Option<Timestamp>,
    token: &Token,
    stall: Duration,
) -> Result<(), LedgerError> {
    let now = now_us(tx);
    slots::add(tx, &account.count_used(account.next_slot_us(nth_bound), now))?;
    account.take_slot(token, ms(stall), now);
    account_state::store(tx.sql, account)?;
    let mut forget = tx.sql.prepare_cached("DELETE FROM arrival WHERE bound < ?")?;
    forget.execute([account.arrivals_kept_from(now)])?;
    expect_arrival(tx, token, stall)
}

/// Writes the intent.
fn submitting(tx: &Transaction<'_>, wanted: &ClaimRequest, next: &Ready) -> Result<Claimed, LedgerError> {
    let Ready { batch, id, rank, price, .. } = *next;
    let fence = Fence::random();
    let until = tx.now + wanted.lease;
    let (lane, due) = (put_lane(Lane::Follow), put_time(until));
    let before = Position { state: StateName::Queued, rank: Some(rank), due: None, flight: None };
    let position =
        Position { state: StateName::Submitting, rank: None, due: Some((lane, due)), flight: Some(UNLIMITED) };
    tx.sql
        .prepare_cached(
            "UPDATE job SET state = ?2, rank = NULL, lane = ?3, due = ?4, flight = ?5, version = version + 1, \
             nonce = NULL, fence = ?6, writer = ?6, token = ?7, at = ?8, deliveries = deliveries + 1, credits = credits + ?9 WHERE id = ?1",
        )?
        .execute((
            id,
            put_state(position.state),
            lane,
            due,
            UNLIMITED,
            put_fence(&fence),
            wanted.token.as_str(),
            put_time(tx.now),
            price.as_millis(),
        ))?;
    counters::spent(tx, batch, (0, price.as_millis()), Some(tx.now))?;
    counters::moved(tx.sql, batch, &before, &position)?;
    identity::granted(tx)?;
    granted(tx, id, fence, until, &wanted.token)
}

/// The grant that this token has already; its lease and its bound of arrival start anew.
fn repeated(tx: &Transaction<'_>, wanted: &ClaimRequest) -> Result<Option<Claimed>, LedgerError> {
    let mut open = tx.sql.prepare_cached("SELECT id, fence, writer FROM job WHERE token = ?")?;
    let token = wanted.token.as_str();
    let found = open.query_row([token], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let found: Option<(i64, Option<i64>, Option<i64>)> = found.optional()?;
    let Some((id, fence, writer)) = found else { return Ok(None) };
    let (Some(fence), true) = (fence, fence == writer) else { return Err(LedgerError::LostLease) };
    // The call is yet to be made, so its bounds start anew; unless they are over, for then its slot may be another's.
    if !is_expected(tx, &wanted.token)? {
        return Err(LedgerError::LostLease);
    }
    let until = tx.now + wanted.lease;
    tx.sql.prepare_cached("UPDATE job SET due = ? WHERE id = ?")?.execute((put_time(until), id))?;
    expect_again(tx, &wanted.token, wanted.stall)?;
    granted(tx, id, get_fence(fence), until, &wanted.token).map(|mut claimed| {
        claimed.deliveries = claimed.deliveries.max(1);
        Some(claimed)
    })
}

fn granted(
    tx: &Transaction<'_>,
    id: i64,
    fence: Fence,
    until: Timestamp,
    token: &Token,
) -> Result<Claimed, LedgerError> {
    let mut statement = tx.sql.prepare_cached(&format!(
        "{STORED} spec.spec FROM job JOIN batch ON batch.id = job.batch JOIN spec ON spec.job = job.id WHERE job.id = ?"
    ))?;
    let mut rows = statement.query([id])?;
    let row = rows.next()?.ok_or_else(|| LedgerError::Damaged(format!("job {id} has no spec")))?;
    let (stored, deliveries) = row::stored(row, tx.now)??;
    let claimed = row::claimed((stored, deliveries.saturating_sub(1)), fence, until);
    Ok(Claimed { grant: Some(grant(token)), ..claimed })
}

/// Takes back the places in flight whose time is over.
fn expire(tx: &Transaction<'_>) -> Result<(), LedgerError> {
    // Hardly ever is there one, and the sweep makes a temporary table first.
    if !tx.sql.prepare_cached("SELECT 1 FROM job WHERE flight <= ? LIMIT 1")?.exists([put_time(tx.now)])? {
        return Ok(());
    }
    let mut sweep = tx
        .sql
        .prepare_cached("UPDATE job SET flight = NULL WHERE id IN (SELECT id FROM job WHERE flight <= ? LIMIT ?)")?;
    let expired = sweep.execute((put_time(tx.now), EXPIRED))?;
    if expired > 0 {
        let expired = i64::try_from(expired).unwrap_or_default();
        tx.sql.prepare_cached("UPDATE account SET flying = flying - ?")?.execute([expired])?;
    }
    Ok(())
}

/// Until when the day's budget has no room for `price`.
fn day_is_full(tx: &Transaction<'_>, price: Credits) -> Result<Option<Timestamp>, LedgerError> {
    let Some(daily) = account_state::daily(tx.sql)? else { return Ok(None) };
    Ok(match daily.room(price, tx.clock.wall) {
        DayRoom::Fits => None,
        DayRoom::Full(until) => Some(tx.clock.when_wall_is(until)),
        DayRoom::Over => Some(tx.now + DAY_WAIT),
    })
}

/// The batch has had a job: its next turn comes later, the less its weight; the others of its priority come in behind.
fn served(sql: &Connection, next: &Ready) -> Result<(), LedgerError> {
    sql.prepare_cached(
        "INSERT INTO level (priority, turn) SELECT priority, vt FROM batch WHERE id = ?1 \
         ON CONFLICT DO UPDATE SET turn = max(turn, excluded.turn)",
    )?
    .execute([next.batch])?;
    let share = SHARE / next.weight.max(1);
    sql.prepare_cached("UPDATE batch SET vt = vt + ?2 WHERE id = ?1")?.execute((next.batch, share))?;
    Ok(())
}
