//! Bringing a file to the present format: in one transaction, in the place of the one worker.
//!
//! A worker of an older version holds that place as long as it works, so none can be at it. Its other commands do not;
//! one that has the file open already stops at its next change, because what it reads first is gone.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{alias, rest, schema, worker_lock};
use crate::migration::{FORMAT, is_unrecognizable, split};
use crate::{LedgerError, WorkerLock};

type Step = fn(&Transaction<'_>) -> Result<(), LedgerError>;

/// A step leads from the format of its place (from 1) to the next.
const STEPS: [Step; FORMAT as usize - 1] = [to_2];

/// How often the place is asked for: whoever has it may be bringing the file to the present format just now.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Brings the file at `path`, whose format is `found`, to the present one.
pub(super) fn migrate(connection: &mut Connection, path: &Path, found: u32) -> Result<(), LedgerError> {
    let Some(_place) = take_place(connection, path, found)? else { return Ok(()) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = schema::format(&transaction)?;
    let steps = usize::try_from(found).ok().and_then(|found| STEPS.get(found.checked_sub(1)?..)).unwrap_or_default();
    for step in steps {
        step(&transaction)?;
    }
    if !steps.is_empty() {
        schema::set_format(&transaction)?;
        tracing::info!("the ledger was brought from format {found} to {FORMAT}");
    }
    Ok(transaction.commit()?)
}

/// The place of the one worker; none if another process has brought the file to the present format meanwhile.
fn take_place(connection: &Connection, path: &Path, found: u32) -> Result<Option<WorkerLock>, LedgerError> {
    let known_as = path.canonicalize().map_err(|error| LedgerError::Unavailable(error.to_string()))?;
    for _ in 0..TRIES {
        match worker_lock::take(&known_as) {
            Err(LedgerError::WorkerPresent) => std::thread::sleep(PAUSE),
            result => return result.map(Some),
        }
        if schema::format(connection)? == FORMAT {
            return Ok(None);
        }
    }
    let why = "another process is at work on it, such as a worker of the older version".to_owned();
    Err(LedgerError::Outdated { found: found.to_string(), known: FORMAT, why })
}

/// How to work at a job stands apart from its content. Jobs whose made id covered it have their content's name too.
fn to_2(sql: &Transaction<'_>) -> Result<(), LedgerError> {
    // Read before every change by programs of format 1, which do not check the format again.
    sql.execute_batch("ALTER TABLE account RENAME COLUMN clock TO ledger_time")?;
    sql.execute_batch(schema::SCHEMA)?;
    // A file that was made before there were callbacks has no such table.
    sql.execute_batch(
        "CREATE TABLE IF NOT EXISTS heard (one INTEGER PRIMARY KEY, submitted INTEGER, at INTEGER);
         INSERT INTO hint (kind, name, at, text) SELECT 'heard', 'latest', at, submitted FROM heard;
         INSERT INTO hint (kind, name, at, text) SELECT 'seen', kind, at, life FROM seen;
         INSERT INTO hint (kind, name, at, text) SELECT 'notes', kind, at, words FROM note;
         DROP TABLE heard; DROP TABLE seen; DROP TABLE note;",
    )?;
    let mut numbers: HashMap<(i64, String), u32> = HashMap::new();
    for Asked { job, batch, id, spec, is_published } in specs(sql)? {
        let Some(split) = split(&id, &spec) else { continue };
        sql.prepare_cached("UPDATE spec SET spec = ? WHERE job = ?")?.execute((split.spec, job))?;
        if let Some(name) = split.also.filter(|_| is_published) {
            let nth = numbers.entry((batch, name.clone())).or_insert(1);
            while !call(sql, batch, &if *nth == 1 { name.clone() } else { format!("{name}-{nth}") }, job)? {
                *nth += 1;
            }
        }
    }
    rest::note_all(sql)?;
    count_unrecognizable(sql)
}

/// A job that still has its content.
struct Asked {
    job: i64,
    batch: i64,
    id: String,
    spec: Vec<u8>,
    is_published: bool,
}

/// Those whose spec may have to change, in the order of the files.
fn specs(sql: &Connection) -> Result<Vec<Asked>, LedgerError> {
    let mut all = sql.prepare(
        "SELECT spec.job, job.batch, job.name, spec.spec, (job.id & 0xffffffff) < batch.shown FROM spec \
         JOIN job ON job.id = spec.job JOIN batch ON batch.id = job.batch \
         WHERE instr(spec.spec, CAST('\"n\":' AS BLOB)) OR instr(spec.spec, CAST('\"y\":' AS BLOB)) ORDER BY spec.job",
    )?;
    let rows = all.query_map([], |row| {
        let (job, batch, id, spec) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Asked { job, batch, id, spec, is_published: row.get(4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Gives a job a second name; false if another job has it.
fn call(sql: &Connection, batch: i64, name: &str, job: i64) -> Result<bool, LedgerError> {
    let mut taken = sql.prepare_cached("SELECT 1 FROM job WHERE batch = ? AND ifnull(folded, name) = ?")?;
    if taken.exists((batch, name))? {
        return Ok(false);
    }
    alias::add(sql, batch, name, job)
}

fn count_unrecognizable(sql: &Connection) -> Result<(), LedgerError> {
    let mut counts: HashMap<i64, u32> = HashMap::new();
    let mut compact = sql.prepare("SELECT batch, name, body FROM job WHERE compact = 1")?;
    let mut rows = compact.query([])?;
    while let Some(row) = rows.next()? {
        let (id, body): (String, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
        if is_unrecognizable(&id, &body.unwrap_or_default()) {
            *counts.entry(row.get(0)?).or_default() += 1;
        }
    }
    for (batch, jobs) in counts {
        sql.execute("INSERT INTO unsure (batch, jobs) VALUES (?, ?)", (batch, jobs))?;
    }
    Ok(())
}
