//! Batches: which there are, with their counts; their flags and settings.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};
use veobatch_core::{BatchId, BatchSettings, Credits, TimeRange, fold};

use super::account;
use super::counters::PRESENT;
use super::reading::published;
use super::row::{get_state, get_time, put_time, time};
use super::transaction::Transaction;
use crate::LedgerError;
use crate::ledger::batch::{BatchFlag, BatchSummary, BatchUpdate, Batches};

/// Sets a flag, or settings, or both.
pub(super) fn update(tx: &mut Transaction<'_>, name: &BatchId, update: &BatchUpdate) -> Result<(), LedgerError> {
    let mut find = tx.sql.prepare_cached("SELECT id, schedule, priority FROM batch WHERE folded = ?")?;
    let found = find.query_row([fold(name.as_str())], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (id, schedule, priority): (i64, String, i16) =
        found.optional()?.ok_or_else(|| LedgerError::UnknownBatch(name.clone()))?;
    if update.only_if.as_ref().is_some_and(|wanted| *wanted != schedule) {
        return Ok(());
    }
    if let Some(flag) = &update.flag {
        set_flag(tx, name, flag)?;
    }
    let settings = BatchUpdate { flag: None, ..update.clone() };
    if settings == BatchUpdate::default() { Ok(()) } else { set_settings(tx, id, priority, &settings) }
}

/// Sets a flag. A batch that may go (again) comes in at the present turn.
fn set_flag(tx: &mut Transaction<'_>, name: &BatchId, flag: &BatchFlag) -> Result<(), LedgerError> {
    let (id, _) = published(tx.sql, &fold(name.as_str()))?.ok_or_else(|| LedgerError::UnknownBatch(name.clone()))?;
    let (set, value, why) = match flag {
        BatchFlag::Paused(true) => ("paused = 1, paused_because = ?2", true, None),
        BatchFlag::PausedBecause(why) => ("paused = 1, paused_because = ?2", true, Some(why)),
        BatchFlag::Paused(false) => ("paused = 0, cancelling = 0, paused_because = ?2", false, None),
        BatchFlag::Cancelling(true) => ("cancelling = 1, paused_because = ?2", true, None),
        BatchFlag::Cancelling(false) => ("cancelling = 0, paused_because = ifnull(paused_because, ?2)", false, None),
    };
    tx.sql.prepare_cached(&format!("UPDATE batch SET {PRESENT}, {set} WHERE id = ?1"))?.execute((id, why))?;
    super::rest::note(tx.sql, id, tx.now, false)?;
    tx.wakes |= !value;
    Ok(())
}

/// Changes the settings. The next claim decides anew whether it may go, is outside of its window or over its budget.
fn set_settings(tx: &mut Transaction<'_>, id: i64, priority: i16, new: &BatchUpdate) -> Result<(), LedgerError> {
    // What it has had counts among those of its priority only; and it comes in at their present turn.
    let had = if new.priority.is_some_and(|new| new != priority) { "vt = 0" } else { "vt = vt" };
    tx.sql
        .prepare_cached(&format!(
            "UPDATE batch SET {had}, weight = ifnull(?2, weight), priority = ifnull(?3, priority), \
             schedule = ifnull(?4, schedule), opens = ifnull(?5, opens), closes = ifnull(?6, closes), \
             budget = iif(?7, ?8, budget), asleep = 0, short = 0 WHERE id = ?1"
        ))?
        .execute((
            id,
            new.weight,
            new.priority,
            &new.schedule,
            new.range.map(|range| put_time(range.from)),
            new.range.map(|range| put_time(range.until)),
            new.budget.is_some(),
            new.budget.flatten().map(Credits::as_millis),
        ))?;
    tx.sql
        .prepare_cached(
            "UPDATE batch SET vt = max(vt, ifnull((SELECT level.turn FROM level WHERE level.priority = batch.priority), 0)) \
             WHERE id = ?",
        )?
        .execute([id])?;
    if new.budget.is_some() {
        account::look_for_prices(tx.sql)?;
    }
    tx.wakes = true;
    Ok(())
}

/// Batches with done jobs that are not compact, found one by one in the index of those jobs, however many they are. Each is
/// asked for in `rest` by itself: a list of all that are at rest would grow with the years.
const WHOLE: &str = "WITH RECURSIVE whole (batch) AS (
    SELECT min(batch) FROM job INDEXED BY job_whole WHERE state = 5 AND compact = 0
    UNION ALL
    SELECT (SELECT min(job.batch) FROM job INDEXED BY job_whole
        WHERE state = 5 AND compact = 0 AND job.batch > whole.batch) FROM whole WHERE whole.batch IS NOT NULL
) SELECT batch FROM whole WHERE EXISTS (SELECT 1 FROM rest WHERE rest.batch = whole.batch AND since < ?1)";

/// A batch is in one of both. Named, since a planner that wants a sorted union goes through all that is at rest instead.
const RECENT: &str = "SELECT batch FROM live UNION ALL \
    SELECT batch FROM rest INDEXED BY rest_since WHERE since >= ?1";

