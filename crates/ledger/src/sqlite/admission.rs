//! Admission: jobs stored in chunks that nobody sees, then shown all at once by moving one number.
//!
//! A batch's jobs below `shown` are published; those from there to `next` are staged, and belong to `admission`, or to
//! an admission that was dropped if there is none.

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::{BatchId, StateName, fold};

use super::alias;
use super::comparison::{Comparison, Draft, is_unknown, is_unsure, known, recognize};
use super::counters;
use super::row::{get_time, id_at, put_state, put_time};
use super::transaction::Transaction;
use super::unreadable;
use crate::ledger::batch::TemplateAdvance;
use crate::ledger::job::{Known, Restatement, Staged};
use crate::{LedgerError, STAGING_TIMEOUT};

/// Most jobs of a dropped admission that one step removes.
const SWEPT: i64 = 5_000;

struct BatchRow {
    id: i64,
    next: i64,
    shown: i64,
    published: Option<String>,
    admission: Option<String>,
    progress: veobatch_core::Timestamp,
}

fn batch(sql: &Connection, folded: &str) -> Result<Option<BatchRow>, LedgerError> {
    let mut statement =
        sql.prepare_cached("SELECT id, next, shown, published, admission, progress FROM batch WHERE folded = ?")?;
    let row = statement.query_row([folded], |row| {
        Ok(BatchRow {
            id: row.get(0)?,
            next: row.get(1)?,
            shown: row.get(2)?,
            published: row.get(3)?,
            admission: row.get(4)?,
            progress: get_time(row, 5)?,
        })
    });
    Ok(row.optional()?)
}

/// Whether everything is done that had to be done, or the step must be repeated.
pub(super) enum Swept<T> {
    All(T),
    More,
}

pub(super) fn stage(
    tx: &mut Transaction<'_>,
    admission: &str,
    name: &BatchId,
    drafts: &[Draft],
) -> Result<Swept<Staged>, LedgerError> {
    // Or it would show the rest of its jobs without the first ones.
    if was_dropped(tx.sql, admission)? {
        return Err(LedgerError::Dropped);
    }
    let folded = fold(name.as_str());
    let batch = match batch(tx.sql, &folded)? {
        Some(batch) => batch,
        None => make(tx, &folded, name)?,
    };
    if batch.admission.as_deref() != Some(admission) {
        let alive = tx.now.since(batch.progress) < STAGING_TIMEOUT;
        if batch.admission.is_some() && alive {
            return Err(LedgerError::Busy { batch: name.clone() });
        }
        if let Some(dead) = &batch.admission {
            tx.sql.prepare_cached("INSERT OR IGNORE INTO dropped (admission) VALUES (?)")?.execute([dead])?;
        }
        if sweep(tx.sql, &batch)? {
            return Ok(Swept::More);
        }
    }
    let (staged, next) = insert(tx.sql, &batch, drafts)?;
    tx.sql.prepare_cached("UPDATE batch SET next = ?, admission = ?, progress = ? WHERE id = ?")?.execute((
        next,
        admission,
        put_time(tx.now),
        batch.id,
    ))?;
    Ok(Swept::All(staged))
}

fn was_dropped(sql: &Connection, admission: &str) -> Result<bool, LedgerError> {
    Ok(sql.prepare_cached("SELECT 1 FROM dropped WHERE admission = ?")?.exists([admission])?)
}

fn make(tx: &Transaction<'_>, folded: &str, name: &BatchId) -> Result<BatchRow, LedgerError> {
    tx.sql.prepare_cached("INSERT INTO batch (folded, name, created) VALUES (?, ?, ?)")?.execute((
        folded,
        name.as_str(),
        put_time(tx.now),
    ))?;
    batch(tx.sql, folded)?.ok_or_else(|| LedgerError::Damaged(format!("batch {name} was not stored")))
}

