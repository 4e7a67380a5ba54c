//! YAML to nodes: two parsers, each for what it does best.
//!
//! ```text
//! text ──▶ marks (saphyr-parser): syntax, places, size ──▶ load (serde_yaml): values ──▶ merge (`<<`)
//!              ╰── mend: leave the broken item out, look at the rest
//! ```
//!
//! `serde_yaml` says what a scalar is (`no`, `16:9`, `1e3`), but stops at the first error and keeps no places;
//! `saphyr-parser` knows every place, and tells before anything is expanded how large the aliases would make it. A file
//! has to pass both; where they, or a person, may understand a text differently, the value carries that (`misread`).

mod load;
mod marks;
mod mend;
mod merge;
mod misread;

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::node::Node;
use crate::problem::{Problem, Report, around};

/// Most syntax errors looked for in one file; each costs another look at all of it.
const MAX_MENDED: usize = 20;

/// Reads a small document of another kind (a price list, a configuration), as YAML or JSON. The error says what is wrong,
/// and where.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

/// Reads a YAML document; what cannot be read is reported, and left out of the result.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node<'static>> {
    let mut text = Cow::Borrowed(text);
    let mut mended = 0;
    let marks = loop {
        match marks::parse(&text) {
            Ok(marks) => break marks,
            Err(broken) => {
                mended += 1;
                let mend = if mended < MAX_MENDED { mend::mend(&text, &broken) } else { None };
                let (rest, hint) = mend.map_or((None, None), |(rest, hint)| (Some(rest), hint));
                let line = text.lines().nth(broken.at.line.saturating_sub(1) as usize).unwrap_or_default();
                let problem = Problem::new(broken.words).text(around(line, broken.at.column));
                let stopped =
                    (mended == MAX_MENDED).then_some("there may be more: looking for syntax errors stopped here");
                report.problem(broken.at, problem.hint_if(stopped.or(hint).or(broken.hint)));
                text = Cow::Owned(rest?);
            }
        }
    };
    match load::load(&text, &marks) {
        Ok(mut node) => {
            merge::merge(&mut node, report);
            Some(node)
        }
        Err((at, words)) => {
            report.problem(at, Problem::new(format!("not valid YAML: {words}")));
            None
        }
    }
}
