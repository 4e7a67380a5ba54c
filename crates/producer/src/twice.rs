//! Names that are given twice in one run: which jobs they are, and where both stand.

use std::io;

use veobatch_core::JobId;

use crate::node::Place;
use crate::problem::{Problem, Report, shorten};
use crate::roll::{Called, Duplicate};
use crate::spool::Spool;

/// Most that are looked up; the others are too many to be read anyway.
const FOUND: usize = 100_000;

/// Reports every name that is given twice, at its second place; both are looked up in the spool.
pub(crate) fn report(called: &Called, spool: &Spool, files: &[String], reports: &mut [Report]) -> io::Result<()> {
    let mut pairs = called.duplicates.clone();
    if called.is_mixed() {
        pairs.extend(numbered(called, spool)?);
    }
    pairs.truncate(FOUND);
    if pairs.is_empty() {
        return Ok(());
    }
    let found = look_up(&pairs, spool)?;
    let find = |n: u32| found.binary_search_by_key(&n, |found| found.number).ok().and_then(|at| found.get(at));
    for pair in pairs {
        let (Some(first), Some(again)) = (find(pair.first), find(pair.again)) else { continue };
        let elsewhere = files.get(first.file as usize).filter(|_| first.file != again.file);
        let line = first.at.line;
        let place = elsewhere.map_or_else(|| format!("line {line}"), |file| format!("{file}, line {line}"));
        let mut problem =
            Problem::new(format!("this id is taken already, in {place}")).text(shorten(again.id.as_str()));
        if first.id != again.id {
            problem = problem.hint(format!("it is the same file as {} on some systems", first.id));
        }
        if let Some(report) = reports.get_mut(again.file as usize) {
            report.problem(again.at, problem);
        }
    }
    Ok(())
}

/// Jobs that were numbered to a name that another job was given.
fn numbered(called: &Called, spool: &Spool) -> io::Result<Vec<Duplicate>> {
    let mut pairs = Vec::new();
    for (n, waiting) in (0_u32..).zip(spool.jobs()) {
        let waiting = waiting?;
        if let Some(named) = called.named(waiting.batch, waiting.job.id.as_str()).filter(|&named| named != n) {
            let pair = Duplicate { first: named.min(n), again: named.max(n) };
            if !called.duplicates.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    Ok(pairs)
}

struct Found {
    number: u32,
    file: u32,
    at: Place,
    id: JobId,
}

/// The jobs of `pairs`, by number.
fn look_up(pairs: &[Duplicate], spool: &Spool) -> io::Result<Vec<Found>> {
    let mut wanted: Vec<u32> = pairs.iter().flat_map(|pair| [pair.first, pair.again]).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Vec::with_capacity(wanted.len());
    for (number, waiting) in (0_u32..).zip(spool.jobs()) {
        let waiting = waiting?;
        if wanted.binary_search(&number).is_ok() {
            found.push(Found { number, file: waiting.file, at: waiting.at, id: waiting.job.id });
        }
    }
    Ok(found)
}
