//! The account's row: pace, gate and what is in flight, as [`crate::account`] describes them.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use veobatch_core::{Credits, Lane, Span, StateName, Timestamp, Token};

use super::row::{get_time, ms, put_time, time};
use super::writer::Step;
use crate::LedgerError;
use crate::account::{
    Account, Daily, DailyBudget, Day, Gate, GateReport, Lowered, Note, NoteKind, Pace, PriceList, Settings, Settle,
    TROUBLES, Waiting,
};
use crate::fastest::Fastest;

/// The account's row while an operation works with it.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) pace: Pace,
    /// When the next slot is due by spacing, in microseconds: T may be a fraction of a millisecond.
    pub(super) tat: i64,
    /// The allowance, if it was lowered.
    low: Option<Lowered>,
    /// Why no slot is used, and since when, in microseconds.
    pub(super) idle: Option<(String, i64)>,
    gate: Gate,
    troubles: u32,
    /// The submission that tries whether the gate may open, and until when it is waited for.
    probe: Option<(Token, Timestamp)>,
    /// Jobs with a place in flight, those included whose time is over and that were not swept yet.
    pub(super) flying: i64,
}

/// Why there is no submission now, and when to ask again.
pub(super) type Hindered = (Waiting, Option<Timestamp>);

impl Books {
    pub(super) fn load(sql: &Connection) -> Result<Self, LedgerError> {
        let mut statement = sql.prepare_cached(
            "SELECT submissions, per, cap, tat, flying, troubles, gate_until, gate_why, gate_credits, \
             gate_closings, probe, probe_until, low, low_since, peak, idle, idle_from FROM account",
        )?;
        let books = statement.query_row([], |row| {
            let per: i64 = row.get(1)?;
            let until: Option<i64> = row.get(6)?;
            let gate = match until {
                None => Gate::Open,
                Some(until) => Gate::Closed {
                    until: time(until),
                    why: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
                    no_credits: row.get(8)?,
                    closings: row.get(9)?,
                },
            };
            let probe: Option<String> = row.get(10)?;
            Ok(Self {
                pace: Pace {
                    submissions: row.get(0)?,
                    per: Duration::from_millis(per.cast_unsigned()),
                    max_in_flight: row.get(2)?,
                },
                tat: row.get(3)?,
                flying: row.get(4)?,
                troubles: row.get(5)?,
                low: match row.get(12)? {
                    Some(to) => Some(Lowered { to, since: get_time(row, 13)?, peak: row.get(14)? }),
                    None => None,
                },
                idle: row.get::<_, Option<String>>(15)?.zip(Some(row.get(16)?)),
                gate,
                probe: probe.as_deref().and_then(Token::parse).zip(Some(get_time(row, 11)?)),
            })
        })?;
        Ok(books)
    }

