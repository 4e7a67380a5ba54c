//! A file's rows as lines, in one read transaction: as of one moment, while others go on.

use rusqlite::{Connection, OptionalExtension as _, Row};
use tokio::sync::mpsc;

use super::super::hints;
use super::super::marks::{id, moved, stamp_of};
use super::super::row::put_state;
use super::{clock, now};
use crate::digest::of_task;
use crate::ledger::hints::HintKind;
use crate::migration::FORMAT;
use crate::transfer::{
    AccountLine, Alias, Batch, Bytes, Daily, ExportEntry, Fast, Gate, Header, Heard, Job, Low, Seen, Sent, Slot,
    TaskOf, UNLIMITED, Unreadable, VERSION, digits,
};
use crate::{LedgerError, LedgerId};
use veobatch_core::StateName;

/// Sends the ledger.
pub(super) fn all(sql: &mut Connection, source: String, to: &mpsc::Sender<Sent>) -> Result<(), LedgerError> {
    if id(sql)?.is_none() {
        // It was never bound; what is told of it later has to name it.
        let name = "INSERT INTO lineage (one, id) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET id = ifnull(id, ?1)";
        sql.execute(name, [LedgerId::random()?.as_str()])?;
    }
    let sql = sql.transaction()?;
    super::check_begun(&sql)?;
    if let Some(moved) = moved(&sql)? {
        return Err(moved.error());
    }
    let ledger = id(&sql)?.ok_or_else(|| LedgerError::Damaged("the ledger has no id".to_owned()))?;
    let grants: i64 = sql.query_row("SELECT grants FROM lineage", [], |row| row.get(0))?;
    let exported = clock::wall_clock()().to_string();
    let (stamp, time) = (stamp_of(&sql)?, now(&sql)?);
    let header = Header {
        veobatch_ledger: VERSION,
        format: FORMAT,
        ledger,
        source,
        stamp,
        grants: Some(grants.cast_unsigned()),
        time,
        exported,
    };
    send(to, Sent::Header(Box::new(header)))?;
    entry(to, ExportEntry::Account(Box::new(account(&sql)?)))?;
    batches(&sql, to)?;
    tasks(&sql, to)?;
    let staged = "SELECT ifnull(sum(next - iif(published IS NULL, 0, shown)), 0) FROM batch WHERE forgotten IS NULL";
    let left_out: i64 = sql.query_row(staged, [], |row| row.get(0))?;
    send(to, Sent::LeftOut(left_out.cast_unsigned()))
}

fn send(to: &mpsc::Sender<Sent>, sent: Sent) -> Result<(), LedgerError> {
    to.blocking_send(sent).map_err(|_| LedgerError::Unavailable("nobody writes the export any more".to_owned()))
}

fn entry(to: &mpsc::Sender<Sent>, entry: ExportEntry) -> Result<(), LedgerError> {
    send(to, Sent::ExportEntry(Box::new(entry)))
}

