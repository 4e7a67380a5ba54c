//! Texts without quotes that YAML took for something else.
//!
//! A prompt is paid for as it was read, so what was read must be what a person wrote. A comment may have cut off its
//! end (`Take #3 of the cat`), a name may be a number in another notation (`0x1F`), a line may have joined the one above
//! it. All that is legal YAML, and no reader complains. Here it is only noticed: whether it matters is the field's
//! business (`duration: 8 # seconds` is fine).

use super::spans::{Anchor, Scalar};
use crate::field::Field;
use crate::formats::node::{Misread, Misreading, Place, Shape};
use crate::problem::Problem;

/// Longest corrected line that is shown, in bytes.
const MAX_CORRECTED: usize = 500;

/// The lines of a text, without their ends.
pub(super) struct Lines<'t>(Vec<&'t str>);

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self(text.lines().collect())
    }

    fn line(&self, number: u32) -> &'t str {
        (number as usize).checked_sub(1).and_then(|n| self.0.get(n)).copied().unwrap_or_default()
    }

    /// What stands before `at` in its line, and what begins there.
    fn split(&self, at: Place) -> (&'t str, &'t str) {
        let line = self.line(at.line);
        let offset = line.char_indices().nth(at.column.saturating_sub(1) as usize).map_or(line.len(), |(n, _)| n);
        line.split_at(offset)
    }

    /// The place of `rest`, the end of line `number`.
    fn place(&self, number: u32, rest: &str) -> Place {
        let line = self.line(number);
        let before = line.get(..line.len().saturating_sub(rest.len())).unwrap_or_default();
        Place { line: number, column: u32::try_from(before.chars().count()).unwrap_or(u32::MAX).saturating_add(1) }
    }

    /// The text as it is written from `at` to `end`, in one line.
    fn source(&self, at: Place, end: Place) -> String {
        if at.line == end.line {
            let length = end.column.saturating_sub(at.column) as usize;
            return self.split(at).1.chars().take(length).collect();
        }
        let between = (at.line + 1..end.line).map(|number| self.line(number));
        let parts = std::iter::once(self.split(at).1).chain(between).chain([self.split(end).0]);
        parts.map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// "write …": the line with `text` in quotes in place of what stands from `at` to `end`.
    fn correction(&self, at: Place, end: Place, text: &str) -> String {
        let quoted = serde_json::Value::from(text).to_string();
        let line = format!("{}{quoted}{}", self.split(at).0.trim_start(), self.split(end).1.trim_end());
        if line.len() > MAX_CORRECTED {
            "put double quotes around the whole text".to_owned()
        } else {
            format!("write {line}")
        }
    }
}

/// What is odd about a value that was read as `shape`. `is_value`: it belongs to a name.
pub(super) fn find(scalar: &Scalar, shape: &Shape<'_>, is_value: bool, lines: &Lines<'_>) -> Option<Box<Misread>> {
    let found = if scalar.is_plain {
        nothing(scalar, is_value, lines)
            .or_else(|| comment(scalar, lines))
            .or_else(|| other(scalar, shape, lines))
            .or_else(|| decoration(scalar, lines))
            .or_else(|| continuation(scalar, lines))
    } else {
        other(scalar, shape, lines)
    };
    found.map(Box::new)
}

/// A name in braces that has neither a colon nor a value: `{prompt: red, blue}`.
fn nothing(scalar: &Scalar, is_value: bool, lines: &Lines<'_>) -> Option<Misread> {
    let is_missing = is_value && scalar.is_blank() && !lines.split(scalar.at).1.trim_start().starts_with(':');
    is_missing.then(|| {
        let problem = Problem::new("a key without a value: in braces, a comma ends the text");
        let hint = "put quotes around text that contains a comma, or add the value";
        Misread { how: Misreading::Text, at: scalar.at, problem: problem.hint(hint) }
    })
}

