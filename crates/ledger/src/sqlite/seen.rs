//! What was seen of videos, by kind.

use rusqlite::OptionalExtension as _;
use veobatch_core::{Durations, VideoKind};

use super::row::put_time;
use super::writer::Step;
use crate::LedgerError;
use crate::kinds::KINDS;

pub(super) const TABLE: &str =
    "CREATE TABLE seen (kind TEXT PRIMARY KEY, at INTEGER NOT NULL, life TEXT NOT NULL) STRICT, WITHOUT ROWID;";

pub(super) fn add(step: &Step<'_>, seen: &[(VideoKind, Durations)]) -> Result<(), LedgerError> {
    let mut find = step.sql.prepare_cached("SELECT life FROM seen WHERE kind = ?")?;
    let mut keep = step.sql.prepare_cached(
        "INSERT INTO seen (kind, at, life) VALUES (?1, ?2, ?3) ON CONFLICT (kind) DO UPDATE SET at = ?2, life = ?3",
    )?;
    for (kind, more) in seen {
        let stored: Option<String> = find.query_row([kind.as_str()], |row| row.get(0)).optional()?;
        let mut table = stored.as_deref().map(read).unwrap_or_default();
        table.append(more);
        keep.execute((kind.as_str(), put_time(step.now), table.to_text()))?;
    }
    let mut forget = step.sql.prepare_cached(
        "DELETE FROM seen WHERE kind IN (SELECT kind FROM seen ORDER BY at DESC, kind LIMIT -1 OFFSET ?)",
    )?;
    forget.execute([i64::try_from(KINDS).unwrap_or(i64::MAX)])?;
    Ok(())
}

pub(super) fn all(step: &Step<'_>) -> Result<Vec<(VideoKind, Durations)>, LedgerError> {
    let mut all = step.sql.prepare_cached("SELECT kind, life FROM seen ORDER BY kind")?;
    let rows = all.query_map([], |row| Ok((VideoKind::from_stored(row.get(0)?), row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map(|(kind, text)| (kind, read(&text))).map_err(LedgerError::from)).collect()
}

/// Nothing, if it is damaged: it is a hint.
fn read(text: &str) -> Durations {
    Durations::parse(text).unwrap_or_default()
}