    pub(super) fn store(&self, sql: &Connection) -> Result<(), LedgerError> {
        let (until, why, credits, closings) = match &self.gate {
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
            self.pace.submissions,
            ms(self.pace.per),
            self.pace.max_in_flight,
            self.tat,
            self.troubles,
            until,
            why,
            credits,
            closings,
            self.probe.as_ref().map(|(token, _)| token.as_str()),
            self.probe.as_ref().map_or(0, |(_, until)| put_time(*until)),
            self.low.map(|low| low.to),
            self.low.map_or(0, |low| put_time(low.since)),
            self.low.map_or(0.0, |low| low.peak),
            self.idle.as_ref().map(|(why, _)| why),
            self.idle.as_ref().map_or(0, |(_, from)| *from),
        ])?;
        Ok(())
    }

    /// Gate, cap and slot, in this order.
    pub(super) fn hindrance(&self, sql: &Connection, now: Timestamp) -> Result<Option<Hindered>, LedgerError> {
        if let Some(until) = self.closed_until(now) {
            return Ok(Some((Waiting::Gate, Some(until))));
        }
        if self.in_flight(sql, now)? >= i64::from(self.pace.max_in_flight) {
            return Ok(Some((Waiting::Cap, next_landing(sql, now)?)));
        }
        // An upgrade that waits for a slot takes it soon, or it is another's.
        let turn = super::upgrade::turn(sql)?.min(now.after(Duration::from_millis(100)));
        let slot = self.next_slot(sql, now)?.max(turn);
        Ok((slot > now).then_some((Waiting::Slot, Some(slot))))
    }

    /// Until when the gate lets nothing through, or its one trial is waited for.
    pub(super) fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let Gate::Closed { until, .. } = self.gate else { return None };
        let trial = self.probe.as_ref().map_or(until, |(_, end)| until.max(*end));
        (trial > now).then_some(trial)
    }

    /// Jobs in flight now.
    pub(super) fn in_flight(&self, sql: &Connection, now: Timestamp) -> Result<i64, LedgerError> {
        let mut landed = sql.prepare_cached("SELECT count(*) FROM job WHERE flight <= ?")?;
        let landed: i64 = landed.query_row([put_time(now)], |row| row.get(0))?;
        Ok(self.flying - landed)
    }

    /// When both rules of the pace have a slot: the spacing, and fewer than N bounds of arrival younger than W.
    pub(super) fn next_slot(&self, sql: &Connection, now: Timestamp) -> Result<Timestamp, LedgerError> {
        let most_young = self.most_young(now);
        // In the millisecond that it falls into: the clock knows no smaller ones, and T may be one.
        let spaced = time(self.tat.div_euclid(1000));
        // Hardly ever more than the log holds, and then there is nothing to count; never less.
        let mut most =
            sql.prepare_cached("SELECT (SELECT max(id) FROM arrival) - (SELECT min(id) FROM arrival) + 1")?;
        let most: Option<i64> = most.query_row([], |row| row.get(0))?;
        if most.unwrap_or_default() < most_young {
            return Ok(spaced);
        }
        let mut nth = sql.prepare_cached("SELECT bound FROM arrival ORDER BY bound DESC LIMIT 1 OFFSET ?")?;
        let mut rows = nth.query([most_young - 1])?;
        match rows.next()? {
            Some(row) => Ok(spaced.max(get_time(row, 0)?.after(self.pace.per))),
            None => Ok(spaced),
        }
    }

    /// How many submissions in W the service is taken to allow now.
    pub(super) fn allowed(&self, now: Timestamp) -> f64 {
        self.low.map_or(f64::from(self.pace.submissions.max(1)), |low| low.allowed(self.pace.submissions, now))
    }

    /// Most bounds of arrival that may be younger than W, with the one that is to come.
    #[expect(clippy::cast_possible_truncation, reason = "at most N, which is a u32")]
    fn most_young(&self, now: Timestamp) -> i64 {
        self.allowed(now) as i64
    }

    /// T, in microseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a duration of at most hours")]
    pub(super) fn spacing(&self, now: Timestamp) -> i64 {
        ((self.pace.per.as_micros() as f64 / self.allowed(now)) as i64).max(1)
    }

    /// Takes the slot for `token`, which may be the one that tries the gate.
    pub(super) fn take_slot(&mut self, token: &Token, now: Timestamp, stall: Duration) {
        let spacing = self.spacing(now);
        self.tat = self.tat.max(put_time(now) * 1000 - spacing) + spacing;
        if self.gate != Gate::Open {
            self.probe = Some((token.clone(), now.after(stall)));
        }
    }

    /// What the end of a paid call says about the service.
    pub(super) fn settle(&mut self, settle: &Settle, now: Timestamp) {
        let probe = self.probe.as_ref().is_some_and(|(token, _)| *token == settle.token);
        let open = self.gate == Gate::Open;
        match &settle.gate {
            GateReport::Healthy => {
                self.troubles = 0;
                if probe {
                    self.gate = Gate::Open;
                }
            }
            GateReport::Troubled { why, wait } => {
                self.troubles = self.troubles.saturating_add(1);
                if probe || (open && self.troubles >= TROUBLES) {
                    self.close(why, *wait, false, now);
                }
            }
            GateReport::Closed { why, wait, no_credits, too_many } => {
                if probe || open {
                    let allowed = self.allowed(now);
                    let until = self.close(why, *wait, *no_credits, now);
                    self.low = if *too_many { Some(Lowered::from(allowed, until)) } else { self.low };
                }
            }
            GateReport::Silent => {}
        }
        if probe {
            self.probe = None;
        }
    }

    /// A gate that is closed for want of credits may be tried now.
    fn solvent(&mut self, now: Timestamp) {
        if let Gate::Closed { until, no_credits: true, .. } = &mut self.gate {
            *until = now.min(*until);
        }
    }

    fn close(&mut self, why: &str, wait: Duration, no_credits: bool, now: Timestamp) -> Timestamp {
        let closings = match self.gate {
            Gate::Open => 1,
            Gate::Closed { closings, .. } => closings.saturating_add(1),
        };
        let until = now.after(Gate::wait(wait, closings));
        self.gate = Gate::Closed { until, why: why.to_owned(), no_credits, closings };
        self.troubles = 0;
        self.probe = None;
        until
    }
}

