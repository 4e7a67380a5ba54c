//! The names of all jobs of a run: which are given twice, with both their places; and the numbers of equal jobs without a name.
//!
//! Twenty bytes a job, sorted once at the end: the only thing in memory that grows with the files.

use std::io;

use sha2::{Digest, Sha256};
use veobatch_core::{JobId, fold};

use crate::formats::node::Place;
use crate::problem::{Problem, Report, shorten};
use crate::spool::Spool;

/// Every job's name as a digest, in the order of the run.
#[derive(Debug, Default)]
pub(crate) struct Names {
    entries: Vec<NameDigest>,
    named: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NameDigest {
    digest: [u8; 15],
    /// Made from the content.
    made: bool,
    job: u32,
}

/// Two jobs of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) first: u32,
    pub(crate) again: u32,
}

impl Names {
    /// Adds the next job. `made`: its name is its content's.
    pub(crate) fn add(&mut self, batch: u32, name: &str, made: bool) {
        let job = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.named |= !made;
        self.entries.push(NameDigest { digest: digest(batch, name), made, job });
    }

    /// How many jobs there are.
    pub(crate) fn total(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Finds the names that are given twice, and the number of every job that is not the first with its content.
    pub(crate) fn find_duplicates(mut self) -> Duplicates {
        self.entries.sort_unstable();
        let (mut twins, mut duplicates) = (Vec::new(), Vec::new());
        for same in self.entries.chunk_by(|a, b| a.digest == b.digest).filter(|same| same.len() > 1) {
            // Names that were given sort before those that were made.
            let mut named = same.iter().filter(|entry| !entry.made);
            let first = named.next();
            for (n, entry) in same.iter().enumerate().skip(1) {
                match first {
                    Some(first) => {
                        let (first, again) = (first.job.min(entry.job), first.job.max(entry.job));
                        duplicates.push(Duplicate { first, again });
                    }
                    None => twins.push((entry.job, u32::try_from(n + 1).unwrap_or(u32::MAX))),
                }
            }
        }
        twins.sort_unstable();
        duplicates.sort_unstable_by_key(|duplicate| duplicate.again);
        let named = if self.named && !twins.is_empty() { self.entries } else { Vec::new() };
        Duplicates { twins, pairs: duplicates, named }
    }
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Duplicates {
    /// Jobs and their numbers among equal ones, from 2; in order.
    pub(crate) twins: Vec<(u32, u32)>,
    pub(crate) pairs: Vec<Duplicate>,
    named: Vec<NameDigest>,
}

impl Duplicates {
    /// Whether a numbered name could be one that was given: only if both kinds are there.
    pub(crate) fn is_mixed(&self) -> bool {
        !self.named.is_empty()
    }

    /// The job that was given the name which another job was numbered to.
    pub(crate) fn named(&self, batch: u32, name: &str) -> Option<u32> {
        let digest = digest(batch, name);
        let n = self.named.partition_point(|entry| entry.digest < digest);
        self.named.get(n).filter(|entry| entry.digest == digest && !entry.made).map(|entry| entry.job)
    }
}

/// Of the folded name: names that differ only in case would be one file.
fn digest(batch: u32, name: &str) -> [u8; 15] {
    let mut hash = Sha256::new();
    hash.update(batch.to_le_bytes());
    if name.is_ascii() {
        hash.update(name.to_ascii_lowercase());
    } else {
        hash.update(fold(name));
    }
    let mut digest = [0; 15];
    digest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    digest
}

/// Most that are looked up; the others are too many to be read anyway.
const FOUND: usize = 100_000;

/// Warns of the jobs of each file that have the same content as an earlier one, by the number of each file's first job. They are
/// meant, as far as anybody can tell; but money is spent on each.
pub(crate) fn warn(twins: &[(u32, u32)], starts: &[u64], reports: &mut [Report]) {
    let before = |start: u64| twins.partition_point(|(job, _)| u64::from(*job) < start);
    for (n, report) in reports.iter_mut().enumerate() {
        let from = starts.get(n).map_or(twins.len(), |start| before(*start));
        let until = starts.get(n + 1).map_or(twins.len(), |start| before(*start));
        let words = match until.saturating_sub(from) {
            0 => continue,
            1 => "1 job has the same content as an earlier one; both are made and paid for".to_owned(),
            jobs => format!("{jobs} jobs have the same content as an earlier one; each is made and paid for"),
        };
        report.warning(None, Problem::new(words));
    }
}

/// Reports every name that is given twice, at its second place; both are looked up in the spool.
pub(crate) fn report(
    duplicates: &Duplicates,
    spool: &Spool,
    files: &[String],
    reports: &mut [Report],
) -> io::Result<()> {
    let mut pairs = duplicates.pairs.clone();
    if duplicates.is_mixed() {
        pairs.extend(numbered(duplicates, spool)?);
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
        let mut problem = Problem::new(format!("this id is already used in {place}")).text(shorten(again.id.as_str()));
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
fn numbered(duplicates: &Duplicates, spool: &Spool) -> io::Result<Vec<Duplicate>> {
    let mut pairs = Vec::new();
    for (n, spooled) in (0_u32..).zip(spool.jobs()) {
        let spooled = spooled?;
        if let Some(named) = duplicates.named(spooled.batch, spooled.job.id.as_str()).filter(|&named| named != n) {
            let pair = Duplicate { first: named.min(n), again: named.max(n) };
            if !duplicates.pairs.contains(&pair) {
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
    for (number, spooled) in (0_u32..).zip(spool.jobs()) {
        let spooled = spooled?;
        if wanted.binary_search(&number).is_ok() {
            found.push(Found { number, file: spooled.file, at: spooled.at, id: spooled.job.id });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_are_numbered_in_order_and_equal_names_are_found() {
        let mut names = Names::default();
        for (batch, name, made) in
            [(0, "aa", true), (0, "X", false), (1, "aa", true), (0, "aa", true), (0, "x", false), (0, "aa", true)]
        {
            names.add(batch, name, made);
        }
        let duplicates = names.find_duplicates();
        assert_eq!(duplicates.twins, [(3, 2), (5, 3)]);
        assert_eq!(duplicates.pairs, [Duplicate { first: 1, again: 4 }]);
        assert_eq!(duplicates.named(0, "x"), Some(1));
        assert_eq!(duplicates.named(0, "aa"), None);
    }
}
