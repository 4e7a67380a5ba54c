//! Prompt files in a folder that goes away.

use veobatch_producer::{Problems, Source};

/// The folder.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Source {
        std::fs::write(self.0.path().join(name), content).unwrap();
        self.path(name)
    }

    /// A file that may not be there.
    pub(crate) fn path(&self, name: &str) -> Source {
        Source::File(self.0.path().join(name))
    }
}

/// Line and column of every problem.
pub(crate) fn places(problems: &Problems) -> Vec<(u64, u64)> {
    problems.iter().map(|problem| (problem.line.unwrap_or(0), problem.column.unwrap_or(0))).collect()
}
