//! What is wrong with a prompt file, in words for the person who wrote it.

use std::fmt;

use serde::Serialize;

/// Most problems that are kept with their words; the others are only counted (a file may have a million bad lines).
const KEPT: usize = 1000;

/// Most problems that are printed for a person.
const SHOWN: usize = 100;

/// Longest text that is quoted, in characters.
const QUOTED: usize = 80;

/// Where something stands: the line, and the column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self { line: 1, column: 1 }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as it was named, or "standard input".
    pub file: String,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column in characters, from 1.
    pub column: Option<u64>,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// The offending text, shortened.
    pub text: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(crate) fn text(mut self, text: impl AsRef<str>) -> Self {
        self.text = Some(shorten(text.as_ref()));
        self
    }

    pub(crate) fn text_if(self, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => self,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_if(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    pub(crate) fn place(mut self, file: &str, at: Option<Place>) -> Self {
        file.clone_into(&mut self.file);
        self.line = at.map(|at| at.line.into());
        self.column = at.map(|at| at.column.into());
        self
    }
}

/// `file:line:column: what is wrong: "the text" (what to do)`, on one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(text) = &self.text {
            write!(f, ": \"{}\"", text.replace('\n', "\\n").replace(|c: char| c.is_control(), "\u{fffd}"))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// Everything that is wrong. Prints one problem a line, a hundred at most, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<Problem>")]
pub struct Problems {
    kept: Vec<Problem>,
    uncounted: u64,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.kept.len() < KEPT { self.kept.push(problem) } else { self.uncounted += 1 }
    }

    /// In the order of the file.
    pub(crate) fn sort(&mut self) {
        self.kept.sort_by_key(|problem| (problem.line, problem.column));
    }

    pub(crate) fn append(&mut self, others: Self) {
        self.uncounted += others.uncounted;
        others.kept.into_iter().for_each(|problem| self.push(problem));
    }

    /// The problems that were kept: the first thousand.
    pub fn as_slice(&self) -> &[Problem] {
        &self.kept
    }

    /// The problems that were kept, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.kept.iter()
    }

    /// How many problems there are, those included that were not kept.
    pub fn total(&self) -> u64 {
        self.kept.len() as u64 + self.uncounted
    }

    /// Nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { kept: vec![problem], uncounted: 0 }
    }
}

impl From<Problems> for Vec<Problem> {
    fn from(problems: Problems) -> Self {
        problems.kept
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.kept.iter().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        match self.total().saturating_sub(SHOWN as u64) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// Collects what is found in one file.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) file: String,
    pub(crate) problems: Problems,
    pub(crate) warnings: Problems,
}

impl Report {
    pub(crate) fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), problems: Problems::default(), warnings: Problems::default() }
    }

    /// Something that keeps the file from being admitted.
    pub(crate) fn problem(&mut self, at: impl Into<Option<Place>>, problem: Problem) {
        self.problems.push(problem.place(&self.file, at.into()));
    }

    /// Something that a person should know.
    pub(crate) fn warning(&mut self, at: impl Into<Option<Place>>, problem: Problem) {
        self.warnings.push(problem.place(&self.file, at.into()));
    }
}

/// The start of `text`, with "…" if something was cut off.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The part of `line` around the `column`-th character (from 1), cut to what can be quoted.
pub(crate) fn around(line: &str, column: u32) -> String {
    let start = (column as usize).saturating_sub(QUOTED / 2);
    let rest: String = line.trim_end().chars().skip(start).take(QUOTED + 1).collect();
    if start == 0 { shorten(&rest) } else { format!("…{}", shorten(rest.trim_start())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_it_quotes() {
        let problem = Problem::new("unknown field").text("a\nb\u{7}").hint("leave it out");
        let problem = problem.place("jobs.yaml", Some(Place { line: 3, column: 5 }));
        assert_eq!(problem.to_string(), "jobs.yaml:3:5: unknown field: \"a\\nb\u{fffd}\" (leave it out)");
    }

    #[test]
    fn a_million_problems_are_counted_but_not_kept() {
        let mut problems = Problems::default();
        (0..1_000_000).for_each(|_| problems.push(Problem::new("bad").place("x", None)));
        assert_eq!((problems.as_slice().len(), problems.total()), (1000, 1_000_000));
        assert!(problems.to_string().ends_with("x: bad\nand 999900 more"));
    }

    #[test]
    fn long_texts_are_quoted_in_part() {
        assert_eq!(shorten(&"ä".repeat(100)).chars().count(), 81);
        assert_eq!(around(&"x".repeat(200), 150).chars().count(), 82);
    }
}