/// When the next of those in flight stops counting by itself.
fn next_landing(sql: &Connection, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
    let mut first = sql.prepare_cached("SELECT min(flight) FROM job WHERE flight > ?")?;
    let first: Option<i64> = first.query_row([put_time(now)], |row| row.get(0))?;
    Ok(first.filter(|until| *until != super::row::UNLIMITED).map(time))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to N, which is far below")]
fn allowance(books: &Books, now: Timestamp) -> u32 {
    (books.allowed(now) * 1000.0) as u32
}

pub(super) fn account(step: &Step<'_>) -> Result<Account, LedgerError> {
    let books = Books::load(step.sql)?;
    Ok(Account {
        in_flight: u32::try_from(books.in_flight(step.sql, step.now)?).unwrap_or_default(),
        next_slot: books.next_slot(step.sql, step.now)?,
        allowance: allowance(&books, step.now),
        pace: books.pace,
        gate: books.gate,
        recovering_until: None,
        moved_to: super::transfer::moved(step.sql)?.map(|moved| moved.to),
        daily: daily(step.sql)?,
        prices: prices(step.sql)?,
        notes: notes(step.sql)?,
        now: step.now,
        calendar: step.clock.wall,
    })
}

pub(super) fn configure(step: &mut Step<'_>, settings: &Settings) -> Result<Pace, LedgerError> {
    let mut books = Books::load(step.sql)?;
    let before = books.pace;
    if let Some((submissions, per)) = settings.rate {
        books.pace.submissions = submissions;
        books.pace.per = per;
        books.low = None;
    }
    if let Some(cap) = settings.max_in_flight {
        books.pace.max_in_flight = cap;
    }
    if settings.solvent {
        books.solvent(step.now);
    }
    let lets_through = match books.gate {
        Gate::Open => true,
        Gate::Closed { until, .. } => until <= step.now,
    };
    let closes = settings.closes.as_ref().filter(|_| lets_through);
    if let Some((why, wait)) = closes {
        books.close(why, *wait, false, step.now);
    }
    if books.pace != before || settings.rate.is_some() || settings.solvent || closes.is_some() {
        books.store(step.sql)?;
        step.nudge = true;
    }
    if settings.joins {
        keep_fastest(step.sql, &Fastest::default())?;
    }
    if settings.rereads {
        super::unreadable::retry(step)?;
    }
    if let Some((kind, words)) = &settings.note {
        note(step, *kind, words.as_deref())?;
    }
    if let Some(list) = &settings.prices {
        set_prices(step.sql, list)?;
        step.nudge = true;
    }
    if let Some(budget) = &settings.daily {
        set_daily(step.sql, budget.as_ref())?;
        look_for_prices(step.sql)?;
        step.nudge = true;
    }
    if let Some(Day { zone, span }) = &settings.day {
        let begun = step
            .sql
            .prepare_cached(
                "UPDATE account SET day_from = ?2, day_until = ?3, day_spent = 0 \
                 WHERE daily IS NOT NULL AND zone = ?1 AND day_until <= ?4 AND day_until < ?3",
            )?
            .execute((zone, put_time(span.from), put_time(span.until), put_time(step.clock.wall)))?;
        step.nudge |= begun > 0;
    }
    Ok(before)
}

fn set_prices(sql: &Connection, list: &PriceList) -> Result<(), LedgerError> {
    let priced: bool = sql.query_row("SELECT priced FROM account", [], |row| row.get(0))?;
    if priced && !list.asked {
        return Ok(());
    }
    look_for_prices(sql)?;
    // The next job of a batch that waits for its budget may be cheap enough now.
    sql.execute(&format!("UPDATE batch SET {}, short = 0 WHERE short = 1", super::sums::PRESENT), [])?;
    sql.execute("DELETE FROM price", [])?;
    let mut insert = sql.prepare_cached("INSERT OR REPLACE INTO price (class, credits) VALUES (?, ?)")?;
    for (class, credits) in &list.by_class {
        insert.execute((class, credits.as_millis()))?;
    }
    sql.execute("UPDATE account SET priced = priced OR ?", [list.asked])?;
    Ok(())
}

/// Jobs that wait for a price are looked at again now: there may be one, or no budget any more that needs one.
pub(super) fn look_for_prices(sql: &Connection) -> Result<(), LedgerError> {
    sql.execute(
        "UPDATE job SET due = 0 WHERE lane = ?1 AND state = ?2 AND \
         (SELECT class FROM spec WHERE spec.job = job.id) NOT IN (SELECT class FROM price)",
        (super::row::put_lane(Lane::Submit), super::row::put_state(StateName::Queued)),
    )?;
    Ok(())
}

fn set_daily(sql: &Connection, budget: Option<&DailyBudget>) -> Result<(), LedgerError> {
    let zone = budget.map(|budget| &budget.zone);
    sql.execute(
        "UPDATE account SET day_from = 0, day_until = 0, day_spent = 0 WHERE daily IS NULL OR zone IS NOT ?",
        [zone],
    )?;
    let credits = budget.map(|budget| budget.credits.as_millis());
    sql.execute("UPDATE account SET daily = ?, zone = ?", (credits, zone))?;
    Ok(())
}

/// Remembers what a worker says of itself, or that it is over.
fn note(step: &Step<'_>, kind: NoteKind, words: Option<&str>) -> Result<(), LedgerError> {
    match words {
        Some(words) => step
            .sql
            .prepare_cached("INSERT OR REPLACE INTO note (kind, at, words) VALUES (?, ?, ?)")?
            .execute((kind.as_str(), put_time(step.now), words))?,
        None => step.sql.prepare_cached("DELETE FROM note WHERE kind = ?")?.execute([kind.as_str()])?,
    };
    Ok(())
}

fn notes(sql: &Connection) -> Result<Vec<Note>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT at, words FROM note WHERE kind = ?")?;
    let mut notes = Vec::new();
    for kind in NoteKind::ALL {
        let note = find.query_row([kind.as_str()], |row| Ok(Note { kind, at: get_time(row, 0)?, words: row.get(1)? }));
        notes.extend(note.optional()?);
    }
    Ok(notes)
}