const RESTED: &str = "SELECT batch FROM rest INDEXED BY rest_since WHERE since < ?1 ORDER BY since DESC LIMIT ?2";

pub(super) fn list(tx: &Transaction<'_>, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError> {
    let sql = tx.sql;
    match which {
        Batches::All { after, limit } => {
            let after = match after {
                None => 0,
                Some(name) => match published(sql, &name.folded())? {
                    Some((id, _)) => id,
                    None => return Ok(Vec::new()),
                },
            };
            let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
            summaries(sql, "published IS NOT NULL AND id > ?1 ORDER BY id LIMIT ?2", &[&after, &limit])
        }
        Batches::Active => summaries(sql, "id IN (SELECT batch FROM live) ORDER BY id", &[]),
        Batches::Recent { since } => summaries(sql, &format!("id IN ({RECENT}) ORDER BY id"), &[&put_time(*since)]),
        Batches::Rested { before, limit } => {
            let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
            summaries(sql, &format!("id IN ({RESTED}) ORDER BY id"), &[&put_time(*before), &limit])
        }
        Batches::Whole { before } => summaries(sql, &format!("id IN ({WHOLE}) ORDER BY id"), &[&put_time(*before)]),
        Batches::Named(names) => {
            let mut found = Vec::with_capacity(names.len());
            for name in names {
                found.extend(summaries(sql, "published IS NOT NULL AND folded = ?1", &[&name.folded()])?);
            }
            Ok(found)
        }
    }
}

fn summaries(sql: &Connection, which: &str, arguments: &[&dyn ToSql]) -> Result<Vec<BatchSummary>, LedgerError> {
    let mut statement = sql.prepare_cached(&format!(
        "SELECT id, name, paused, cancelling, created, paused_because, weight, priority, opens, closes, schedule, budget, \
         credits, (SELECT since FROM rest WHERE rest.batch = batch.id) FROM batch WHERE {which}"
    ))?;
    let mut rows = statement.query(arguments)?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next()? {
        batches.push(summary(sql, row)?);
    }
    Ok(batches)
}

fn summary(sql: &Connection, row: &Row<'_>) -> Result<BatchSummary, LedgerError> {
    let id: i64 = row.get(0)?;
    let name: String = row.get(1)?;
    let mut counts = sql.prepare_cached("SELECT state, n FROM tally WHERE batch = ? AND n <> 0")?;
    let counted = counts.query_map([id], |row| Ok((get_state(row, 0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
    let rested: Option<i64> = row.get(13)?;
    Ok(BatchSummary {
        batch: BatchId::parse(&name).map_err(|error| LedgerError::Damaged(format!("a batch's name {error}")))?,
        counts: counted.collect::<Result<BTreeMap<_, _>, _>>()?,
        paused: row.get(2)?,
        cancelling: row.get(3)?,
        created: get_time(row, 4)?,
        rested: rested.map(time),
        paused_because: row.get(5)?,
        terms: BatchSettings {
            weight: row.get(6)?,
            priority: row.get(7)?,
            range: TimeRange { from: get_time(row, 8)?, until: get_time(row, 9)? },
            schedule: row.get(10)?,
            budget: row.get::<_, Option<i64>>(11)?.map(Credits::from_millis),
        },
        credits: Credits::from_millis(row.get(12)?),
    })
}

#[cfg(test)]
mod tests {
    use veobatch_core::StateName;

    use super::super::row::put_state;
    use super::*;

    /// What a worker and `status` list again and again takes as many steps over ten batches at rest as over ten thousand.
    #[test]
    fn what_is_compact_and_at_rest_for_long_costs_no_step() {
        let steps = |batches: i64| {
            let sql = super::super::opening::in_memory().unwrap();
            for id in 1..=batches {
                let name = format!("b{id}");
                sql.execute(
                    "INSERT INTO batch (id, folded, name, created, published) VALUES (?1, ?2, ?2, 0, 'x')",
                    (id, name),
                )
                .unwrap();
                sql.execute("INSERT INTO rest (batch, since) VALUES (?, 5)", [id]).unwrap();
            }
            let asked: [(&str, &[i64]); 3] = [(WHOLE, &[9]), (RECENT, &[9]), (RESTED, &[9, 1])];
            asked.map(|(which, arguments)| {
                let mut asked =
                    sql.prepare(&format!("SELECT id FROM batch WHERE id IN ({which}) ORDER BY id")).unwrap();
                let found = asked.query_map(rusqlite::params_from_iter(arguments), |_| Ok(())).unwrap().count();
                (found, asked.get_status(rusqlite::StatementStatus::VmStep))
            })
        };
        assert_eq!(steps(10), steps(10_000));
        assert_eq!(steps(10).map(|(found, _)| found), [0, 0, 1]);
    }

    #[test]
    fn the_state_that_is_written_out_is_that_of_done_jobs() {
        assert_eq!(put_state(StateName::Done), 5);
    }
}
