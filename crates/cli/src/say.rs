//! The only place that prints: stdout is data, stderr is words.
//!
//! Words go through the progress display, so that they appear above its bars instead of tearing them.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use serde::Serialize;

use crate::failure::{Failure, Result};

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// The display that everything on stderr shares.
pub(crate) fn bars() -> &'static MultiProgress {
    BARS.get_or_init(MultiProgress::new)
}

/// Prints a line for people.
pub(crate) fn words(words: impl Display) {
    bars().suspend(|| {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{words}");
    });
}

/// Prints a question, without ending the line.
pub(crate) fn question(words: impl Display) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{words} ").and_then(|()| stderr.flush());
}

/// Prints a line of data.
pub(crate) fn data(line: impl Display) -> Result<()> {
    told(writeln!(io::stdout().lock(), "{line}"))
}

/// Prints bytes of data as they are.
pub(crate) fn raw(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    told(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Prints one JSON document.
pub(crate) fn json(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::unavailable("write the answer as JSON").because(&error))?;
    data(text)
}

/// Whether a person can be asked: standard input and standard error are both a terminal.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn told(result: io::Result<()>) -> Result<()> {
    result.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::unread()
        } else {
            Failure::unavailable("write to standard output").because(&error)
        }
    })
}
