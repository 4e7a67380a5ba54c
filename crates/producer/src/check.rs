//! Checking: every source to its end, every problem at once, and nothing visible to anyone.

pub(crate) mod checked;
mod document;
mod draft;
mod duplicates;
mod image;
mod intake;
mod validate;

use std::io::{self, BufRead, Read};
use std::path::Path;

use veobatch_core::BatchId;

use self::checked::Checked;
use self::document::Document;
use self::draft::Draft;
use self::intake::Intake;
use crate::defaults::Defaults;
use crate::formats::node::Node;
use crate::formats::source::{self, Format, Source};
use crate::formats::{json, jsonl, yaml};
use crate::problem::{Problem, Problems, Report};

/// Largest YAML or JSON document, in bytes: unlike JSON lines it is held in memory as a whole.
const MAX_DOCUMENT: u64 = 64 << 20;

/// Stands for a batch whose name was refused, while its jobs are looked at.
const NO_BATCH: u32 = u32::MAX;

/// Reads every source to its end. Blocks: it reads files.
///
/// # Errors
/// Everything that is wrong with any of them, in their order.
pub fn check(sources: &[Source]) -> Result<Checked, Problems> {
    check_with(sources, Defaults::default())
}

/// As [`check`], for a program with these defaults.
///
/// # Errors
/// As there.
pub fn check_with(sources: &[Source], defaults: Defaults) -> Result<Checked, Problems> {
    let mut intake = Intake::new(defaults);
    let mut reports = Vec::with_capacity(sources.len());
    for (n, source) in sources.iter().enumerate() {
        let mut report = Report::new(match source {
            Source::File(path) => path.display().to_string(),
            Source::Stdin { .. } => "standard input".to_owned(),
        });
        intake.begin(&report.file);
        let read = if sources.iter().take(n).any(|other| same(other, source)) {
            report.problem(None, Problem::new("this file is named twice").hint("name it once"));
            Ok(())
        } else {
            match source {
                Source::File(path) => file(path, &mut report, &mut intake),
                Source::Stdin { batch } => stdin(batch, &mut report, &mut intake),
            }
        };
        if let Err(error) = read {
            report.problem(None, Problem::new(format!("reading stopped: {error}")));
        }
        reports.push(report);
    }
    intake.finish(reports)
}

fn same(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::File(one), Source::File(other)) => {
            one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
        }
        (Source::Stdin { .. }, Source::Stdin { .. }) => true,
        (Source::File(_), Source::Stdin { .. }) | (Source::Stdin { .. }, Source::File(_)) => false,
    }
}

fn stdin(batch: &BatchId, report: &mut Report, intake: &mut Intake) -> io::Result<()> {
    let batch = intake.batch(batch, None, report);
    lines(source::stdin()?, batch, report, intake)
}

fn file(path: &Path, report: &mut Report, intake: &mut Intake) -> io::Result<()> {
    let opened = match source::open(path) {
        Ok(opened) => opened,
        Err(problem) => {
            report.problem(None, *problem);
            return Ok(());
        }
    };
    match opened.format {
        Format::Lines => {
            let batch = named_for(path, report, intake);
            lines(opened.reader, batch, report, intake)
        }
        Format::Yaml | Format::Json => {
            let mut bytes = Vec::new();
            opened.reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MAX_DOCUMENT {
                let problem = Problem::new("the document is larger than 64 megabytes");
                report.problem(None, problem.hint("write it as JSON lines (.jsonl), which may have any size"));
                return Ok(());
            }
            let text = text(bytes, report);
            if text.trim().is_empty() {
                report.problem(None, jsonl::empty(text.is_empty()));
                return Ok(());
            }
            let node = if opened.format == Format::Yaml {
                yaml::parse(&text, report)
            } else {
                json::parse(&text, 1).map_err(|broken| report.problem(broken.0, broken.1)).ok()
            };
            node.map_or(Ok(()), |node| document(path, node, report, intake))
        }
    }
}

/// JSON lines, which have no defaults.
fn lines(reader: impl BufRead, batch: u32, report: &mut Report, intake: &mut Intake) -> io::Result<()> {
    let defaults = Draft::default();
    jsonl::read(reader, report, |node, report| intake.job(batch, node, &defaults, report))
}

/// The bytes as text; lines that are none are reported, and stay readable for the rest of the check.
fn text(bytes: Vec<u8>, report: &mut Report) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        for (n, line) in error.as_bytes().split(|&byte| byte == b'\n').enumerate() {
            let _ = jsonl::utf8(line, u32::try_from(n + 1).unwrap_or(u32::MAX), report);
        }
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

fn document(path: &Path, node: Node<'_>, report: &mut Report, intake: &mut Intake) -> io::Result<()> {
    let document = Document::read(node, report);
    let batch = match &document.batch {
        None => named_for(path, report, intake),
        Some(given) => match BatchId::parse(&given.value) {
            Ok(batch) => intake.batch(&batch, Some(given.at), report),
            Err(error) => {
                let words = format!("a batch name becomes a folder name, and this one {error}");
                report.problem(given.at, Problem::new(words).text(&given.value));
                NO_BATCH
            }
        },
    };
    intake.ask(batch, &document, report);
    for node in document.jobs {
        intake.job(batch, node, &document.defaults, report)?;
    }
    Ok(())
}

fn named_for(path: &Path, report: &mut Report, intake: &mut Intake) -> u32 {
    match source::batch(path) {
        Ok(batch) => intake.batch(&batch, None, report),
        Err(problem) => {
            report.problem(None, *problem);
            NO_BATCH
        }
    }
}