/// The fastest of the last answers.
pub(super) fn fastest(sql: &Connection) -> Result<Fastest, LedgerError> {
    let mut find = sql.prepare_cached("SELECT fast, fast_n, fast_was FROM account")?;
    Ok(find.query_row([], |row| Ok(Fastest { present: row.get(0)?, count: row.get(1)?, before: row.get(2)? }))?)
}

pub(super) fn keep_fastest(sql: &Connection, fastest: &Fastest) -> Result<(), LedgerError> {
    let mut keep = sql.prepare_cached("UPDATE account SET fast = ?, fast_n = ?, fast_was = ?")?;
    keep.execute((fastest.present, fastest.count, fastest.before))?;
    Ok(())
}

/// The daily budget, if there is one.
pub(super) fn daily(sql: &Connection) -> Result<Option<Daily>, LedgerError> {
    let mut find = sql.prepare_cached("SELECT daily, zone, day_from, day_until, day_spent FROM account")?;
    Ok(find.query_row([], |row| {
        let credits: Option<i64> = row.get(0)?;
        let Some(credits) = credits.map(Credits::from_millis) else { return Ok(None) };
        let budget = DailyBudget { credits, zone: row.get(1)? };
        let day = Span { from: get_time(row, 2)?, until: get_time(row, 3)? };
        Ok(Some(Daily { budget, day, spent: Credits::from_millis(row.get(4)?) }))
    })?)
}

fn prices(sql: &Connection) -> Result<BTreeMap<String, Credits>, LedgerError> {
    let mut all = sql.prepare_cached("SELECT class, credits FROM price")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, Credits::from_millis(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What the key's fingerprint is made with.
pub(super) fn salt(step: &Step<'_>) -> Result<Vec<u8>, LedgerError> {
    Ok(step.sql.query_row("SELECT salt FROM account", [], |row| row.get(0))?)
}

/// Whether the ledger is bound to these; an error if it is bound to others.
pub(super) fn is_bound(step: &Step<'_>, api_base: &str, fingerprint: &str) -> Result<bool, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let bound: (Option<String>, Option<String>) =
        step.sql.query_row("SELECT api_base, fingerprint FROM account", [], columns)?;
    match bound {
        (Some(base), _) if base != api_base => Err(LedgerError::Bound { what: format!("API base {base}") }),
        (Some(_), Some(key)) if key != fingerprint => Err(LedgerError::Bound { what: "another API key".to_owned() }),
        (base, key) => Ok(base.is_some() && key.is_some()),
    }
}

pub(super) fn bind(step: &Step<'_>, api_base: &str, fingerprint: &str) -> Result<(), LedgerError> {
    if !is_bound(step, api_base, fingerprint)? {
        step.sql.execute("UPDATE account SET api_base = ?, fingerprint = ?", (api_base, fingerprint))?;
    }
    Ok(())
}
