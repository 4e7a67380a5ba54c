//! Admission: jobs stored in chunks that nobody sees, then shown all at once by moving one number.
//!
//! A batch's jobs below `shown` are published; those from there to `next` are staged, and belong to `admission`, or to
//! an admission that was dropped if there is none.

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::{BatchId, JobId, Spec, StateName, WorkPolicy, fold};

use super::alias;
use super::row::{self, get_time, id_at, put_state, put_time};
use super::sums;
use super::unreadable;
use super::writer::Step;
use crate::digest;
use crate::job::{Known, NewJob, Restatement, Staged, TemplateAdvance};
use crate::migration::{Older, looks_made};
use crate::{LedgerError, STAGING_TIMEOUT};

/// Most jobs of a dropped admission that one step removes.
const SWEPT: i64 = 5_000;

/// A job as it will be stored.
#[derive(Debug)]
pub(super) struct Draft {
    id: JobId,
    folded: String,
    spec: Vec<u8>,
    class: String,
    rank: i64,
    policy: WorkPolicy,
    older: Option<Older>,
}

impl Draft {
    pub(super) fn of(jobs: &[NewJob]) -> Vec<Self> {
        let draft = |job: &NewJob| Self {
            folded: job.id.folded(),
            id: job.id.clone(),
            spec: job.spec.to_bytes(),
            class: job.spec.price_class(),
            rank: row::rank(job.spec.policy.priority),
            policy: job.spec.policy,
            older: Older::of(&job.id, &job.spec),
        };
        jobs.iter().map(draft).collect()
    }
}

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
    step: &mut Step<'_>,
    admission: &str,
    name: &BatchId,
    drafts: &[Draft],
) -> Result<Swept<Staged>, LedgerError> {
    // Or it would show the rest of its jobs without the first ones.
    if was_dropped(step.sql, admission)? {
        return Err(LedgerError::Dropped);
    }
    let folded = fold(name.as_str());
    let batch = match batch(step.sql, &folded)? {
        Some(batch) => batch,
        None => make(step, &folded, name)?,
    };
    if batch.admission.as_deref() != Some(admission) {
        let alive = step.now.since(batch.progress) < STAGING_TIMEOUT;
        if batch.admission.is_some() && alive {
            return Err(LedgerError::Busy { batch: name.clone() });
        }
        if let Some(dead) = &batch.admission {
            step.sql.prepare_cached("INSERT OR IGNORE INTO dropped (admission) VALUES (?)")?.execute([dead])?;
        }
        if sweep(step.sql, &batch)? {
            return Ok(Swept::More);
        }
    }
    let (staged, next) = insert(step.sql, &batch, drafts)?;
    step.sql.prepare_cached("UPDATE batch SET next = ?, admission = ?, progress = ? WHERE id = ?")?.execute((
        next,
        admission,
        put_time(step.now),
        batch.id,
    ))?;
    Ok(Swept::All(staged))
}

fn was_dropped(sql: &Connection, admission: &str) -> Result<bool, LedgerError> {
    Ok(sql.prepare_cached("SELECT 1 FROM dropped WHERE admission = ?")?.exists([admission])?)
}

