//! The claim that is the intent: a queued job, a slot and a place in flight, taken in one step or not at all.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::account::{
    AccountState, Blocked, DAY_WAIT, DayRoom, Facts, UNPRICED_WAIT, expected_price, is_over_budget, lowered_bound,
};
use veobatch_core::{Credits, Lane, StateName, TimeRange, Timestamp, Token, millis};

use super::account::{self, now_us};
use super::row::{
    self, Place, STORED, UNLIMITED, get_fence, id_at, ms, put_fence, put_lane, put_state, put_time, time,
};
use super::writer::Step;
use super::{lineage, settings, slots, sums};
use crate::LedgerError;
use crate::account::{Arrival, LOOKS, PROMOTED, Settle, WOKEN};
use crate::grant::grant;
use crate::job::{Claimed, Fence, SubmissionClaim};
use crate::unreadable::{SET_ASIDE, Unreadable};

/// Why nothing may be submitted now, and until when.
type BlockedUntil = (Blocked, Option<Timestamp>);

/// Most places in flight that one claim takes back because their time is over.
const LANDED: i64 = 1000;

/// What turn a batch that has been served comes to next, by weight 1. The rest of the number is room for weights.
const SHARE: i64 = 1 << 16;

/// What a worker brings to the claim.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) token: Token,
    /// Folded names.
    pub(super) only: Option<Vec<String>>,
    pub(super) lease: Duration,
    pub(super) stall: Duration,
}

pub(super) fn claim(step: &mut Step<'_>, wanted: &Wanted) -> Result<SubmissionClaim, LedgerError> {
    if let Some(claimed) = repeated(step, wanted)? {
        return Ok(SubmissionClaim::Granted(Box::new(claimed)));
    }
    promote(step)?;
    land(step)?;
    let (mut account, now) = (account::load(step.sql)?, now_us(step));
    let nth_bound = account::nth_bound(step.sql, account.most_young(now))?;
    let in_flight = account::in_flight(step.sql, step.now)?;
    let facts = Facts { recovering_until: None, in_flight, nth_bound };
    if let Some((why, until)) = account.blocked(&facts, now) {
        let until = if why == Blocked::Cap { account::next_landing(step.sql, step.now)? } else { until };
        return wait(step, &mut account, nth_bound, (why, until));
    }
    let next = match next(step, wanted.only.as_deref())? {
        Next::Job(next) => next,
        Next::Nothing(blocked) => return wait(step, &mut account, nth_bound, blocked),
    };
    if let Some(until) = day_is_full(step, next.price)? {
        return wait(step, &mut account, nth_bound, (Blocked::Budget, Some(until)));
    }
    take_slot(step, &mut account, nth_bound, &wanted.token, wanted.stall)?;
    served(step.sql, &next)?;
    submitting(step, wanted, &next).map(|claimed| SubmissionClaim::Granted(Box::new(claimed)))
}

/// Says why there is nothing, and that slots go by for that.
fn wait(
    step: &Step<'_>,
    account: &mut AccountState,
    nth_bound: Option<Timestamp>,
    (why, until): BlockedUntil,
) -> Result<SubmissionClaim, LedgerError> {
    let before = account.idle;
    slots::add(step, &account.count_idle(why, account.next_slot_us(nth_bound), now_us(step)))?;
    if account.idle != before {
        account::store(step.sql, account)?;
    }
    Ok(SubmissionClaim::Wait { why, until, now: step.now })
}

/// A slot of the pace is taken for `token`, whose call arrives within `stall`.
pub(super) fn take_slot(
    step: &Step<'_>,
    account: &mut AccountState,
    nth_bound: Option<Timestamp>,
    token: &Token,
    stall: Duration,
) -> Result<(), LedgerError> {
    let now = now_us(step);
    slots::add(step, &account.count_used(account.next_slot_us(nth_bound), now))?;
    account.take_slot(token, ms(stall), now);
    account::store(step.sql, account)?;
    let mut forget = step.sql.prepare_cached("DELETE FROM arrival WHERE bound < ?")?;
    forget.execute([account.arrivals_kept_from(now)])?;
    expect_arrival(step, token, stall)
}