/// What follows `#` is not part of the text.
fn comment(scalar: &Scalar, lines: &Lines<'_>) -> Option<Misread> {
    let (before, rest) = lines.split(scalar.end);
    let rest = if !scalar.is_blank() {
        rest
    } else if let Some(rest) = rest.trim_start().strip_prefix(':') {
        rest
    } else {
        // An item of a list: its place is behind the comment.
        before.find('#').and_then(|n| before.get(n..)).unwrap_or_default()
    };
    let comment = rest.trim();
    let after = comment.strip_prefix('#')?;
    let at = lines.place(scalar.end.line, rest.trim_start());
    let end = Place { column: u32::MAX, ..at };
    let (from, text) = if scalar.is_blank() {
        (at, comment.to_owned())
    } else if scalar.at.line == scalar.end.line {
        (scalar.at, lines.split(scalar.at).1.trim_end().to_owned())
    } else {
        (scalar.at, format!("{} {comment}", lines.source(scalar.at, scalar.end)))
    };
    let correction = lines.correction(from, end, &text);
    let problem = Problem::new("what follows `#` here is a comment, and not part of the text").text(comment);
    let problem = problem.hint(format!("if it is meant as text, {correction}; if not, give it a line of its own"));
    let how = if after.starts_with(char::is_alphanumeric) { Misreading::Text } else { Misreading::Comment };
    Some(Misread { how, at, problem })
}

/// Something else was read than what is written.
fn other(scalar: &Scalar, shape: &Shape<'_>, lines: &Lines<'_>) -> Option<Misread> {
    let written = &*scalar.written;
    let read = match shape {
        Shape::Text(text) if **text == *written => return None,
        Shape::Text(_) => {
            let problem = Problem::new("YAML parsers read this text in different ways").text(written);
            let hint = "put it into double quotes, in one line, with special characters as `\\u2028`";
            return Some(Misread { how: Misreading::Text, at: scalar.at, problem: problem.hint(hint) });
        }
        Shape::Null if written.is_empty() => return None,
        Shape::Null => "nothing".to_owned(),
        Shape::Bool(value) => value.to_string(),
        Shape::Number(number) => number.to_string(),
        Shape::List(_) | Shape::Map(_) | Shape::Unrepresentable(_) => return None,
    };
    if read == written {
        return None;
    }
    let source = lines.source(scalar.at, scalar.end);
    let problem = Problem::new(format!("without quotes, YAML reads this as {read}")).text(&source);
    let problem = problem.hint(lines.correction(scalar.at, scalar.end, &source));
    Some(Misread { how: Misreading::Value, at: scalar.at, problem })
}

/// A tag that means nothing to us, or an anchor that nothing refers to.
fn decoration(scalar: &Scalar, lines: &Lines<'_>) -> Option<Misread> {
    let words = if scalar.has_tag {
        "the word that begins with `!` is a tag of YAML, and not part of the text"
    } else if scalar.anchor == Anchor::Idle {
        "the word that begins with `&` is an anchor of YAML, and not part of the text"
    } else {
        return None;
    };
    let source = lines.source(scalar.at, scalar.end);
    let problem = Problem::new(words).text(&source).hint(lines.correction(scalar.at, scalar.end, &source));
    Some(Misread { how: Misreading::Text, at: scalar.at, problem })
}

/// A line that looks like a job or a field of its own, and is indented as a part of the text above it.
fn continuation(scalar: &Scalar, lines: &Lines<'_>) -> Option<Misread> {
    let begins = |line: &str| {
        let is_field = || line.split_once(':').is_some_and(|(name, _)| Field::parse(name.trim_end()).is_some());
        line.starts_with("- ") || is_field()
    };
    let number = (scalar.at.line.saturating_add(1)..=scalar.end.line).find(|n| begins(lines.line(*n).trim_start()))?;
    let line = lines.line(number).trim();
    let problem = Problem::new("this line continues the text above it, as it is indented further").text(line);
    let problem = problem.hint("indent it like the others, or put the whole text into quotes");
    Some(Misread { how: Misreading::Text, at: lines.place(number, lines.line(number).trim_start()), problem })
}