fn insert(sql: &Connection, batch: &BatchRow, drafts: &[Draft]) -> Result<(Staged, i64), LedgerError> {
    let mut staged = Staged::default();
    let mut next = batch.next;
    let queued = put_state(StateName::Queued);
    let mut job = sql.prepare_cached(
        "INSERT INTO job (id, batch, state, rank, folded, name) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (batch, ifnull(folded, name)) DO NOTHING",
    )?;
    let mut spec = sql.prepare_cached("INSERT INTO spec (job, spec, class) VALUES (?, ?, ?)")?;
    let is_unsure = recognize(sql, batch.id, drafts)?;
    for draft in drafts {
        if is_unsure && is_unknown(sql, batch.id, draft)? {
            staged.conflicts.push(draft.id.clone());
            continue;
        }
        let id = id_at(batch.id, next);
        let folded = (draft.folded != draft.id.as_str()).then_some(&draft.folded);
        let is_known = alias::find(sql, batch.id, &draft.folded)?.is_some();
        if !is_known && job.execute((id, batch.id, queued, draft.rank, folded, draft.id.as_str()))? == 1 {
            spec.execute((id, &draft.spec, &draft.class))?;
            staged.new += 1;
            next += 1;
        } else {
            match known(sql, (batch.id, batch.next + i64::from(u32::MAX)), draft)? {
                None => {}
                Some(Comparison::Other) => staged.conflicts.push(draft.id.clone()),
                Some(Comparison::Same) => staged.known += 1,
                Some(Comparison::Restated(_)) => {
                    staged.known += 1;
                    staged.restated += 1;
                }
            }
        }
    }
    Ok((staged, next))
}

/// As [`recognize`], for the batch of that name.
pub(super) fn recognize_in(tx: &Transaction<'_>, folded: &str, drafts: &[Draft]) -> Result<(), LedgerError> {
    match batch(tx.sql, folded)? {
        Some(batch) => recognize(tx.sql, batch.id, drafts).map(drop),
        None => Ok(()),
    }
}

/// Removes some of what is staged; true if there was any.
fn sweep(sql: &Connection, batch: &BatchRow) -> Result<bool, LedgerError> {
    if batch.next == batch.shown {
        return Ok(false);
    }
    let from = batch.shown.max(batch.next - SWEPT);
    let range = (id_at(batch.id, from), id_at(batch.id, batch.next));
    sql.prepare_cached("DELETE FROM spec WHERE job >= ? AND job < ?")?.execute(range)?;
    sql.prepare_cached("DELETE FROM job WHERE id >= ? AND id < ?")?.execute(range)?;
    sql.prepare_cached("UPDATE batch SET next = ?, admission = NULL WHERE id = ?")?.execute((from, batch.id))?;
    Ok(true)
}

pub(super) fn publish(
    tx: &mut Transaction<'_>,
    admission: &str,
    names: &[String],
    advance: Option<&TemplateAdvance>,
) -> Result<(), LedgerError> {
    let batches = staged_by(tx.sql, admission, names)?;
    if let Some(advance) = advance.filter(|_| !batches.is_empty()) {
        // Or somebody dealt with this run, or ordered that there are no more.
        let mut take = tx.sql.prepare_cached(
            "UPDATE batch SET schedule = ?1 WHERE folded = ?2 AND schedule = ?3 AND paused = 0 AND cancelling = 0 AND \
             EXISTS (SELECT 1 FROM tally WHERE tally.batch = batch.id AND state = ?4 AND n > 0)",
        )?;
        let queued = put_state(StateName::Queued);
        if take.execute((&advance.to, advance.template.folded(), &advance.from, queued))? == 0 {
            return Err(LedgerError::Dropped);
        }
    }
    for batch in batches {
        show(tx.sql, admission, &batch)?;
        super::rest::note(tx.sql, batch.id, tx.now, false)?;
        tx.wakes = true;
    }
    Ok(())
}

/// Those of these batches that the admission stages into. It must have shown the others before.
fn staged_by(sql: &Connection, admission: &str, names: &[String]) -> Result<Vec<BatchRow>, LedgerError> {
    if was_dropped(sql, admission)? {
        return Err(LedgerError::Dropped);
    }
    let mut batches = Vec::with_capacity(names.len());
    for folded in names {
        let batch = batch(sql, folded)?.ok_or(LedgerError::Dropped)?;
        if batch.admission.as_deref() == Some(admission) {
            batches.push(batch);
        } else if batch.published.as_deref() != Some(admission) {
            return Err(LedgerError::Dropped);
        }
    }
    Ok(batches)
}