/// Writes the intent.
fn submitting(step: &Step<'_>, wanted: &Wanted, next: &Ready) -> Result<Claimed, LedgerError> {
    let Ready { batch, id, rank, price, .. } = *next;
    let fence = Fence::random();
    let until = step.now + wanted.lease;
    let (lane, due) = (put_lane(Lane::Follow), put_time(until));
    let before = Place { state: StateName::Queued, rank: Some(rank), due: None, flight: None };
    let place = Place { state: StateName::Submitting, rank: None, due: Some((lane, due)), flight: Some(UNLIMITED) };
    step.sql
        .prepare_cached(
            "UPDATE job SET state = ?2, rank = NULL, lane = ?3, due = ?4, flight = ?5, version = version + 1, \
             nonce = NULL, fence = ?6, writer = ?6, token = ?7, at = ?8, deliveries = deliveries + 1, credits = credits + ?9 WHERE id = ?1",
        )?
        .execute((
            id,
            put_state(place.state),
            lane,
            due,
            UNLIMITED,
            put_fence(&fence),
            wanted.token.as_str(),
            put_time(step.now),
            price.as_millis(),
        ))?;
    sums::spent(step, batch, (0, price.as_millis()), Some(step.now))?;
    sums::moved(step.sql, batch, &before, &place)?;
    lineage::granted(step)?;
    granted(step, id, fence, until, &wanted.token)
}

