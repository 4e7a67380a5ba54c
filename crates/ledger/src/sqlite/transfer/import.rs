//! Lines as a file's rows. Counters are not imported: they are counted.

use std::collections::BTreeMap;

use rusqlite::Connection;
use veobatch_core::{Lane, StateName, fold};

use super::super::counters;
use super::super::marks::imported;
use super::super::row::{UNLIMITED as IN_FLIGHT, id_at, put_lane, put_state, put_time};
use super::now;
use crate::LedgerError;
use crate::digest::task_key;
use crate::ledger::hints::Hint;
use crate::transfer::{
    AccountLine, Alias, Batch, Bytes, ExportEntry, Import, Job, Shift, TaskOf, UNLIMITED, begun_elsewhere, bytes_of,
    not_empty, out_of_step,
};

pub(super) fn begin(sql: &Connection, mut import: Import) -> Result<u64, LedgerError> {
    let (known, added) = (imported(sql)?, added(sql)?);
    match known {
        Some(known) if known.digest == import.digest && !known.done => {
            store(sql, &Import { is_copy: known.is_copy || import.is_copy, ..known })?;
            return Ok(added);
        }
        Some(known) if !known.done && added > 0 => return Err(begun_elsewhere()),
        Some(_) | None => {}
    }
    let used = "SELECT EXISTS (SELECT 1 FROM batch) OR EXISTS (SELECT 1 FROM lineage WHERE id IS NOT NULL OR grants > 0) \
        OR EXISTS (SELECT 1 FROM account WHERE api_base IS NOT NULL) OR EXISTS (SELECT 1 FROM transfer WHERE moved IS NOT NULL)";
    if sql.query_row(used, [], |row| row.get(0))? {
        return Err(not_empty());
    }
    import.begun = now(sql)?;
    store(sql, &import)?;
    Ok(0)
}

pub(super) fn call_off(sql: &Connection, import: &Import) -> Result<(), LedgerError> {
    if added(sql)? == 0 && imported(sql)?.is_some_and(|known| known.id == import.id && !known.done) {
        sql.execute("UPDATE transfer SET import = NULL", [])?;
    }
    Ok(())
}

fn store(sql: &Connection, import: &Import) -> Result<(), LedgerError> {
    let text = serde_json::to_string(import)?;
    sql.execute("INSERT INTO transfer (one, import) VALUES (1, ?1) ON CONFLICT DO UPDATE SET import = ?1", [text])?;
    Ok(())
}