fn show(sql: &Connection, admission: &str, batch: &BatchRow) -> Result<(), LedgerError> {
    sql.prepare_cached("UPDATE batch SET shown = next, published = ?, admission = NULL WHERE id = ?")?
        .execute((admission, batch.id))?;
    let new = batch.next - batch.shown;
    if new > 0 {
        counters::counted(sql, batch.id, put_state(StateName::Queued), new)?;
        counters::readied(sql, batch.id, new)?;
    }
    Ok(())
}

pub(super) fn abandon(tx: &mut Transaction<'_>, admission: &str, names: &[String]) -> Result<Swept<()>, LedgerError> {
    for folded in names {
        let Some(batch) = batch(tx.sql, folded)? else { continue };
        if batch.admission.as_deref().is_some_and(|other| other != admission) {
            continue;
        }
        if sweep(tx.sql, &batch)? {
            return Ok(Swept::More);
        }
        if batch.published.is_none() {
            tx.sql.prepare_cached("DELETE FROM batch WHERE id = ?")?.execute([batch.id])?;
        } else {
            tx.sql.prepare_cached("UPDATE batch SET admission = NULL WHERE id = ?")?.execute([batch.id])?;
        }
    }
    Ok(Swept::All(()))
}

pub(super) fn compare(tx: &Transaction<'_>, folded: &str, drafts: &[Draft]) -> Result<Known, LedgerError> {
    let mut all = Known::default();
    let is_unsure = is_unsure(tx, folded)?;
    let Some(batch) = batch(tx.sql, folded)? else { return Ok(all) };
    for draft in drafts {
        if is_unsure && is_unknown(tx.sql, batch.id, draft)? {
            all.conflicts.push(draft.id.clone());
            continue;
        }
        match known(tx.sql, (batch.id, batch.shown), draft)? {
            None => {}
            Some(Comparison::Other) => all.conflicts.push(draft.id.clone()),
            Some(Comparison::Same) => all.known += 1,
            Some(Comparison::Restated(id)) => {
                all.known += 1;
                // One that cannot be read is nothing that could be changed, and no reason to refuse the others.
                if let Some(Ok((stored, _))) = unreadable::find(tx, id)? {
                    all.restated.push(Restatement { stored, says: draft.policy });
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use veobatch_core::{JobId, Spec, Timestamp, millis};

    use super::*;
    use crate::{Admission, Ledger, NewJob, SqliteLedger};

    fn jobs(names: [&str; 2]) -> Vec<NewJob> {
        names.map(|name| NewJob { id: JobId::parse(name).unwrap(), spec: Spec::default() }).to_vec()
    }

    #[tokio::test]
    async fn an_admission_that_was_taken_for_dead_cannot_go_on_half_way() {
        let ms = Arc::new(AtomicU64::new(1_800_000_000_000));
        let clock = Arc::clone(&ms);
        let source = Arc::new(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
        let ledger = SqliteLedger::in_memory(source).unwrap();
        let (slow, next) = (Admission::random(), Admission::random());
        let batch = BatchId::parse("night").unwrap();
        ledger.stage(&slow, &batch, &jobs(["a", "b"])).await.unwrap();
        ms.fetch_add(millis(STAGING_TIMEOUT), Ordering::SeqCst);
        assert_eq!(ledger.stage(&next, &batch, &jobs(["a", "x"])).await.unwrap().new, 2);
        ledger.publish(&next, std::slice::from_ref(&batch), None).await.unwrap();
        assert!(matches!(ledger.stage(&slow, &batch, &jobs(["c", "d"])).await, Err(LedgerError::Dropped)));
        assert!(matches!(ledger.publish(&slow, std::slice::from_ref(&batch), None).await, Err(LedgerError::Dropped)));
        assert_eq!((&ledger as &dyn Ledger).batches().await.unwrap()[0].total(), 2);
    }
}
