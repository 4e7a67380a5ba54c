//! Which ledger this file is, and how many submissions it has granted.
//!
//! Every grant counts one more in its own transaction, so a copy of the file that was made earlier has counted fewer: that
//! is how a restored one is known.

use rusqlite::OptionalExtension as _;

use super::transfer;
use super::writer::Step;
use crate::{Identity, LedgerError, LedgerId};

/// Made at every opening: files that were made before ledgers had ids have none.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS lineage (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT, grants INTEGER NOT NULL DEFAULT 0) STRICT;";

/// Counts a grant.
pub(super) fn granted(step: &Step<'_>) -> Result<(), LedgerError> {
    let count = "INSERT INTO lineage (one, grants) VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET grants = grants + 1";
    step.sql.prepare_cached(count)?.execute([])?;
    Ok(())
}

/// What is stored, if the file has an id.
pub(super) fn known(step: &Step<'_>) -> Result<Option<Identity>, LedgerError> {
    let mut find = step.sql.prepare_cached("SELECT id, grants FROM lineage WHERE id IS NOT NULL")?;
    let found: Option<(String, i64)> = find.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((id, grants)) = found else { return Ok(None) };
    let id = LedgerId::parse(&id).ok_or_else(|| LedgerError::Damaged(format!("the ledger's id is {id:?}")))?;
    Ok(Some(Identity { id, grants: Some(grants.cast_unsigned()), is_copy: transfer::is_copy(step.sql)? }))
}

/// Gives the file an id if it has none, and counts at least so many grants.
pub(super) fn identify(step: &Step<'_>, at_least: u64) -> Result<Identity, LedgerError> {
    step.sql
        .prepare_cached(
            "INSERT INTO lineage (one, id, grants) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE \
             SET id = ifnull(id, ?1), grants = max(grants, ?2)",
        )?
        .execute((LedgerId::random()?.as_str(), i64::try_from(at_least).unwrap_or(i64::MAX)))?;
    if at_least > 0 {
        transfer::accept(step.sql)?;
    }
    known(step)?.ok_or_else(|| LedgerError::Damaged("the ledger has no id".to_owned()))
}
