//! The account's state, loaded for the rules of [`veobatch_core::account`] and stored again in the same transaction; and what
//! they decide by: the jobs in flight, and the arrivals.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use veobatch_core::account::{AccountState, Blocked, Daily, DailyBudget, Gate, Idle, MinRtt, Pace, Probe, Throttled};
use veobatch_core::{Credits, TimeRange, Timestamp, Token};

use super::row::{get_time, ms, put_time, time};
use super::transaction::Transaction;
use crate::LedgerError;

/// Now, in microseconds: the end of the millisecond, as the clock knows no smaller times and the spacing may be one.
pub(super) fn now_us(tx: &Transaction<'_>) -> i64 {
    put_time(tx.now) * 1000 + 999
}

pub(super) fn load(sql: &Connection) -> Result<AccountState, LedgerError> {
    let mut statement = sql.prepare_cached(
        "SELECT submissions, per, cap, tat, troubles, gate_until, gate_why, gate_credits, gate_closings, probe, probe_until, \
         low, low_since, peak, idle, idle_from, (SELECT until FROM upgrade_turn) FROM account",
    )?;
    let state = statement.query_row([], |row| {
        let per: i64 = row.get(1)?;
        let until: Option<i64> = row.get(5)?;
        let gate = match until {
            None => Gate::Open,
            Some(until) => Gate::Closed {
                until: time(until),
                why: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
                no_credits: row.get(7)?,
                closings: row.get(8)?,
            },
        };
        let probe: Option<String> = row.get(9)?;
        let (probe, probe_until) = (probe.as_deref().and_then(Token::parse), get_time(row, 10)?);
        let idle: Option<String> = row.get(14)?;
        let (idle, from_us) = (idle.as_deref().and_then(Blocked::parse), row.get(15)?);
        Ok(AccountState {
            pace: Pace {
                submissions: row.get(0)?,
                per: Duration::from_millis(per.cast_unsigned()),
                max_in_flight: row.get(2)?,
            },
            tat_us: row.get(3)?,
            troubles: row.get(4)?,
            gate,
            probe: probe.map(|token| Probe { token, until: probe_until }),
            throttled: match row.get(11)? {
                Some(to) => Some(Throttled { to, since: get_time(row, 12)?, peak: row.get(13)? }),
                None => None,
            },
            idle: idle.map(|why| Idle { why, from_us }),
            upgrade_turn: row.get::<_, Option<i64>>(16)?.map(time).unwrap_or_default(),
        })
    })?;
    Ok(state)
}

pub(super) fn store(sql: &Connection, state: &AccountState) -> Result<(), LedgerError> {
    let (until, why, credits, closings) = match &state.gate {
        Gate::Open => (None, None, false, 0),
        Gate::Closed { until, why, no_credits, closings } => {
            (Some(put_time(*until)), Some(why), *no_credits, *closings)
        }
    };
    sql.prepare_cached(
        "UPDATE account SET submissions = ?, per = ?, cap = ?, tat = ?, troubles = ?, \
         gate_until = ?, gate_why = ?, gate_credits = ?, gate_closings = ?, probe = ?, probe_until = ?, \
         low = ?, low_since = ?, peak = ?, idle = ?, idle_from = ?",
    )?
    .execute(rusqlite::params![
        state.pace.submissions,
        ms(state.pace.per),
        state.pace.max_in_flight,
        state.tat_us,
        state.troubles,
        until,
        why,
        credits,
        closings,
        state.probe.as_ref().map(|probe| probe.token.as_str()),
        state.probe.as_ref().map_or(0, |probe| put_time(probe.until)),
        state.throttled.map(|throttled| throttled.to),
        state.throttled.map_or(0, |throttled| put_time(throttled.since)),
        state.throttled.map_or(0.0, |throttled| throttled.peak),
        state.idle.map(|idle| idle.why.as_str()),
        state.idle.map_or(0, |idle| idle.from_us),
    ])?;
    if state.upgrade_turn == Timestamp::default() {
        sql.prepare_cached("DELETE FROM upgrade_turn")?.execute([])?;
    } else {
        let mut set = sql.prepare_cached("INSERT OR REPLACE INTO upgrade_turn (one, until) VALUES (1, ?)")?;
        set.execute([put_time(state.upgrade_turn)])?;
    }
    Ok(())
}

