//! Leave for an upgrade call: a slot of the pace where the call counts in it, and nothing else of the account.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use veobatch_core::{StateName, Timestamp, Token};

use super::account::Books;
use super::row::{self, ms, put_fence, put_state, put_time, time};
use super::writer::Step;
use super::{slots, submission};
use crate::LedgerError;
use crate::account::{UPGRADE_TURN, Waiting};
use crate::grant::{UpgradeClaim, grant};
use crate::job::Lease;

/// `until`: no submission takes a slot before, as an upgrade waits for one.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS upgrade_turn (one INTEGER PRIMARY KEY CHECK (one = 1), \
     until INTEGER NOT NULL) STRICT;";

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
    let mut books = Books::load(step.sql)?;
    if let Some(until) = books.closed_until(step.now) {
        return Ok(UpgradeClaim::Wait { why: Waiting::Gate, until, now: step.now });
    }
    let (now, slot) = (put_time(step.now), put_time(books.next_slot(step.sql, step.now)?));
    // The last of those that wait already.
    let last = put_time(turn(step.sql)?) - ms(UPGRADE_TURN);
    if slot > now {
        // Or all would come back for the same one; but not far behind, so that who asks too often keeps submissions waiting
        // for W at most.
        let behind = if last > now { last + (books.spacing(step.now) + 999) / 1000 } else { slot };
        let until = time(slot.max(behind.min(slot + ms(books.pace.per))));
        set_turn(step.sql, until.after(UPGRADE_TURN))?;
        return Ok(UpgradeClaim::Wait { why: Waiting::Slot, until, now: step.now });
    }
    slots::used(step, &mut books)?;
    books.take_slot(token, step.now, stall);
    books.store(step.sql)?;
    if last <= now {
        step.sql.prepare_cached("DELETE FROM upgrade_turn")?.execute([])?;
    }
    submission::forget_arrivals(step, &books)?;
    submission::expect_arrival(step, token, stall)?;
    step.nudge = true;
    Ok(UpgradeClaim::Granted(grant(token)))
}

/// Until when slots are an upgrade's.
pub(super) fn turn(sql: &Connection) -> Result<Timestamp, LedgerError> {
    let mut find = sql.prepare_cached("SELECT until FROM upgrade_turn")?;
    let until: Option<i64> = find.query_row([], |row| row.get(0)).optional()?;
    Ok(until.map(time).unwrap_or_default())
}

fn set_turn(sql: &Connection, until: Timestamp) -> Result<(), LedgerError> {
    let mut set = sql.prepare_cached("INSERT OR REPLACE INTO upgrade_turn (one, until) VALUES (1, ?)")?;
    set.execute([put_time(until)])?;
    Ok(())
}

fn check_held(step: &Step<'_>, lease: &Lease) -> Result<(), LedgerError> {
    let mut held = step.sql.prepare_cached("SELECT 1 FROM job WHERE id = ? AND fence = ? AND state IN (?, ?)")?;
    let [upscaling, downloading] = [StateName::Upscaling, StateName::Downloading].map(put_state);
    let is_held = held.exists((row::id(lease.job), put_fence(&lease.fence), upscaling, downloading))?;
    if is_held { Ok(()) } else { Err(LedgerError::LostLease) }
}
