//! YAML to nodes: two parsers, each for what it does best.
//!
//! ```text
//! text ──▶ spans (saphyr-parser): syntax, places, size ──▶ load (serde_yaml): values ──▶ merge (`<<`)
//!              ╰── recover: leave the broken item out, look at the rest
//! ```
//!
//! `serde_yaml` says what a scalar is (`no`, `16:9`, `1e3`), but stops at the first error and keeps no places;
//! `saphyr-parser` knows every place, and tells before anything is expanded how large the aliases would make it. A file
//! has to pass both; where they, or a person, may understand a text differently, the value carries that (`misread`).

mod load;
mod merge;
mod misread;
mod recover;
mod spans;

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::formats::node::Node;
use crate::problem::{Problem, Report, around};

/// Most syntax errors that are found in one file; each costs parsing all of it once more.
const MAX_RECOVERIES: usize = 20;

/// Reads a small document of another kind (a price list, a configuration), as YAML or JSON. The error says what is wrong,
/// and where.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

/// Reads a YAML document; what cannot be read is reported, and left out of the result.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node<'static>> {
    let mut text = Cow::Borrowed(text);
    let mut recoveries = 0;
    let spans = loop {
        match spans::parse(&text) {
            Ok(spans) => break spans,
            Err(broken) => {
                recoveries += 1;
                let recovered = if recoveries < MAX_RECOVERIES { recover::recover(&text, &broken) } else { None };
                let (rest, hint) = recovered.map_or((None, None), |(rest, hint)| (Some(rest), hint));
                let line = text.lines().nth(broken.at.line.saturating_sub(1) as usize).unwrap_or_default();
                let problem = Problem::new(broken.words).text(around(line, broken.at.column));
                let stopped = (recoveries == MAX_RECOVERIES)
                    .then_some("there may be more: looking for syntax errors stopped here");
                report.problem(broken.at, problem.hint_if(stopped.or(hint).or(broken.hint)));
                text = Cow::Owned(rest?);
            }
        }
    };
    match load::load(&text, &spans) {
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
