//! How jobs that are being admitted compare with those that are known, also with what format 1 made of them.

use rusqlite::{Connection, OptionalExtension};
use veobatch_core::{JobId, Spec, StateName, WorkPolicy};

use super::alias;
use super::row::{self, id_at};
use super::transaction::Transaction;
use crate::LedgerError;
use crate::digest;
use crate::ledger::job::NewJob;
use crate::migration::{Older, looks_made};

/// A job as it will be stored.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) id: JobId,
    pub(super) folded: String,
    pub(super) spec: Vec<u8>,
    pub(super) class: String,
    pub(super) rank: i64,
    pub(super) policy: WorkPolicy,
    pub(super) older: Option<Older>,
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

/// How a known job compares with a draft.
pub(super) enum Comparison {
    /// Its content, or its id as it is written, is another one.
    Other,
    Same,
    /// Only how to work at it is said otherwise, and that still means something. The job's number.
    Restated(i64),
}

/// Compares a draft with the job of that name before `end`, if there is one.
pub(super) fn known(
    sql: &Connection,
    (batch, end): (i64, i64),
    draft: &Draft,
) -> Result<Option<Comparison>, LedgerError> {
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
pub(super) fn is_unsure(tx: &Transaction<'_>, folded: &str) -> Result<bool, LedgerError> {
    let mut unsure =
        tx.sql.prepare_cached("SELECT 1 FROM unsure JOIN batch ON batch.id = unsure.batch WHERE folded = ?")?;
    Ok(unsure.exists([folded])?)
}

/// Gives such jobs, as far as they are recognized by what the lines say now, their content's name. Returns whether others
/// are left.
pub(super) fn recognize(sql: &Connection, batch: i64, drafts: &[Draft]) -> Result<bool, LedgerError> {
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
pub(super) fn is_unknown(sql: &Connection, batch: i64, draft: &Draft) -> Result<bool, LedgerError> {
    if !looks_made(&draft.folded) || alias::find(sql, batch, &draft.folded)?.is_some() {
        return Ok(false);
    }
    let mut named = sql.prepare_cached("SELECT 1 FROM job WHERE batch = ? AND ifnull(folded, name) = ?")?;
    Ok(!named.exists((batch, &draft.folded))?)
}
