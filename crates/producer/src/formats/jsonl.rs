//! JSON lines: one job a line, read one after another in bounded memory.

use std::io::{self, BufRead, Read};

use crate::formats::json;
use crate::formats::node::{Node, Place, Shape};
use crate::problem::{Problem, Report, around, shorten};

/// Longest line, in bytes; far longer than any prompt.
const MAX_LINE: u64 = 1 << 20;

/// Reads every line, reports what is wrong with it, and passes the value of each good one to `take`.
pub(crate) fn read(
    mut reader: impl BufRead,
    report: &mut Report,
    mut take: impl FnMut(Node<'_>, &mut Report) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    let mut number: u32 = 0;
    let mut jobs = false;
    loop {
        buffer.clear();
        if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut buffer)? == 0 {
            break;
        }
        number = number.saturating_add(1);
        let at = Place { line: number, column: 1 };
        if buffer.len() as u64 == MAX_LINE && buffer.last() != Some(&b'\n') {
            let problem = Problem::new("a line is longer than a megabyte")
                .text(String::from_utf8_lossy(buffer.get(..200).unwrap_or_default()));
            report.problem(at, problem);
            jobs = true;
            skip_line(&mut reader)?;
            continue;
        }
        let Some(text) = utf8(&buffer, number, report) else {
            jobs = true;
            continue;
        };
        if text.trim().is_empty() {
            continue;
        }
        jobs = true;
        if let Some(node) = job(text, number, report) {
            take(node, report)?;
        }
    }
    if !jobs {
        report.problem(None, empty(number == 0));
    }
    Ok(())
}

/// A file without content, or without anything in its content.
pub(crate) fn empty(bytes: bool) -> Problem {
    Problem::new(if bytes { "the file is empty" } else { "the file has only blank lines" })
}

fn job<'a>(text: &'a str, number: u32, report: &mut Report) -> Option<Node<'a>> {
    let node = match json::parse(text, number) {
        Ok(node) => node,
        Err(broken) => {
            let (at, mut problem) = *broken;
            if number == 1 && !text.trim_start().starts_with('{') {
                problem = problem.hint("this is read as JSON lines: one job a line, like {\"prompt\": \"…\"}");
            }
            report.problem(at, problem);
            return None;
        }
    };
    if let Node { at, shape: Shape::List(_), .. } = node {
        let problem = Problem::new("a line holds one job, not a list").text(around(text, 1));
        report.problem(at, problem.hint("a whole JSON document belongs in a .json file"));
        return None;
    }
    Some(node)
}

/// The line as text, or a problem at its first byte that is none.
pub(crate) fn utf8<'a>(line: &'a [u8], number: u32, report: &mut Report) -> Option<&'a str> {
    match std::str::from_utf8(line) {
        Ok(text) => Some(text),
        Err(error) => {
            let good = String::from_utf8_lossy(line.get(..error.valid_up_to()).unwrap_or_default());
            let column = u32::try_from(good.chars().count()).unwrap_or(u32::MAX).saturating_add(1);
            let problem = Problem::new("these bytes are not UTF-8")
                .text(shorten(&around(&String::from_utf8_lossy(line), column)));
            report.problem(Place { line: number, column }, problem.hint("save the file as UTF-8"));
            None
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(bytes.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_refused_in_bounded_memory_and_the_next_one_is_read() {
        let endless = io::repeat(b'x').take(5 * MAX_LINE).chain("\n{\"prompt\": \"fine\"}".as_bytes());
        let (mut report, mut places) = (Report::new("a"), Vec::new());
        let take = |node: Node<'_>, _: &mut Report| {
            places.push(node.at.line);
            Ok(())
        };
        read(io::BufReader::new(endless), &mut report, take).unwrap();
        assert_eq!(places, [2]);
        assert!(report.problems.to_string().starts_with("a:1:1: a line is longer than a megabyte"));
    }
}
