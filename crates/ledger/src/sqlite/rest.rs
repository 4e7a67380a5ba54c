//! Which batches are at rest, and since when, so that years of them cost nothing where only the others are asked for.
//!
//! A published batch is in `live` or in `rest`. What its jobs and flags say is looked at anew whenever that may have changed;
//! so nothing can drift.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, ToSql};
use veobatch_core::{BatchId, BatchSettings, Credits, StateName, TimeRange, Timestamp};

use super::row::{get_state, get_time, put_state, put_time};
use super::writer::Step;
use crate::LedgerError;
use crate::job::{BatchSummary, Batches};

const TABLES: &str = "
CREATE TABLE live (batch INTEGER PRIMARY KEY) STRICT;
CREATE TABLE rest (batch INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;
CREATE INDEX rest_since ON rest (since);
";

/// States in which a job keeps its batch from being at rest.
const MOVING: [StateName; 6] = [
    StateName::Queued,
    StateName::Submitting,
    StateName::Generating,
    StateName::Upscaling,
    StateName::Downloading,
    StateName::InDoubt,
];

/// Whether a job in `state` is over. Only when one becomes so, or was so, can its batch come to rest or leave it.
pub(super) fn is_over(state: StateName) -> bool {
    !MOVING.contains(&state)
}

/// Makes the tables, in a file that was made before there were any, and says of every batch where it is. What is at rest in
/// such a file counts as having come to rest now.
pub(super) fn prepare(sql: &mut Connection) -> Result<(), LedgerError> {
    let transaction = sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let find = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'live')";
    let is_there: bool = transaction.query_row(find, [], |row| row.get(0))?;
    if !is_there {
        transaction.execute_batch(TABLES)?;
        let mut all = transaction.prepare("SELECT id FROM batch WHERE published IS NOT NULL")?;
        let ids: Vec<i64> = all.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(all);
        let now = transaction.query_row("SELECT ledger_time FROM account", [], |row| get_time(row, 0))?;
        for id in ids {
            note(&transaction, id, now, false)?;
        }
    }
    Ok(transaction.commit()?)
}

/// Brings `live` and `rest` to what the batch is now. `anew`: if it is at rest, it came to rest now, whatever it was before.
pub(super) fn note(sql: &Connection, batch: i64, now: Timestamp, anew: bool) -> Result<(), LedgerError> {
    let moving = MOVING.map(|state| put_state(state).to_string()).join(", ");
    let is_live: bool = sql
        .prepare_cached(&format!(
            "SELECT cancelling OR EXISTS (SELECT 1 FROM tally WHERE tally.batch = batch.id AND n > 0 \
             AND state IN ({moving})) FROM batch WHERE id = ?"
        ))?
        .query_row([batch], |row| row.get(0))?;
    if is_live {
        sql.prepare_cached("DELETE FROM rest WHERE batch = ?")?.execute([batch])?;
        sql.prepare_cached("INSERT OR IGNORE INTO live (batch) VALUES (?)")?.execute([batch])?;
    } else {
        sql.prepare_cached("DELETE FROM live WHERE batch = ?")?.execute([batch])?;
        let or = if anew { "REPLACE" } else { "IGNORE" };
        sql.prepare_cached(&format!("INSERT OR {or} INTO rest (batch, since) VALUES (?, ?)"))?
            .execute((batch, put_time(now)))?;
    }
    Ok(())
}

/// The batch is forgotten.
pub(super) fn forget(sql: &Connection, batch: i64) -> Result<(), LedgerError> {
    sql.prepare_cached("DELETE FROM live WHERE batch = ?")?.execute([batch])?;
    sql.prepare_cached("DELETE FROM rest WHERE batch = ?")?.execute([batch])?;
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

pub(super) fn list(step: &Step<'_>, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError> {
    let sql = step.sql;
    match which {
        Batches::All { after, limit } => {
            let after = match after {
                None => 0,
                Some(name) => match super::reading::published(sql, &name.folded())? {
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
        rested: rested.map(super::row::time),
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
    use super::*;

    #[test]
    fn a_file_from_before_says_of_every_batch_where_it_is() {
        let mut sql = super::super::schema::in_memory().unwrap();
        sql.execute_batch(
            "DROP TABLE live; DROP TABLE rest; UPDATE account SET ledger_time = 77;
             INSERT INTO batch (id, folded, name, created, published, cancelling) VALUES
             (1, 'a', 'a', 0, 'x', 0), (2, 'b', 'b', 0, 'x', 0), (3, 'c', 'c', 0, 'x', 1), (4, 'd', 'd', 0, NULL, 0);
             INSERT INTO tally (batch, state, n) VALUES (1, 5, 3), (1, 0, 0), (2, 5, 1), (2, 7, 1), (4, 0, 9);",
        )
        .unwrap();
        assert_eq!(put_state(StateName::InDoubt), 7);
        prepare(&mut sql).unwrap();
        prepare(&mut sql).unwrap();
        let all = |sql: &Connection, what: &str| -> Vec<(i64, i64)> {
            let mut all = sql.prepare(what).unwrap();
            all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(all(&sql, "SELECT batch, since FROM rest"), [(1, 77)]);
        assert_eq!(all(&sql, "SELECT batch, 0 FROM live"), [(2, 0), (3, 0)]);
    }

    /// What a worker and `status` list again and again takes as many steps over ten batches at rest as over ten thousand.
    #[test]
    fn what_is_compact_and_at_rest_for_long_costs_no_step() {
        let steps = |batches: i64| {
            let sql = super::super::schema::in_memory().unwrap();
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