fn account(sql: &Connection) -> Result<AccountLine, LedgerError> {
    let daily = |row: &Row<'_>| {
        let credits: Option<i64> = row.get("daily")?;
        let (zone, from, until) = (row.get("zone")?, ms(row, "day_from")?, ms(row, "day_until")?);
        let zone: Option<String> = zone;
        Ok::<_, rusqlite::Error>(match credits.zip(zone) {
            Some((credits, zone)) => Some(Daily { credits, zone, from, until, spent: row.get("day_spent")? }),
            None => None,
        })
    };
    let lowered = |row: &Row<'_>| {
        let to: Option<f64> = row.get("low")?;
        let (since, peak): (_, f64) = (ms(row, "low_since")?, row.get("peak")?);
        Ok::<_, rusqlite::Error>(to.map(|to| Low { to: rounded(to), since, peak: rounded(peak) }))
    };
    let mut account = sql.query_row("SELECT * FROM account", [], |row| {
        Ok(AccountLine {
            salt: Some(Bytes(row.get("salt")?)),
            api_base: row.get("api_base")?,
            fingerprint: row.get("fingerprint")?,
            submissions: row.get("submissions")?,
            per: ms(row, "per")?,
            max_in_flight: row.get("cap")?,
            prices_asked: row.get("priced")?,
            daily: daily(row)?,
            next_slot: row.get("tat")?,
            lowered: lowered(row)?,
            gate: gate(row)?,
            troubles: row.get("troubles")?,
            fastest: Fast { present: row.get("fast")?, count: row.get("fast_n")?, before: row.get("fast_was")? },
            ..AccountLine::default()
        })
    })?;
    account.poll_rate = sql.query_row("SELECT rate FROM polls", [], |row| row.get(0))?;
    account.upgrade_turn = one(sql, "SELECT until FROM upgrade_turn", |row| ms(row, 0))?;
    account.heard = Heard::of(&hints::all(sql, HintKind::Heard)?);
    account.arrivals =
        list(sql, "SELECT token, bound FROM arrival ORDER BY bound, token", |row| Ok((row.get(0)?, ms(row, 1)?)))?;
    account.prices =
        list(sql, "SELECT class, credits FROM price", |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect();
    account.seen = Seen::of(hints::all(sql, HintKind::Durations)?);
    let slot = |row: &Row<'_>| Ok(Slot { hour: row.get(0)?, why: row.get(1)?, n: rounded(row.get::<_, f64>(2)?) });
    account.slots = list(sql, "SELECT hour, why, n FROM slot ORDER BY hour, why", slot)?;
    Ok(account)
}

fn gate(row: &Row<'_>) -> rusqlite::Result<Option<Gate>> {
    let until: Option<i64> = row.get("gate_until")?;
    let probe: Option<String> = row.get("probe")?;
    let why: Option<String> = row.get("gate_why")?;
    let trial = probe.zip(Some(ms(row, "probe_until")?));
    let (no_credits, closings) = (row.get("gate_credits")?, row.get("gate_closings")?);
    let gate =
        |until: i64| Gate { until: until.cast_unsigned(), why: why.unwrap_or_default(), no_credits, closings, trial };
    Ok(until.map(gate))
}

fn batches(sql: &Connection, to: &mpsc::Sender<Sent>) -> Result<(), LedgerError> {
    let published = "SELECT batch.*, (SELECT since FROM rest WHERE rest.batch = batch.id) AS rested, \
        (SELECT jobs FROM unsure WHERE unsure.batch = batch.id) AS unsure \
        FROM batch WHERE published IS NOT NULL AND forgotten IS NULL ORDER BY id";
    let mut all = sql.prepare(published)?;
    let mut rows = all.query([])?;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        number += 1;
        let id: i64 = row.get("id")?;
        let rested: Option<i64> = row.get("rested")?;
        let batch = Batch {
            number,
            name: row.get("name")?,
            jobs: row.get("shown")?,
            created: ms(row, "created")?,
            paused: row.get("paused")?,
            paused_because: row.get("paused_because")?,
            cancelling: row.get("cancelling")?,
            weight: row.get("weight")?,
            priority: row.get("priority")?,
            schedule: row.get("schedule")?,
            from: ms(row, "opens")?,
            until: ms(row, "closes")?,
            budget: row.get("budget")?,
            rested: rested.map(i64::cast_unsigned),
            unsure: row.get::<_, Option<u32>>("unsure")?.unwrap_or_default(),
        };
        let shown = i64::from(batch.jobs);
        entry(to, ExportEntry::Batch(Box::new(batch)))?;
        jobs(sql, to, number, super::super::row::id_at(id, 0), super::super::row::id_at(id, shown))?;
        let alias = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
        for (job, name) in
            list(sql, &format!("SELECT job, name FROM alias WHERE batch = {id} ORDER BY job, name"), alias)?
        {
            entry(to, ExportEntry::Alias(Alias { batch: number, seq: seq(job), name }))?;
        }
    }
    Ok(())
}