fn make(step: &Step<'_>, folded: &str, name: &BatchId) -> Result<BatchRow, LedgerError> {
    step.sql.prepare_cached("INSERT INTO batch (folded, name, created) VALUES (?, ?, ?)")?.execute((
        folded,
        name.as_str(),
        put_time(step.now),
    ))?;
    batch(step.sql, folded)?.ok_or_else(|| LedgerError::Damaged(format!("batch {name} was not stored")))
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

/// How a known job compares with a draft.
enum Comparison {
    /// Its content, or its id as it is written, is another one.
    Other,
    Same,
    /// Only how to work at it is said otherwise, and that still means something. The job's number.
    Restated(i64),
}

/// Compares a draft with the job of that name before `end`, if there is one.
fn known(sql: &Connection, (batch, end): (i64, i64), draft: &Draft) -> Result<Option<Comparison>, LedgerError> {
    const SELECT: &str = "SELECT job.id, job.name, job.state, spec.spec, job.digest FROM job \
        LEFT JOIN spec ON spec.job = job.id WHERE";
    let mut by_name =
        sql.prepare_cached(&format!("{SELECT} batch = ?1 AND ifnull(folded, name) = ?2 AND job.id < ?3"))?;
    let found =
        by_name.query_row((batch, &draft.folded, id_at(batch, end)), |row| draft.compared(row, true)).optional()?;
    if found.is_some() {
        return Ok(found);
    }
    let Some(job) = alias::find(sql, batch, &draft.folded)? else { return Ok(None) };
    let mut by_number = sql.prepare_cached(&format!("{SELECT} job.id = ?1"))?;
    Ok(by_number.query_row([job], |row| draft.compared(row, false)).optional()?)
}

impl Draft {
    /// How the job in this row compares; `by_name`: it is known by its own name.
    fn compared(&self, row: &rusqlite::Row<'_>, by_name: bool) -> rusqlite::Result<Comparison> {
        let (name, spec, kept): (String, Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(1)?, row.get(3)?, row.get(4)?);
        let content = Spec::content_of(&self.spec);
        let is_same = match &spec {
            Some(spec) => Spec::content_of(spec) == content,
            None => kept.is_some_and(|kept| self.was_dropped(&name, content, &kept)),
        };
        let is_over = matches!(row::get_state(row, 2)?, StateName::Done | StateName::Cancelled);
        Ok(if (by_name && name != self.id.as_str()) || !is_same {
            Comparison::Other
        } else if is_over || spec.is_none_or(|spec| spec == self.spec) {
            Comparison::Same
        } else {
            Comparison::Restated(row.get(0)?)
        })
    }

    /// Whether this is the digest of the content, or of the spec as format 1 had it; of job `name` where it came from a server.
    fn was_dropped(&self, name: &str, content: &[u8], kept: &[u8]) -> bool {
        let is_content = kept == digest::of_content(content) || kept == digest::of_entry(name, &self.class, content);
        is_content || self.older_digests().iter().flatten().any(|older| kept == older)
    }

    /// The digests of the spec as format 1 had it, a file's and a server's.
    fn older_digests(&self) -> Option<[Vec<u8>; 2]> {
        let older = self.older.as_ref()?;
        // An id that was given is compared as it is written.
        let id = if looks_made(&older.id) { &older.id } else { self.id.as_str() };
        Some([digest::of_content(&older.spec), digest::of_entry(id, &self.class, &older.spec)])
    }
}

/// Whether the batch has jobs of format 1 that lost their content before they had their content's name.
pub(super) fn is_unsure(step: &Step<'_>, folded: &str) -> Result<bool, LedgerError> {
    let mut unsure =
        step.sql.prepare_cached("SELECT 1 FROM unsure JOIN batch ON batch.id = unsure.batch WHERE folded = ?")?;
    Ok(unsure.exists([folded])?)
}

/// As [`recognize`], for the batch of that name.
pub(super) fn recognize_in(step: &Step<'_>, folded: &str, drafts: &[Draft]) -> Result<(), LedgerError> {
    match batch(step.sql, folded)? {
        Some(batch) => recognize(step.sql, batch.id, drafts).map(drop),
        None => Ok(()),
    }
}

/// Gives such jobs, as far as they are recognized by what the lines say now, their content's name. Returns whether others
/// are left.
fn recognize(sql: &Connection, batch: i64, drafts: &[Draft]) -> Result<bool, LedgerError> {
    let mut left = sql.prepare_cached("SELECT jobs FROM unsure WHERE batch = ?")?;
    if !left.exists([batch])? {
        return Ok(false);
    }
    let mut find = sql.prepare_cached(
        "SELECT id FROM job WHERE batch = ? AND ifnull(folded, name) = ? AND compact = 1 AND digest IN (?, ?)",
    )?;
    for draft in drafts {
        let Some(older) = draft.older.as_ref().filter(|_| looks_made(&draft.folded)) else { continue };
        if !is_unknown(sql, batch, draft)? {
            continue;
        }
        let Some([own, theirs]) = draft.older_digests() else { continue };
        let job: Option<i64> = find.query_row((batch, &older.id, own, theirs), |row| row.get(0)).optional()?;
        if let Some(job) = job {
            alias::add(sql, batch, &draft.folded, job)?;
            sql.prepare_cached("UPDATE unsure SET jobs = jobs - 1 WHERE batch = ?")?.execute([batch])?;
        }
    }
    sql.prepare_cached("DELETE FROM unsure WHERE batch = ? AND jobs <= 0")?.execute([batch])?;
    Ok(left.exists([batch])?)
}

/// Whether a made name is no job's: it may be that of one that cannot be recognized.
fn is_unknown(sql: &Connection, batch: i64, draft: &Draft) -> Result<bool, LedgerError> {
    if !looks_made(&draft.folded) || alias::find(sql, batch, &draft.folded)?.is_some() {
        return Ok(false);
    }
    let mut named = sql.prepare_cached("SELECT 1 FROM job WHERE batch = ? AND ifnull(folded, name) = ?")?;
    Ok(!named.exists((batch, &draft.folded))?)
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
    step: &mut Step<'_>,
    admission: &str,
    names: &[String],
    advance: Option<&TemplateAdvance>,
) -> Result<(), LedgerError> {
    let batches = staged_by(step.sql, admission, names)?;
    if let Some(advance) = advance.filter(|_| !batches.is_empty()) {
        // Or somebody dealt with this run, or ordered that there are no more.
        let mut take = step.sql.prepare_cached(
            "UPDATE batch SET schedule = ?1 WHERE folded = ?2 AND schedule = ?3 AND paused = 0 AND cancelling = 0 AND \
             EXISTS (SELECT 1 FROM tally WHERE tally.batch = batch.id AND state = ?4 AND n > 0)",
        )?;
        let queued = put_state(StateName::Queued);
        if take.execute((&advance.to, advance.template.folded(), &advance.from, queued))? == 0 {
            return Err(LedgerError::Dropped);
        }
    }
    for batch in batches {
        show(step.sql, admission, &batch)?;
        super::rest::note(step.sql, batch.id, step.now, false)?;
        step.nudge = true;
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
        sums::counted(sql, batch.id, put_state(StateName::Queued), new)?;
        sums::readied(sql, batch.id, new)?;
    }
    Ok(())
}

pub(super) fn abandon(step: &mut Step<'_>, admission: &str, names: &[String]) -> Result<Swept<()>, LedgerError> {
    for folded in names {
        let Some(batch) = batch(step.sql, folded)? else { continue };
        if batch.admission.as_deref().is_some_and(|other| other != admission) {
            continue;
        }
        if sweep(step.sql, &batch)? {
            return Ok(Swept::More);
        }
        if batch.published.is_none() {
            step.sql.prepare_cached("DELETE FROM batch WHERE id = ?")?.execute([batch.id])?;
        } else {
            step.sql.prepare_cached("UPDATE batch SET admission = NULL WHERE id = ?")?.execute([batch.id])?;
        }
    }
    Ok(Swept::All(()))
}

pub(super) fn compare(step: &Step<'_>, folded: &str, drafts: &[Draft]) -> Result<Known, LedgerError> {
    let mut all = Known::default();
    let is_unsure = is_unsure(step, folded)?;
    let Some(batch) = batch(step.sql, folded)? else { return Ok(all) };
    for draft in drafts {
        if is_unsure && is_unknown(step.sql, batch.id, draft)? {
            all.conflicts.push(draft.id.clone());
            continue;
        }
        match known(step.sql, (batch.id, batch.shown), draft)? {
            None => {}
            Some(Comparison::Other) => all.conflicts.push(draft.id.clone()),
            Some(Comparison::Same) => all.known += 1,
            Some(Comparison::Restated(id)) => {
                all.known += 1;
                // One that cannot be read is nothing that could be changed, and no reason to refuse the others.
                if let Some(Ok((stored, _))) = unreadable::find(step, id)? {
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

    use veobatch_core::{Spec, Timestamp, millis};

    use super::*;
    use crate::{Admission, Ledger, SqliteLedger};

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
        ledger.publish(&next, std::slice::from_ref(&batch)).await.unwrap();
        assert!(matches!(ledger.stage(&slow, &batch, &jobs(["c", "d"])).await, Err(LedgerError::Dropped)));
        assert!(matches!(ledger.publish(&slow, std::slice::from_ref(&batch)).await, Err(LedgerError::Dropped)));
        assert_eq!(ledger.batches().await.unwrap()[0].total(), 2);
    }
}
