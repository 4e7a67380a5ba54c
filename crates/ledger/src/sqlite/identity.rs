//! Whose ledger this file is, which one it is, and how many submissions it has granted.
//!
//! Every grant counts one more in its own transaction, so a copy of the file that was made earlier has counted fewer: that
//! is how a restored one is known.

use rusqlite::OptionalExtension as _;

use super::marks;
use super::transaction::Transaction;
use crate::{Identity, LedgerError, LedgerId};

/// Counts a grant.
pub(super) fn granted(tx: &Transaction<'_>) -> Result<(), LedgerError> {
    let count = "INSERT INTO lineage (one, grants) VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET grants = grants + 1";
    tx.sql.prepare_cached(count)?.execute([])?;
    Ok(())
}

/// What is stored, if the file has an id.
pub(super) fn known(tx: &Transaction<'_>) -> Result<Option<Identity>, LedgerError> {
    let mut find = tx.sql.prepare_cached("SELECT id, grants FROM lineage WHERE id IS NOT NULL")?;
    let found: Option<(String, i64)> = find.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((id, grants)) = found else { return Ok(None) };
    let id = LedgerId::parse(&id).ok_or_else(|| LedgerError::Damaged(format!("the ledger's id is {id:?}")))?;
    Ok(Some(Identity { id, grants: Some(grants.cast_unsigned()), is_copy: marks::is_copy(tx.sql)? }))
}

/// Gives the file an id if it has none.
pub(super) fn identify(tx: &mut Transaction<'_>) -> Result<Identity, LedgerError> {
    count_at_least(tx, 0)?;
    known(tx)?.ok_or_else(|| LedgerError::Damaged("the ledger has no id".to_owned()))
}

/// A person agreed that the ledger goes on; it has granted at least so many.
pub(super) fn accept(tx: &Transaction<'_>, at_least: u64) -> Result<(), LedgerError> {
    count_at_least(tx, at_least)?;
    marks::accept(tx.sql)
}

fn count_at_least(tx: &Transaction<'_>, grants: u64) -> Result<(), LedgerError> {
    tx.sql
        .prepare_cached(
            "INSERT INTO lineage (one, id, grants) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE \
             SET id = ifnull(id, ?1), grants = max(grants, ?2)",
        )?
        .execute((LedgerId::random()?.as_str(), i64::try_from(grants).unwrap_or(i64::MAX)))?;
    Ok(())
}

/// What the key's fingerprint is made with.
pub(super) fn salt(tx: &Transaction<'_>) -> Result<Vec<u8>, LedgerError> {
    Ok(tx.sql.query_row("SELECT salt FROM account", [], |row| row.get(0))?)
}

/// Whether the ledger is bound to these; an error if it is bound to others.
pub(super) fn is_bound(tx: &Transaction<'_>, api_base: &str, fingerprint: &str) -> Result<bool, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let bound: (Option<String>, Option<String>) =
        tx.sql.query_row("SELECT api_base, fingerprint FROM account", [], columns)?;
    match bound {
        (Some(base), _) if base != api_base => Err(LedgerError::Bound { what: format!("API base {base}") }),
        (Some(_), Some(key)) if key != fingerprint => Err(LedgerError::Bound { what: "another API key".to_owned() }),
        (base, key) => Ok(base.is_some() && key.is_some()),
    }
}

pub(super) fn bind(tx: &Transaction<'_>, api_base: &str, fingerprint: &str) -> Result<(), LedgerError> {
    if !is_bound(tx, api_base, fingerprint)? {
        tx.sql.execute("UPDATE account SET api_base = ?, fingerprint = ?", (api_base, fingerprint))?;
    }
    Ok(())
}
