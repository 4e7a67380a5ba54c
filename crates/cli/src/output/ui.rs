//! The only place that prints: stdout is data, stderr is words.
//!
//! Words go through the progress display, so that they appear above its bars instead of tearing them. Where the log goes to
//! stderr as JSON, words are such lines too, and there are no bars: a stream has one form.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use serde::Serialize;
use serde_json::{Value, json};
use veobatch_core::Timestamp;

use crate::failure::{Failure, Result};

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Set where the log on stderr is JSON.
static AS_JSON: OnceLock<()> = OnceLock::new();

/// The display that everything on stderr shares.
pub(crate) fn bars() -> &'static MultiProgress {
    BARS.get_or_init(MultiProgress::new)
}

/// From now on what is said to people is a JSON object a line, as the log on the same stream is.
pub(crate) fn as_json() {
    let _ = AS_JSON.set(());
}

/// Whether stderr can show bars: it is a terminal, and not full of JSON.
pub(crate) fn can_show_bars() -> bool {
    AS_JSON.get().is_none() && io::stderr().is_terminal()
}

/// Prints a line for people.
pub(crate) fn message(words: impl Display) {
    told_to_people("INFO", words);
}

/// Prints why the program ends early.
pub(crate) fn error(words: impl Display) {
    told_to_people("ERROR", words);
}

fn told_to_people(level: &str, words: impl Display) {
    if AS_JSON.get().is_some() {
        return line(logged(level, &words.to_string()));
    }
    line(words);
}

/// Prints a line on stderr as it is, above the bars.
pub(crate) fn line(line: impl Display) {
    bars().suspend(|| {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{line}");
    });
}

/// In the form of the log's lines.
fn logged(level: &str, message: &str) -> Value {
    let now = veobatch_api::wall_clock().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_millis(0) + now;
    json!({"timestamp": now.to_string(), "level": level, "fields": {"message": message}, "target": "veobatch"})
}

/// Prints a question, without ending the line.
pub(crate) fn question(words: impl Display) {
    if AS_JSON.get().is_some() {
        return told_to_people("INFO", words);
    }
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
