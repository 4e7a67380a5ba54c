//! Prompt files in a folder that goes away.
#![allow(clippy::allow_attributes, dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use veobatch_producer::{Problems, Source};

/// The folder.
pub struct Files(tempfile::TempDir);

impl Files {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Source {
        std::fs::write(self.0.path().join(name), content).unwrap();
        self.path(name)
    }

    /// A file that may not be there.
    pub fn path(&self, name: &str) -> Source {
        Source::File(self.0.path().join(name))
    }
}

/// Line and column of every problem.
pub fn places(problems: &Problems) -> Vec<(u64, u64)> {
    problems.iter().map(|problem| (problem.line.unwrap_or(0), problem.column.unwrap_or(0))).collect()
}
