//! After a syntax error: the same text without the item that has it, so that the rest can be looked at too.
//!
//! Nothing rest is ever admitted; it only saves a person from finding one mistake per run.

use super::spans::{self, SyntaxError};

/// `text` without the list item that is to blame for `broken`, every other line where it was; and why the blame is not
/// where the error was found, if it is not. `None` if the error is in no item.
///
/// A quote or a bracket that is not closed is found in a later item only: of the item and the one before it, the one
/// is left out that lets the parser get further.
pub(super) fn recover(text: &str, broken: &SyntaxError) -> Option<(String, Option<&'static str>)> {
    let (here, start) = without_item(text, broken.at.line)?;
    let reached = |text: &str| spans::parse(text).map_or_else(|broken| broken.at.line, |_| u32::MAX);
    match start.checked_sub(1).and_then(|line| without_item(text, line)) {
        Some((before, _)) if reached(&before) > reached(&here) => {
            Some((before, Some("check the item before it, too: a quote or a bracket may not be closed there")))
        }
        Some(_) | None => Some((here, None)),
    }
}

/// `text` without the item (of the innermost list) that line `line` (from 1) belongs to, and the line where that starts.
fn without_item(text: &str, line: u32) -> Option<(String, u32)> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let broken = (line as usize).checked_sub(1)?.min(lines.len().checked_sub(1)?);
    let (start, indent) = (0..=broken).rev().find_map(|n| Some((n, item_indent(lines.get(n)?)?)))?;
    let after = lines.iter().enumerate().skip(start + 1);
    let end = after.filter(|(_, line)| ends_item(line, indent)).map(|(n, _)| n).find(|&n| n > broken);
    let end = end.unwrap_or(lines.len());
    let rest = lines.iter().enumerate().map(|(n, line)| if (start..end).contains(&n) { "\n" } else { line });
    Some((rest.collect(), u32::try_from(start + 1).ok()?))
}

/// How far the dash of an item is indented, if a line starts one.
fn item_indent(line: &str) -> Option<usize> {
    let rest = line.trim_start_matches(' ');
    let dash = rest.strip_prefix('-')?;
    (dash.is_empty() || dash.starts_with([' ', '\n', '\r', '\t'])).then_some(line.len() - rest.len())
}

/// The next item, or something that stands further left.
fn ends_item(line: &str, indent: usize) -> bool {
    let rest = line.trim_start_matches(' ');
    let at = line.len() - rest.len();
    !rest.trim().is_empty() && !rest.starts_with('#') && (at < indent || item_indent(line) == Some(indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broken_item_is_left_out_and_every_line_keeps_its_number() {
        let text = "jobs:\n- a: 1\n  b: : 2\n\n- c: 3\n";
        assert_eq!(without_item(text, 3), Some(("jobs:\n\n\n\n- c: 3\n".to_owned(), 2)));
        assert_eq!(without_item("a: : b\n", 1), None);
    }
}
