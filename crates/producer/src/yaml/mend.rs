//! After a syntax error: the same text without the item that has it, so that the rest can be looked at too.
//!
//! Nothing mended is ever admitted; it only saves a person from finding one mistake per run.

/// `text` with the list item (of the innermost list) that line `line` (from 1) belongs to blanked out; every other line
/// stays where it is. `None` if the line belongs to no item.
pub(super) fn without_item(text: &str, line: u32) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let broken = (line as usize).checked_sub(1)?.min(lines.len().checked_sub(1)?);
    let (start, indent) = (0..=broken).rev().find_map(|n| Some((n, item_indent(lines.get(n)?)?)))?;
    let after = lines.iter().enumerate().skip(start + 1);
    let end = after.filter(|(_, line)| ends_item(line, indent)).map(|(n, _)| n).find(|&n| n > broken);
    let end = end.unwrap_or(lines.len());
    let mended = lines.iter().enumerate();
    Some(mended.map(|(n, line)| if (start..end).contains(&n) { "\n" } else { line }).collect())
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
        assert_eq!(without_item(text, 3).as_deref(), Some("jobs:\n\n\n\n- c: 3\n"));
        assert_eq!(without_item("a: : b\n", 1), None);
    }
}