/// Jobs in flight now: those with a place whose time is not over.
pub(super) fn in_flight(sql: &Connection, now: Timestamp) -> Result<u32, LedgerError> {
    let mut counted =
        sql.prepare_cached("SELECT flying - (SELECT count(*) FROM job WHERE flight <= ?) FROM account")?;
    let counted: i64 = counted.query_row([put_time(now)], |row| row.get(0))?;
    Ok(u32::try_from(counted).unwrap_or_default())
}

/// When the next of those in flight stops counting by itself.
pub(super) fn next_expiry(sql: &Connection, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
    let mut first = sql.prepare_cached("SELECT min(flight) FROM job WHERE flight > ?")?;
    let first: Option<i64> = first.query_row([put_time(now)], |row| row.get(0))?;
    Ok(first.filter(|until| *until != super::row::UNLIMITED).map(time))
}

/// The `most_young`-th latest bound of arrival.
pub(super) fn nth_bound(sql: &Connection, most_young: i64) -> Result<Option<Timestamp>, LedgerError> {
    // Hardly ever more than the log holds, and then there is nothing to count; never less.
    let mut most = sql.prepare_cached("SELECT (SELECT max(id) FROM arrival) - (SELECT min(id) FROM arrival) + 1")?;
    let most: Option<i64> = most.query_row([], |row| row.get(0))?;
    if most.unwrap_or_default() < most_young {
        return Ok(None);
    }
    let mut nth = sql.prepare_cached("SELECT bound FROM arrival ORDER BY bound DESC LIMIT 1 OFFSET ?")?;
    let bound: Option<i64> = nth.query_row([most_young - 1], |row| row.get(0)).optional()?;
    Ok(bound.map(time))
}

pub(super) fn min_rtt(sql: &Connection) -> Result<MinRtt, LedgerError> {
    let mut find = sql.prepare_cached("SELECT fast, fast_n, fast_was FROM account")?;
    Ok(find.query_row([], |row| Ok(MinRtt { present: row.get(0)?, count: row.get(1)?, before: row.get(2)? }))?)
}

pub(super) fn store_min_rtt(sql: &Connection, known: &MinRtt) -> Result<(), LedgerError> {
    let mut keep = sql.prepare_cached("UPDATE account SET fast = ?, fast_n = ?, fast_was = ?")?;
    keep.execute((known.present, known.count, known.before))?;
    Ok(())
}

/// The daily budget, if there is one.
pub(super) fn daily(sql: &Connection) -> Result<Option<Daily>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT daily, zone, day_from, day_until, day_spent FROM account")?;
    Ok(find.query_row([], |row| {
        let credits: Option<i64> = row.get(0)?;
        let Some(credits) = credits.map(Credits::from_millis) else { return Ok(None) };
        let budget = DailyBudget { credits, zone: row.get(1)? };
        let day = TimeRange { from: get_time(row, 2)?, until: get_time(row, 3)? };
        Ok(Some(Daily { budget, day, spent: Credits::from_millis(row.get(4)?) }))
    })?)
}

pub(super) fn store_daily(sql: &Connection, daily: Option<&Daily>) -> Result<(), LedgerError> {
    let mut keep =
        sql.prepare_cached("UPDATE account SET daily = ?, zone = ?, day_from = ?, day_until = ?, day_spent = ?")?;
    keep.execute((
        daily.map(|daily| daily.budget.credits.as_millis()),
        daily.map(|daily| &daily.budget.zone),
        daily.map_or(0, |daily| put_time(daily.day.from)),
        daily.map_or(0, |daily| put_time(daily.day.until)),
        daily.map_or(0, |daily| daily.spent.as_millis()),
    ))?;
    Ok(())
}
