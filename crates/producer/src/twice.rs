//! What is there twice in one run: names, with both their places; and content without a name, which is two jobs.

use std::io;

use veobatch_core::JobId;

use crate::node::Place;
use crate::problem::{Problem, Report, shorten};
use crate::roll::{Called, Duplicate};
use crate::spool::Spool;

/// Most that are looked up; the others are too many to be read anyway.
const FOUND: usize = 100_000;

/// Warns of the jobs of each file that ask for the same as an earlier one, by the number of each file's first job. They are
/// meant, as far as anybody can tell; but money is spent on each.
pub(crate) fn warn(twins: &[(u32, u32)], starts: &[u64], reports: &mut [Report]) {
    let before = |start: u64| twins.partition_point(|(job, _)| u64::from(*job) < start);
    for (n, report) in reports.iter_mut().enumerate() {
        let from = starts.get(n).map_or(twins.len(), |start| before(*start));
        let until = starts.get(n + 1).map_or(twins.len(), |start| before(*start));
        let words = match until.saturating_sub(from) {
            0 => continue,
            1 => "1 job asks for the same as an earlier one; both are made and paid for".to_owned(),
            jobs => format!("{jobs} jobs ask for the same as an earlier one; each is made and paid for"),
        };
        report.warning(None, Problem::new(words));
    }
}

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
