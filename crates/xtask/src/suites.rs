//! Counts tests by suite from what the runners say. Their exit status decides; this only makes the summary.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What was counted so far.
#[derive(Debug, Default)]
pub(crate) struct Suites {
    counts: BTreeMap<String, Count>,
    failures: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Suites {
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// One line a suite.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width = self.counts.keys().map(String::len).max().unwrap_or_default();
        self.counts.iter().map(|(suite, count)| format!("{suite:width$}  {}", count.shown())).collect()
    }

    /// The names of the tests that failed, where the runner tells them.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The last line.
    pub(crate) fn total(&self) -> String {
        let mut total = Count::default();
        for count in self.counts.values() {
            total.passed += count.passed;
            total.failed += count.failed;
            total.ignored += count.ignored;
        }
        total.shown()
    }

    fn suite(&mut self, name: &str) -> &mut Count {
        match self.counts.entry(name.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Count::default()),
        }
    }
}

impl Count {
    fn shown(self) -> String {
        let ignored = if self.ignored > 0 { format!(", {} ignored", self.ignored) } else { String::new() };
        format!("{} passed, {} failed{ignored}", self.passed, self.failed)
    }
}

/// Reads the lines of one runner.
#[derive(Debug)]
pub(crate) enum Reader {
    /// `        PASS [   0.005s] (1/99) veobatch-core::table a_name`; what follows the summary repeats failures.
    Nextest { is_over: bool },
    /// `     Running unittests src/lib.rs (target/debug/deps/veobatch_core-0123)`, `test a_name ... FAILED`,
    /// `test result: ok. 5 passed; 0 failed; 0 ignored; …`.
    Libtest { suite: String },
}

impl Reader {
    pub(crate) fn nextest() -> Self {
        Self::Nextest { is_over: false }
    }

    pub(crate) fn libtest() -> Self {
        Self::Libtest { suite: String::new() }
    }

    /// Takes the next line into account.
    pub(crate) fn read(&mut self, line: &str, suites: &mut Suites) {
        match self {
            Self::Nextest { is_over } => {
                *is_over |= line.trim_start().starts_with("Summary [");
                if !*is_over {
                    read_nextest(line, suites);
                }
            }
            Self::Libtest { suite } => read_libtest(line, suite, suites),
        }
    }
}

fn read_nextest(line: &str, suites: &mut Suites) {
    let Some((status, rest)) = line.trim_start().split_once(" [") else { return };
    let Some((_, name)) = rest.split_once("] ") else { return };
    let name = name.trim_start();
    let name = if name.starts_with('(') { name.split_once(") ").map_or(name, |(_, name)| name) } else { name };
    let suite = name.split_whitespace().next().unwrap_or(name).to_owned();
    match status {
        "PASS" | "LEAK" => suites.suite(&suite).passed += 1,
        "FAIL" | "TIMEOUT" | "ABORT" | "FAIL + LEAK" => fail(suites, &suite, name),
        _ if status.starts_with("SIG") => fail(suites, &suite, name),
        _ => {}
    }
}

fn fail(suites: &mut Suites, suite: &str, name: &str) {
    suites.suite(suite).failed += 1;
    suites.failures.push(name.to_owned());
}

fn read_libtest(line: &str, suite: &mut String, suites: &mut Suites) {
    let line = line.trim_start();
    if let Some(crate_name) = line.strip_prefix("Doc-tests ") {
        *suite = format!("{} (documentation)", crate_name.trim().replace('_', "-"));
    } else if let Some((_, file)) = line.strip_prefix("Running ").and_then(|rest| rest.rsplit_once(['/', '\\'])) {
        let stem = file.trim_end_matches(')');
        stem.rsplit_once('-').map_or(stem, |(name, _)| name).clone_into(suite);
    } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
        suites.failures.push(format!("{suite} {name}"));
    } else if let Some(counts) = line.strip_prefix("test result: ") {
        let count = |word: &str| {
            let before = counts.split_once(&format!(" {word}")).map_or("", |(before, _)| before);
            before.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
        };
        let (passed, failed, ignored) = (count("passed"), count("failed"), count("ignored"));
        if passed + failed + ignored > 0 {
            let total = suites.suite(suite);
            total.passed += passed;
            total.failed += failed;
            total.ignored += ignored;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut reader: Reader, text: &str) -> Suites {
        let mut suites = Suites::default();
        text.lines().for_each(|line| reader.read(line, &mut suites));
        suites
    }

    #[test]
    fn nextest_is_counted_by_suite_and_its_repeated_failures_once() {
        let suites = read(
            Reader::nextest(),
            "    Starting 3 tests across 2 binaries
        PASS [   0.005s] (1/4) veobatch-core delay::tests::a
        SLOW [> 60.000s] (───) veobatch-tests::specs money::b
        FAIL [   0.006s] (2/4) veobatch-core::table c
     SIGKILL [   1.000s] (3/4) veobatch-core::table d
        PASS [   0.007s] (4/4) veobatch-tests::specs money::b
     Summary [   0.010s] 4 tests run: 2 passed, 2 failed, 0 skipped
        FAIL [   0.006s] (2/4) veobatch-core::table c",
        );
        assert_eq!(suites.total(), "2 passed, 2 failed");
        assert_eq!(suites.failures(), ["veobatch-core::table c", "veobatch-core::table d"]);
        assert_eq!(suites.lines().len(), 3);
    }

    #[test]
    fn libtest_is_counted_by_suite_documentation_included() {
        let suites = read(
            Reader::libtest(),
            "     Running unittests src/lib.rs (target/debug/deps/veobatch_core-0123abcd)
test a ... ok
test b ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/table/main.rs (target/debug/deps/table-0123abcd)
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests veobatch_core
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        let lines: Vec<String> = suites.lines().iter().map(|line| line.replace("  ", "")).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(suites.total(), "4 passed, 1 failed, 1 ignored");
        assert_eq!(suites.failures(), ["veobatch_core b"]);
    }
}