/// How many entries there are.
fn added(sql: &Connection) -> Result<u64, LedgerError> {
    let found = "SELECT ifnull((SELECT added FROM transfer), 0)";
    Ok(sql.query_row(found, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// The import as the target knows it.
fn running(sql: &Connection, import: &Import) -> Result<Import, LedgerError> {
    imported(sql)?.filter(|known| known.id == import.id).ok_or_else(out_of_step)
}

pub(super) fn add(sql: &Connection, import: &Import, from: u64, entries: &[ExportEntry]) -> Result<(), LedgerError> {
    let import = running(sql, import)?;
    let (there, end) = (added(sql)?, from + entries.len() as u64);
    if there >= end {
        return Ok(());
    }
    if there != from || import.done {
        return Err(out_of_step());
    }
    let (shift, mut counted) = (import.shift(), Counted::default());
    for entry in entries {
        match entry {
            ExportEntry::Account(found) => account(sql, found, shift)?,
            ExportEntry::Batch(found) => batch(sql, found)?,
            ExportEntry::Job(found) => job(sql, found, shift, &mut counted)?,
            ExportEntry::Alias(found) => alias(sql, found)?,
            ExportEntry::Task(found) => task(sql, found)?,
            ExportEntry::End(_) => {}
        }
    }
    counted.store(sql)?;
    sql.execute("UPDATE transfer SET added = ?", [end.cast_signed()])?;
    Ok(())
}

pub(super) fn finish(sql: &Connection, import: &Import) -> Result<(), LedgerError> {
    let import = running(sql, import)?;
    if import.done {
        return Ok(());
    }
    let grants = import.grants.unwrap_or_default().cast_signed();
    sql.execute(
        "INSERT INTO lineage (one, id, grants) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE SET id = ?1, grants = ?2",
        (import.ledger.as_str(), grants),
    )?;
    sql.execute("UPDATE transfer SET copy = ?, changes = changes + 1, at = ?", (import.is_copy, put_time(now(sql)?)))?;
    store(sql, &Import { done: true, ..import })
}

/// What jobs add up to, by batch.
#[derive(Default)]
struct Counted {
    states: BTreeMap<(i64, i64), i64>,
    ready: BTreeMap<i64, i64>,
    credits: BTreeMap<i64, i64>,
    in_flight: i64,
}

impl Counted {
    fn store(self, sql: &Connection) -> Result<(), LedgerError> {
        for ((batch, state), n) in self.states {
            counters::counted(sql, batch, state, n)?;
        }
        for (batch, n) in self.ready {
            counters::readied(sql, batch, n)?;
        }
        let mut credit = sql.prepare_cached("UPDATE batch SET credits = credits + ? WHERE id = ?")?;
        for (batch, n) in self.credits {
            credit.execute((n, batch))?;
        }
        sql.execute("UPDATE account SET flying = flying + ?", [self.in_flight])?;
        Ok(())
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX - 1)
}

fn account(sql: &Connection, of: &AccountLine, shift: Shift) -> Result<(), LedgerError> {
    let at = |ms: u64| signed(shift.of(ms));
    let (gate, daily, low) = (of.gate.as_ref(), of.daily.as_ref(), of.lowered.as_ref());
    let trial = gate.and_then(|gate| gate.trial.as_ref());
    let salt = of.salt.as_ref().map(|salt| &salt.0).filter(|salt| !salt.is_empty());
    sql.execute(
        "UPDATE account SET salt = ifnull(?, salt), api_base = ?, fingerprint = ?, submissions = ?, per = ?, cap = ?, tat = ?, \
         troubles = ?, gate_until = ?, gate_why = ?, gate_credits = ?, gate_closings = ?, probe = ?, probe_until = ?, low = ?, \
         low_since = ?, peak = ?, fast = ?, fast_n = ?, fast_was = ?, priced = ?, daily = ?, zone = ?, day_from = ?, \
         day_until = ?, day_spent = ?, flying = 0, idle = NULL, idle_from = 0",
        rusqlite::params![
            salt,
            of.api_base,
            of.fingerprint,
            of.submissions,
            signed(of.per),
            of.max_in_flight,
            shift.micros(of.next_slot),
            of.troubles,
            gate.map(|gate| at(gate.until)),
            gate.map(|gate| &gate.why),
            gate.is_some_and(|gate| gate.no_credits),
            gate.map_or(0, |gate| gate.closings),
            trial.map(|(token, _)| token),
            trial.map_or(0, |(_, until)| at(*until)),
            low.map(|low| low.to),
            low.map_or(0, |low| at(low.since)),
            low.map_or(0.0, |low| low.peak),
            of.fastest.present,
            of.fastest.count,
            of.fastest.before,
            of.prices_asked,
            daily.map(|daily| daily.credits),
            daily.map(|daily| &daily.zone),
            daily.map_or(0, |daily| signed(daily.from)),
            daily.map_or(0, |daily| signed(daily.until)),
            daily.map_or(0, |daily| daily.spent),
        ],
    )?;
    beside_the_account(sql, of, shift)
}

/// What other tables hold of it.
fn beside_the_account(sql: &Connection, of: &AccountLine, shift: Shift) -> Result<(), LedgerError> {
    let at = |ms: u64| signed(shift.of(ms));
    sql.execute("UPDATE polls SET rate = ?", [of.poll_rate])?;
    for table in ["arrival", "price", "slot", "hint", "upgrade_turn"] {
        sql.execute(&format!("DELETE FROM {table}"), [])?;
    }
    if let Some(until) = of.upgrade_turn {
        sql.execute("INSERT INTO upgrade_turn (one, until) VALUES (1, ?)", [at(until)])?;
    }
    for (token, bound) in &of.arrivals {
        sql.execute("INSERT OR IGNORE INTO arrival (token, bound) VALUES (?, ?)", (token, at(*bound)))?;
    }
    for (class, credits) in &of.prices {
        sql.execute("INSERT INTO price (class, credits) VALUES (?, ?)", (class, credits))?;
    }
    for (kind, Hint { name, at, text }) in of.hints() {
        let insert = "INSERT INTO hint (kind, name, at, text) VALUES (?, ?, ?, ?)";
        sql.execute(insert, (kind.as_str(), name, put_time(at), text))?;
    }
    for slot in &of.slots {
        sql.execute("INSERT OR REPLACE INTO slot (hour, why, n) VALUES (?, ?, ?)", (slot.hour, &slot.why, slot.n))?;
    }
    Ok(())
}

fn batch(sql: &Connection, of: &Batch) -> Result<(), LedgerError> {
    sql.execute(
        "INSERT INTO batch (id, folded, name, created, paused, paused_because, cancelling, next, shown, published, weight, \
         priority, schedule, opens, closes, budget) VALUES (?, ?, ?, ?, ?, ?, ?, ?8, ?8, 'imported', ?, ?, ?, ?, ?, ?)",
        rusqlite::params![
            of.number,
            fold(&of.name),
            of.name,
            signed(of.created),
            of.paused,
            of.paused_because,
            of.cancelling,
            of.jobs,
            of.weight,
            of.priority,
            of.schedule,
            signed(of.from),
            signed(of.until),
            of.budget,
        ],
    )?;
    match of.rested {
        Some(since) => sql.execute("INSERT INTO rest (batch, since) VALUES (?, ?)", (of.number, signed(since)))?,
        None => sql.execute("INSERT INTO live (batch) VALUES (?)", [of.number])?,
    };
    if of.unsure > 0 {
        sql.execute("INSERT INTO unsure (batch, jobs) VALUES (?, ?)", (of.number, of.unsure))?;
    }
    Ok(())
}

/// The number of a state, and of one that this program does not know if it came from a file.
fn state(of: &Job) -> Result<i64, LedgerError> {
    let unknown = || of.state.strip_prefix("unknown-").and_then(|code| code.parse().ok());
    StateName::parse(&of.state).map(put_state).or_else(unknown).filter(|_| of.entry.is_none()).ok_or_else(|| {
        LedgerError::Transfer(format!(
            "job {} cannot be kept in a SQLite file: this program does not know its state ({})",
            of.id, of.state
        ))
    })
}

fn job(sql: &Connection, of: &Job, shift: Shift, counted: &mut Counted) -> Result<(), LedgerError> {
    let (state, batch) = (state(of)?, i64::from(of.batch));
    let id = id_at(batch, of.seq.into());
    let is_queued = of.state == StateName::Queued.as_str();
    let lane = of.due.as_ref().and_then(|(lane, _)| Lane::parse(lane));
    let flight = of.flight.map(|until| if until >= UNLIMITED { IN_FLIGHT } else { signed(shift.of(until)) });
    let folded = fold(&of.id);
    let digest = of.digest.as_deref().and_then(bytes_of);
    sql.prepare_cached(
        "INSERT INTO job (id, batch, state, rank, lane, due, version, flight, token, at, folded, name, digest, compact, credits, \
         body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(rusqlite::params![
        id,
        batch,
        state,
        is_queued.then_some(-of.priority),
        lane.map(put_lane),
        of.due.as_ref().filter(|_| lane.is_some()).map(|(_, at)| signed(shift.of(*at))),
        of.version.cast_signed(),
        flight,
        of.attempt.as_ref().map(|(token, _)| token),
        of.attempt.as_ref().map(|(_, at)| signed(*at)),
        (folded != of.id).then_some(folded),
        of.id,
        digest,
        of.compact,
        of.credits,
        of.body.as_ref().map(|Bytes(body)| body),
    ])?;
    if let Some(Bytes(spec)) = &of.spec {
        sql.prepare_cached("INSERT INTO spec (job, spec, class) VALUES (?, ?, ?)")?.execute((
            id,
            spec,
            of.class.as_deref().unwrap_or_default(),
        ))?;
    }
    if let Some(found) = &of.unreadable {
        sql.prepare_cached("INSERT INTO unreadable (job, since, why) VALUES (?, ?, ?)")?.execute((
            id,
            signed(found.since),
            &found.why,
        ))?;
    }
    *counted.states.entry((batch, state)).or_default() += 1;
    *counted.ready.entry(batch).or_default() += i64::from(is_queued && lane.is_none());
    *counted.credits.entry(batch).or_default() += of.credits;
    counted.in_flight += i64::from(flight.is_some());
    Ok(())
}

fn alias(sql: &Connection, of: &Alias) -> Result<(), LedgerError> {
    sql.prepare_cached("INSERT INTO alias (batch, name, job) VALUES (?, ?, ?)")?.execute((
        of.batch,
        &of.name,
        id_at(of.batch.into(), of.seq.into()),
    ))?;
    Ok(())
}

fn task(sql: &Connection, of: &TaskOf) -> Result<(), LedgerError> {
    sql.prepare_cached("INSERT OR IGNORE INTO task (task, job) VALUES (?, ?)")?
        .execute((task_key(&of.sha1), id_at(of.batch.into(), of.seq.into())))?;
    Ok(())
}
