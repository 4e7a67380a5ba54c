//! How long videos took, by kind: the last ones, oldest first, in four bytes each.

use std::time::Duration;

use rusqlite::OptionalExtension as _;
use veobatch_core::VideoKind;

use super::row::put_time;
use super::writer::Step;
use crate::LedgerError;
use crate::samples::{KINDS, SAMPLES, stored};

pub(super) const TABLE: &str =
    "CREATE TABLE took (kind TEXT PRIMARY KEY, at INTEGER NOT NULL, samples BLOB NOT NULL) STRICT, WITHOUT ROWID;";

/// Bytes of one sample.
const WIDTH: usize = 4;

pub(super) fn sample(step: &Step<'_>, took: &[(VideoKind, Duration)]) -> Result<(), LedgerError> {
    let mut find = step.sql.prepare_cached("SELECT samples FROM took WHERE kind = ?")?;
    let mut keep = step.sql.prepare_cached(
        "INSERT INTO took (kind, at, samples) VALUES (?1, ?2, ?3) ON CONFLICT (kind) DO UPDATE SET at = ?2, samples = ?3",
    )?;
    for (kind, took) in took {
        let mut samples: Vec<u8> = find.query_row([kind.as_str()], |row| row.get(0)).optional()?.unwrap_or_default();
        samples.extend(stored(*took).to_le_bytes());
        let last = samples.get(samples.len().saturating_sub(SAMPLES * WIDTH)..).unwrap_or_default();
        keep.execute((kind.as_str(), put_time(step.now), last))?;
    }
    let mut forget = step.sql.prepare_cached(
        "DELETE FROM took WHERE kind IN (SELECT kind FROM took ORDER BY at DESC, kind LIMIT -1 OFFSET ?)",
    )?;
    forget.execute([i64::try_from(KINDS).unwrap_or(i64::MAX)])?;
    Ok(())
}

pub(super) fn samples(step: &Step<'_>) -> Result<Vec<(VideoKind, Vec<Duration>)>, LedgerError> {
    let mut all = step.sql.prepare_cached("SELECT kind, samples FROM took ORDER BY kind")?;
    let rows =
        all.query_map([], |row| Ok((VideoKind::from_stored(row.get(0)?), durations(&row.get::<_, Vec<u8>>(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn durations(samples: &[u8]) -> Vec<Duration> {
    let words = samples.chunks_exact(WIDTH).filter_map(|bytes| <[u8; WIDTH]>::try_from(bytes).ok());
    words.map(|bytes| Duration::from_millis(u32::from_le_bytes(bytes).into())).collect()
}
