//! The names of all jobs of a run: which are taken twice, and the numbers of equal jobs without a name.
//!
//! Twenty bytes a job, sorted once at the end: the only thing in memory that grows with the files.

use sha2::{Digest, Sha256};
use veobatch_core::{JobId, NameError, fold};

/// The name of the `nth` (from 1) of several jobs with equal content.
pub(crate) fn numbered(name: &str, nth: u32) -> Result<JobId, NameError> {
    if nth <= 1 { JobId::parse(name) } else { JobId::parse(&format!("{name}-{nth}")) }
}

/// Every job's name as a digest, in the order of the run.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    entries: Vec<Entry>,
    named: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
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

impl Roll {
    /// Enters the next job. `made`: its name is its content's.
    pub(crate) fn enter(&mut self, batch: u32, name: &str, made: bool) {
        let job = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.named |= !made;
        self.entries.push(Entry { digest: digest(batch, name), made, job });
    }

    /// How many jobs there are.
    pub(crate) fn total(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Finds the names that are given twice, and the number of every job that is not the first with its content.
    pub(crate) fn call(mut self) -> Called {
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
        Called { twins, duplicates, named }
    }
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Called {
    /// Jobs and their numbers among equal ones, from 2; in order.
    pub(crate) twins: Vec<(u32, u32)>,
    pub(crate) duplicates: Vec<Duplicate>,
    named: Vec<Entry>,
}

impl Called {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_are_numbered_in_order_and_equal_names_are_found() {
        let mut roll = Roll::default();
        for (batch, name, made) in
            [(0, "aa", true), (0, "X", false), (1, "aa", true), (0, "aa", true), (0, "x", false), (0, "aa", true)]
        {
            roll.enter(batch, name, made);
        }
        let called = roll.call();
        assert_eq!(called.twins, [(3, 2), (5, 3)]);
        assert_eq!(called.duplicates, [Duplicate { first: 1, again: 4 }]);
        assert_eq!(called.named(0, "x"), Some(1));
        assert_eq!(called.named(0, "aa"), None);
    }
}
