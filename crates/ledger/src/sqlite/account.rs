//! The account as it is told, and its settings and prices.

use std::collections::BTreeMap;

use rusqlite::Connection;
use veobatch_core::account::{AccountState, Daily, Day, MinRtt};
use veobatch_core::{Credits, Lane, StateName};

use super::account_state::{self, now_us};
use super::row::time;
use super::transaction::Transaction;
use crate::LedgerError;
use crate::ledger::account::{Account, AccountUpdate, PriceList};
use crate::ledger::hints::{HintKind, notes};
use crate::ledger::slots::SlotUse;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to N, which is far below")]
fn allowance(state: &AccountState, now_us: i64) -> u32 {
    (state.allowed(now_us) * 1000.0) as u32
}

/// The account as it is, with the slots of so many hours.
pub(super) fn account(tx: &Transaction<'_>, slot_hours: u32) -> Result<Account, LedgerError> {
    let (state, now) = (account_state::load(tx.sql)?, now_us(tx));
    let slot = state.next_slot_us(account_state::nth_bound(tx.sql, state.most_young(now))?);
    Ok(Account {
        in_flight: account_state::in_flight(tx.sql, tx.now)?,
        next_slot: time((slot + 999) / 1000),
        poll_rate: super::polls::rate(tx)?,
        allowance: allowance(&state, now),
        pace: state.pace,
        gate: state.gate,
        recovering_until: None,
        moved_to: super::marks::moved(tx.sql)?.map(|moved| moved.to),
        daily: account_state::daily(tx.sql)?,
        prices: prices(tx.sql)?,
        slots: if slot_hours == 0 { SlotUse::default() } else { super::slots::slots(tx, slot_hours)? },
        notes: notes(&super::hints::all(tx.sql, HintKind::Note)?),
        now: tx.now,
        calendar: tx.clock.wall,
    })
}

pub(super) fn update(tx: &mut Transaction<'_>, settings: &AccountUpdate) -> Result<Account, LedgerError> {
    let told = account(tx, 0)?;
    let (mut state, now) = (account_state::load(tx.sql)?, now_us(tx));
    let before = state.clone();
    if let Some((submissions, per)) = settings.rate {
        (state.pace.submissions, state.pace.per, state.throttled) = (submissions, per, None);
    }
    if let Some(cap) = settings.max_in_flight {
        state.pace.max_in_flight = cap;
    }
    if settings.credits_back {
        state.report_credits(now);
    }
    if let Some((why, wait)) = &settings.close_gate {
        state.report_closed(why, *wait, now);
    }
    if state != before {
        account_state::store(tx.sql, &state)?;
        tx.wakes = true;
    }
    if settings.forget_round_trips {
        account_state::store_min_rtt(tx.sql, &MinRtt::default())?;
    }
    if settings.retry_unreadable {
        super::unreadable::retry(tx)?;
    }
    if let Some(grants) = settings.accept_restored {
        super::identity::accept(tx, grants)?;
    }
    if let Some(rate) = settings.poll_rate {
        super::polls::set_rate(tx, rate.max(1))?;
    }
    if let Some(list) = &settings.prices {
        set_prices(tx.sql, list)?;
        tx.wakes = true;
    }
    if let Some(budget) = &settings.daily {
        let known = account_state::daily(tx.sql)?;
        let daily = budget.clone().map(|budget| Daily::set(known, budget));
        account_state::store_daily(tx.sql, daily.as_ref())?;
        look_for_prices(tx.sql)?;
        tx.wakes = true;
    }
    if let Some(day) = &settings.day {
        begin_day(tx, day)?;
    }
    Ok(told)
}

fn begin_day(tx: &mut Transaction<'_>, day: &Day) -> Result<(), LedgerError> {
    let Some(mut daily) = account_state::daily(tx.sql)? else { return Ok(()) };
    if daily.begin(day, tx.clock.wall) {
        account_state::store_daily(tx.sql, Some(&daily))?;
        tx.wakes = true;
    }
    Ok(())
}

fn set_prices(sql: &Connection, list: &PriceList) -> Result<(), LedgerError> {
    let priced: bool = sql.query_row("SELECT priced FROM account", [], |row| row.get(0))?;
    if priced && !list.asked {
        return Ok(());
    }
    look_for_prices(sql)?;
    // The next job of a batch that waits for its budget may be cheap enough now.
    sql.execute(&format!("UPDATE batch SET {}, short = 0 WHERE short = 1", super::counters::PRESENT), [])?;
    sql.execute("DELETE FROM price", [])?;
    let mut insert = sql.prepare_cached("INSERT OR REPLACE INTO price (class, credits) VALUES (?, ?)")?;
    for (class, credits) in &list.by_class {
        insert.execute((class, credits.as_millis()))?;
    }
    sql.execute("UPDATE account SET priced = priced OR ?", [list.asked])?;
    Ok(())
}

/// Jobs that wait for a price are tried again now: a price may be known, or no budget may need one any more.
pub(super) fn look_for_prices(sql: &Connection) -> Result<(), LedgerError> {
    sql.execute(
        "UPDATE job SET due = 0 WHERE id IN (SELECT job FROM unpriced) AND lane = ?1 AND state = ?2",
        (super::row::put_lane(Lane::Submit), super::row::put_state(StateName::Queued)),
    )?;
    Ok(())
}

/// Job `id` waits for a price from now on.
pub(super) fn waits_for_price(sql: &Connection, id: i64) -> Result<(), LedgerError> {
    sql.prepare_cached("INSERT OR IGNORE INTO unpriced (job) VALUES (?)")?.execute([id])?;
    Ok(())
}

/// Job `id` waits for no price any more, if it did.
pub(super) fn needs_no_price(sql: &Connection, id: i64) -> Result<(), LedgerError> {
    sql.prepare_cached("DELETE FROM unpriced WHERE job = ?")?.execute([id])?;
    Ok(())
}

fn prices(sql: &Connection) -> Result<BTreeMap<String, Credits>, LedgerError> {
    let mut all = sql.prepare_cached("SELECT class, credits FROM price")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, Credits::from_millis(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