fn jobs(sql: &Connection, to: &mpsc::Sender<Sent>, batch: u32, from: i64, end: i64) -> Result<(), LedgerError> {
    let mut all = sql.prepare_cached(
        "SELECT job.id, job.name, state, rank, lane, due, version, flight, token, at, digest, compact, credits, body, \
         spec.spec, spec.class, unreadable.since, unreadable.why FROM job LEFT JOIN spec ON spec.job = job.id \
         LEFT JOIN unreadable ON unreadable.job = job.id WHERE job.id >= ? AND job.id < ? ORDER BY job.id",
    )?;
    let mut rows = all.query((from, end))?;
    while let Some(row) = rows.next()? {
        entry(to, ExportEntry::Job(Box::new(job(batch, row)?)))?;
    }
    Ok(())
}

fn job(batch: u32, row: &Row<'_>) -> rusqlite::Result<Job> {
    let (code, rank): (i64, Option<i32>) = (row.get(2)?, row.get(3)?);
    let lane: Option<i64> = row.get(4)?;
    let flight: Option<i64> = row.get(7)?;
    let (token, at): (Option<String>, Option<i64>) = (row.get(8)?, row.get(9)?);
    let (since, why): (Option<i64>, Option<String>) = (row.get(16)?, row.get(17)?);
    let unreadable = since.zip(why).map(|(since, why)| Unreadable { since: since.cast_unsigned(), why });
    let known = StateName::ALL.iter().find(|state| put_state(**state) == code);
    Ok(Job {
        batch,
        seq: seq(row.get(0)?),
        id: row.get(1)?,
        state: known.map_or_else(|| format!("unknown-{code}"), |state| state.as_str().to_owned()),
        spec: row.get::<_, Option<Vec<u8>>>(14)?.map(Bytes),
        class: row.get(15)?,
        body: row.get::<_, Option<Vec<u8>>>(13)?.map(Bytes),
        version: row.get::<_, i64>(6)?.cast_unsigned(),
        priority: rank.map_or(0, |rank| -rank),
        due: match lane {
            Some(lane) => Some((lane_name(lane).to_owned(), ms(row, 5)?)),
            None => None,
        },
        flight: flight.map(|until| until.cast_unsigned().min(UNLIMITED)),
        attempt: token.zip(at.map(i64::cast_unsigned)),
        credits: row.get(12)?,
        compact: row.get(11)?,
        digest: row.get::<_, Option<Vec<u8>>>(10)?.as_deref().map(digits),
        unreadable,
        entry: None,
    })
}

fn tasks(sql: &Connection, to: &mpsc::Sender<Sent>) -> Result<(), LedgerError> {
    let mut numbers =
        sql.prepare("SELECT id FROM batch WHERE published IS NOT NULL AND forgotten IS NULL ORDER BY id")?;
    let ids: Vec<i64> = numbers.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut all = sql.prepare("SELECT task, job FROM task ORDER BY job, task")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (task, job): (String, i64) = (row.get(0)?, row.get(1)?);
        // Of a forgotten batch, and not cleared away yet.
        let Ok(place) = ids.binary_search(&(job >> 32)) else { continue };
        let sha1 = task.strip_prefix('#').map_or_else(|| of_task(&task), str::to_owned);
        let batch = u32::try_from(place + 1).unwrap_or(u32::MAX);
        entry(to, ExportEntry::Task(TaskOf { batch, seq: seq(job), sha1 }))?;
    }
    Ok(())
}

fn seq(job: i64) -> u32 {
    u32::try_from(job & i64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn lane_name(lane: i64) -> &'static str {
    use veobatch_core::Lane;
    let found = Lane::ALL.iter().find(|known| super::super::row::put_lane(**known) == lane);
    found.copied().unwrap_or(Lane::Follow).as_str()
}

fn ms<I: rusqlite::RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|ms| u64::try_from(ms).unwrap_or_default())
}

/// As a server keeps it, so that a line is the same from either.
fn rounded(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}

fn one<T>(
    sql: &Connection,
    what: &str,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, LedgerError> {
    Ok(sql.query_row(what, [], read).optional()?)
}

fn list<T>(
    sql: &Connection,
    what: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, LedgerError> {
    Ok(sql.prepare(what)?.query_map([], read)?.collect::<Result<_, _>>()?)
}