/// The grant that this token has already; its lease and its bound of arrival start anew.
fn repeated(step: &Step<'_>, wanted: &Wanted) -> Result<Option<Claimed>, LedgerError> {
    let mut open = step.sql.prepare_cached("SELECT id, fence, writer FROM job WHERE token = ?")?;
    let token = wanted.token.as_str();
    let found = open.query_row([token], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let found: Option<(i64, Option<i64>, Option<i64>)> = found.optional()?;
    let Some((id, fence, writer)) = found else { return Ok(None) };
    let (Some(fence), true) = (fence, fence == writer) else { return Err(LedgerError::LostLease) };
    // The call is yet to be made, so its bounds start anew; unless they are over, for then its slot may be another's.
    if !is_expected(step, &wanted.token)? {
        return Err(LedgerError::LostLease);
    }
    let until = step.now + wanted.lease;
    step.sql.prepare_cached("UPDATE job SET due = ? WHERE id = ?")?.execute((put_time(until), id))?;
    expect_again(step, &wanted.token, wanted.stall)?;
    granted(step, id, get_fence(fence), until, &wanted.token).map(|mut claimed| {
        claimed.deliveries = claimed.deliveries.max(1);
        Some(claimed)
    })
}

fn granted(step: &Step<'_>, id: i64, fence: Fence, until: Timestamp, token: &Token) -> Result<Claimed, LedgerError> {
    let mut statement = step.sql.prepare_cached(&format!(
        "{STORED} spec.spec FROM job JOIN batch ON batch.id = job.batch JOIN spec ON spec.job = job.id WHERE job.id = ?"
    ))?;
    let mut rows = statement.query([id])?;
    let row = rows.next()?.ok_or_else(|| LedgerError::Damaged(format!("job {id} has no spec")))?;
    let (stored, deliveries) = row::stored(row, step.now)??;
    let claimed = row::claimed((stored, deliveries.saturating_sub(1)), fence, until);
    Ok(Claimed { grant: Some(grant(token)), ..claimed })
}

/// The call that `token` stands for may arrive until its time limit.
fn expect_arrival(step: &Step<'_>, token: &Token, stall: Duration) -> Result<(), LedgerError> {
    step.sql
        .prepare_cached("INSERT OR REPLACE INTO arrival (token, bound) VALUES (?, ?)")?
        .execute((token.as_str(), put_time(step.now + stall)))?;
    Ok(())
}

/// The same where the call is granted again, and has yet to be made.
pub(super) fn expect_again(step: &Step<'_>, token: &Token, stall: Duration) -> Result<(), LedgerError> {
    expect_arrival(step, token, stall)?;
    let mut account = account::load(step.sql)?;
    account.retry_gate(token, ms(stall), now_us(step));
    account::store(step.sql, &account)
}

/// Whether the call that `token` was granted is within its time limit.
pub(super) fn is_expected(step: &Step<'_>, token: &Token) -> Result<bool, LedgerError> {
    let open = "SELECT 1 FROM arrival WHERE token = ? AND bound >= ?";
    Ok(step.sql.prepare_cached(open)?.exists((token.as_str(), put_time(step.now)))?)
}

/// What is known now of a submission's arrival. A bound is lowered, never raised.
pub(super) fn arrived(step: &Step<'_>, settle: &Settle) -> Result<(), LedgerError> {
    match settle.arrival {
        Arrival::Unknown => {}
        Arrival::Never => {
            slots::wasted(step, "unsent")?;
            step.sql.prepare_cached("DELETE FROM arrival WHERE token = ?")?.execute([settle.token.as_str()])?;
        }
        Arrival::Ago(ago) => lower(step, settle, ms(ago))?,
        Arrival::Answered { took, ago } => {
            let mut known = account::min_rtt(step.sql)?;
            let lead = known.lead(u32::try_from(millis(took)).unwrap_or(u32::MAX));
            account::store_min_rtt(step.sql, &known)?;
            lower(step, settle, ms(ago).saturating_add(lead.into()))?;
        }
    }
    Ok(())
}

/// It arrived so many ms ago, at the latest.
fn lower(step: &Step<'_>, settle: &Settle, ago: i64) -> Result<(), LedgerError> {
    let bound = lowered_bound(ago, now_us(step));
    step.sql
        .prepare_cached("UPDATE arrival SET bound = ?2 WHERE token = ?1 AND bound > ?2")?
        .execute((settle.token.as_str(), bound))?;
    Ok(())
}

/// Delayed jobs whose time has come wait for nothing but a slot from now on.
fn promote(step: &Step<'_>) -> Result<(), LedgerError> {
    let lane = put_lane(Lane::Submit);
    let mut due =
        step.sql.prepare_cached("SELECT id, batch FROM job WHERE lane = ? AND due <= ? ORDER BY due LIMIT ?")?;
    let ready: Vec<(i64, i64)> = due
        .query_map((lane, put_time(step.now), PROMOTED), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, batch) in ready {
        step.sql.prepare_cached("UPDATE job SET lane = NULL, due = NULL WHERE id = ?")?.execute([id])?;
        settings::needs_no_price(step.sql, id)?;
        sums::readied(step.sql, batch, 1)?;
    }
    Ok(())
}

/// Takes back the places in flight whose time is over.
fn land(step: &Step<'_>) -> Result<(), LedgerError> {
    // Hardly ever is there one, and the sweep makes a table of its own before it looks.
    if !step.sql.prepare_cached("SELECT 1 FROM job WHERE flight <= ? LIMIT 1")?.exists([put_time(step.now)])? {
        return Ok(());
    }
    let mut sweep = step
        .sql
        .prepare_cached("UPDATE job SET flight = NULL WHERE id IN (SELECT id FROM job WHERE flight <= ? LIMIT ?)")?;
    let landed = sweep.execute((put_time(step.now), LANDED))?;
    if landed > 0 {
        let landed = i64::try_from(landed).unwrap_or_default();
        step.sql.prepare_cached("UPDATE account SET flying = flying - ?")?.execute([landed])?;
    }
    Ok(())
}

/// The job that may go.
#[derive(Debug)]
struct Ready {
    batch: i64,
    /// The batch's share.
    weight: i64,
    id: i64,
    rank: i64,
    price: Credits,
}

/// What there is to do.
enum Next {
    Job(Ready),
    Nothing(BlockedUntil),
}

/// A runnable batch, as a claim looks at it.
struct Runnable {
    id: i64,
    weight: i64,
    range: (i64, i64),
    budget: Option<Credits>,
    spent: Credits,
}

/// The first job of the batch whose turn it is, of those that are in their range and have something left.
fn next(step: &Step<'_>, only: Option<&[String]>) -> Result<Next, LedgerError> {
    let sql = step.sql;
    let now = put_time(step.clock.wall);
    wake(sql, now)?;
    let has_day = account::daily(sql)?.is_some();
    for _ in 0..LOOKS {
        let Some(batch) = next_batch(sql, only)? else { return Ok(Next::Nothing(nothing(step, only)?)) };
        if now < batch.range.0 || now >= batch.range.1 {
            sql.prepare_cached("UPDATE batch SET asleep = 1 WHERE id = ?")?.execute([batch.id])?;
            continue;
        }
        let (id, rank) = next_job(sql, batch.id)?
            .ok_or_else(|| LedgerError::Damaged(format!("batch {} counts ready jobs, but has none", batch.id)))?;
        if let Some(job) = unreadable(step, id)? {
            super::unreadable::note(step, &[job])?;
            put_off(step, batch.id, id, SET_ASIDE)?;
            continue;
        }
        let mut find = sql.prepare_cached(
            "SELECT price.credits FROM spec JOIN price ON price.class = spec.class WHERE spec.job = ?",
        )?;
        let known: Option<i64> = find.query_row([id], |row| row.get(0)).optional()?;
        let has_budget = batch.budget.is_some() || has_day;
        let Some(price) = expected_price(known.map(Credits::from_millis), has_budget) else {
            put_off(step, batch.id, id, UNPRICED_WAIT)?;
            settings::waits_for_price(sql, id)?;
            continue;
        };
        if is_over_budget(batch.budget, batch.spent, price) {
            sql.prepare_cached("UPDATE batch SET short = 1 WHERE id = ?")?.execute([batch.id])?;
            continue;
        }
        return Ok(Next::Job(Ready { batch: batch.id, weight: batch.weight, id, rank, price }));
    }
    Ok(Next::Nothing((Blocked::Work, Some(step.now))))
}

/// Batches whose time has come come in at the present turn.
fn wake(sql: &Connection, now: i64) -> Result<(), LedgerError> {
    let asleep = format!("SELECT id FROM batch WHERE asleep = 1 AND opens <= ?1 AND closes > ?1 LIMIT {WOKEN}");
    if sql.prepare_cached(&asleep)?.exists([now])? {
        sql.prepare_cached(&format!("UPDATE batch SET {}, asleep = 0 WHERE id IN ({asleep})", sums::PRESENT))?
            .execute([now])?;
    }
    Ok(())
}

/// The job, if nothing may be paid for it because this program does not know what was asked for.
fn unreadable(step: &Step<'_>, id: i64) -> Result<Option<Unreadable>, LedgerError> {
    let found = super::unreadable::find(step, id)?
        .ok_or_else(|| LedgerError::Damaged(format!("job {id} is ready, but cannot be seen")))?;
    Ok(match found {
        Ok((stored, _)) if stored.compacted => {
            let state = Some(StateName::Queued);
            Some(Unreadable::new(stored.key, stored.job, state, "what was asked for was dropped", step.now))
        }
        Ok(_) => None,
        Err(job) => Some(job),
    })
}

/// A job that must not be paid for now waits: until somebody may have set its price, or a program can read it.
fn put_off(step: &Step<'_>, batch: i64, id: i64, wait: Duration) -> Result<(), LedgerError> {
    let due = put_time(step.now + wait);
    step.sql.prepare_cached("UPDATE job SET lane = ?2, due = ?3 WHERE id = ?1")?.execute((
        id,
        put_lane(Lane::Submit),
        due,
    ))?;
    sums::readied(step.sql, batch, -1)
}

/// Until when the day's budget has no room for `price`.
fn day_is_full(step: &Step<'_>, price: Credits) -> Result<Option<Timestamp>, LedgerError> {
    let Some(daily) = account::daily(step.sql)? else { return Ok(None) };
    Ok(match daily.room(price, step.clock.wall) {
        DayRoom::Fits => None,
        DayRoom::Full(until) => Some(step.clock.when_wall_is(until)),
        DayRoom::Over => Some(step.now + DAY_WAIT),
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

/// Why no batch has a job that may go, and until when.
fn nothing(step: &Step<'_>, only: Option<&[String]>) -> Result<BlockedUntil, LedgerError> {
    let any = |is: &str| -> Result<bool, LedgerError> {
        let Some(only) = only else {
            return Ok(step.sql.prepare_cached(&format!("SELECT 1 FROM batch WHERE {is}"))?.exists([])?);
        };
        let mut one = step.sql.prepare_cached(&format!("SELECT 1 FROM batch WHERE folded = ? AND {is}"))?;
        for name in only {
            if one.exists([name])? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let mut first = step.sql.prepare_cached("SELECT min(opens) FROM batch WHERE asleep = 1 AND opens > ?")?;
    let opens: Option<i64> = first.query_row([put_time(step.clock.wall)], |row| row.get(0))?;
    let opens = opens.map(time).filter(|at| *at < TimeRange::NEVER.from).map(|at| step.clock.when_wall_is(at));
    let until = next_delayed(step.sql)?.into_iter().chain(opens).min();
    let why = if any("short = 1")? {
        Blocked::Budget
    } else if any(&format!("asleep = 1 AND opens < {}", put_time(TimeRange::NEVER.from)))? {
        Blocked::Window
    } else {
        Blocked::Work
    };
    Ok((why, until))
}

const RUNNABLE: &str = "SELECT id, turn, weight, opens, closes, budget, credits FROM batch";

/// The runnable batch whose turn it is.
fn next_batch(sql: &Connection, only: Option<&[String]>) -> Result<Option<Runnable>, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| {
        let range = (row.get(3)?, row.get(4)?);
        let budget: Option<i64> = row.get(5)?;
        let (budget, spent) = (budget.map(Credits::from_millis), Credits::from_millis(row.get(6)?));
        let batch = Runnable { id: row.get(0)?, weight: row.get(2)?, range, budget, spent };
        Ok((batch, row.get::<_, i64>(1)?))
    };
    let Some(only) = only else {
        let mut first = sql.prepare_cached(&format!(
            "{RUNNABLE} INDEXED BY batch_turn WHERE turn IS NOT NULL ORDER BY turn, id LIMIT 1"
        ))?;
        return Ok(first.query_row([], columns).optional()?.map(|(batch, _)| batch));
    };
    let mut one = sql.prepare_cached(&format!("{RUNNABLE} WHERE folded = ? AND turn IS NOT NULL"))?;
    let mut first: Option<(Runnable, i64)> = None;
    for name in only {
        let found = one.query_row([name], columns).optional()?;
        let is_earlier = |(batch, turn): &(Runnable, i64)| {
            first.as_ref().is_none_or(|(best, at)| (*turn, batch.id) < (*at, best.id))
        };
        first = found.filter(is_earlier).or(first);
    }
    Ok(first.map(|(batch, _)| batch))
}

/// The first ready job of a batch: number and rank.
///
/// Jobs that are staged but not published are in the same index, behind the published ones of their rank, as their
/// numbers are higher: if a rank's first one is not published, none of that rank is.
fn next_job(sql: &Connection, batch: i64) -> Result<Option<(i64, i64)>, LedgerError> {
    let mut shown = sql.prepare_cached("SELECT shown FROM batch WHERE id = ?")?;
    let shown = id_at(batch, shown.query_row([batch], |row| row.get(0))?);
    let mut first = sql.prepare_cached(
        "SELECT id, rank FROM job INDEXED BY job_ready WHERE batch = ? AND lane IS NULL AND rank > ? ORDER BY rank, id LIMIT 1",
    )?;
    let mut above = i64::MIN;
    loop {
        let found = first.query_row((batch, above), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((id, rank)) if id >= shown => above = rank,
            found => return Ok(found),
        }
    }
}

fn next_delayed(sql: &Connection) -> Result<Option<Timestamp>, LedgerError> {
    let mut first = sql.prepare_cached("SELECT min(due) FROM job WHERE lane = ?")?;
    let first: Option<i64> = first.query_row([put_lane(Lane::Submit)], |row| row.get(0))?;
    Ok(first.map(time))
}
