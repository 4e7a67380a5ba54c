//! What became of the tests of one suite, by the report in XML that the test runner writes for programs.

use anyhow::{Context, Result};
use roxmltree::{Document, Node};

/// A test program, and what became of its tests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    name: String,
    passed: usize,
    /// The names of those that failed.
    failed: Vec<String>,
}

impl Suite {
    /// A line for it, and one for each test that failed.
    pub(crate) fn lines(&self) -> Vec<String> {
        let failed = self.failed.iter().map(|test| format!("FAILED {} {test}", self.name));
        let line = format!("{}: {} passed, {} failed", self.name, self.passed, self.failed.len());
        std::iter::once(line).chain(failed).collect()
    }
}

/// The suites of a report, in the order of their names.
pub(crate) fn suites(report: &str) -> Result<Vec<Suite>> {
    let document = Document::parse(report).context("failed to read the report of the test runner")?;
    let mut suites: Vec<Suite> =
        document.descendants().filter(|node| node.has_tag_name("testsuite")).map(|node| suite(&node)).collect();
    suites.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(suites)
}

fn suite(node: &Node) -> Suite {
    let name = |node: &Node| node.attribute("name").unwrap_or_default().to_owned();
    let tests = node.children().filter(|child| child.has_tag_name("testcase"));
    let is_bad =
        |test: &Node| test.children().any(|child| child.has_tag_name("failure") || child.has_tag_name("error"));
    let (failed, passed): (Vec<Node>, Vec<Node>) = tests.partition(is_bad);
    Suite { name: name(node), passed: passed.len(), failed: failed.iter().map(name).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_tell_how_many_tests_passed_and_which_failed() {
        let report = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="4" failures="1" errors="1">
    <testsuite name="veobatch-core::table" tests="3" disabled="0" errors="1" failures="1">
        <testcase name="a" classname="veobatch-core::table"></testcase>
        <testcase name="b&lt;" classname="veobatch-core::table"><failure type="test failure">no &lt;b&gt;</failure></testcase>
        <testcase name="c" classname="veobatch-core::table"><error type="execution failure"/></testcase>
    </testsuite>
    <testsuite name="veobatch-api" tests="1" disabled="0" errors="0" failures="0">
        <testcase name="d" classname="veobatch-api"></testcase>
    </testsuite>
</testsuites>"#;
        let lines: Vec<String> = suites(report).unwrap().iter().flat_map(Suite::lines).collect();
        let expected = [
            "veobatch-api: 1 passed, 0 failed",
            "veobatch-core::table: 1 passed, 2 failed",
            "FAILED veobatch-core::table b<",
            "FAILED veobatch-core::table c",
        ];
        assert_eq!(lines, expected);
        assert!(suites("cut off <").is_err());
    }
}
