//! A whole document, YAML or JSON: `batch` and its terms, `defaults` and `jobs`, or just a list of jobs.

use std::borrow::Cow;

use super::draft::{Draft, Given};
use super::validate;
use crate::batch_options::{BatchOptions, FIELDS};
use crate::field::{Field, nearest};
use crate::formats::node::{Key, Misreading, Node, Place, Shape};
use crate::problem::{Problem, Report};

/// What a document says, before its jobs are looked at.
#[derive(Debug, Default)]
pub(crate) struct Document<'a> {
    /// The batch's name, as it is written.
    pub(crate) batch: Option<Given<Cow<'a, str>>>,
    /// The batch's terms, and where each is given.
    pub(crate) options: BatchOptions,
    pub(crate) options_at: Vec<(&'static str, Place)>,
    pub(crate) defaults: Draft<'a>,
    pub(crate) jobs: Vec<Node<'a>>,
}

impl<'a> Document<'a> {
    /// Takes the document apart and reports what does not belong there.
    pub(crate) fn read(node: Node<'a>, report: &mut Report) -> Self {
        let mut document = Self::default();
        let at = node.at;
        let clean = report.problems.is_empty();
        match node.shape {
            Shape::List(jobs) => document.jobs = jobs,
            Shape::Map(entries) if is_job(&entries) => {
                document.jobs = vec![Node::new(at, Shape::Map(entries))];
            }
            Shape::Map(entries) => {
                for (key, value) in entries {
                    document.entry(&key, value, report);
                }
            }
            Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) | Shape::Unrepresentable(_) => {
                let problem = Problem::new("this is neither a list of jobs nor a mapping with `jobs`");
                let problem = problem.hint("put a list under `jobs:`; a plain list of prompts has `- ` before each");
                report.problem(at, problem.text_if(node.shown()));
                return document;
            }
        }
        // With a syntax error, what is missing may be what could not be read.
        if document.jobs.is_empty() && clean && report.problems.is_empty() {
            report.problem(at, Problem::new("there are no jobs").hint("add them under `jobs:`"));
        }
        document
    }

    fn entry(&mut self, key: &Key<'_>, node: Node<'a>, report: &mut Report) {
        let is_lost = |how| key.name == "batch" || (how == Misreading::Text && node.shape == Shape::Null);
        if let Some(misread) = node.not_as_written(false).filter(|misread| is_lost(misread.how)) {
            return report.problem(misread.at, misread.problem.clone());
        }
        match (key.name.as_ref(), node.shape) {
            ("batch" | "defaults" | "jobs", Shape::Null) => (),
            ("batch", _) if self.batch.is_some() => twice(key, report),
            ("batch", Shape::Text(value)) => self.batch = Some(Given { at: node.at, value }),
            ("batch", Shape::Number(number)) if !number.is_f64() => {
                self.batch = Some(Given { at: node.at, value: number.to_string().into() });
            }
            ("batch", _) => {
                report.problem(node.at, Problem::new("`batch` must be text").hint("put it into quotes"));
            }
            ("defaults", shape @ Shape::Map(_)) => {
                if let Some(defaults) = Draft::read(Node::new(node.at, shape), report) {
                    if let Some(id) = &defaults.id {
                        let problem = Problem::new("`id` cannot be a default").text(&id.value);
                        report.problem(id.at, problem.hint("every job has its own"));
                    }
                    validate::warn(&defaults, report);
                    self.defaults = Draft { id: None, ..defaults };
                }
            }
            ("defaults", _) => report.problem(node.at, Problem::new("`defaults` must be a mapping of fields")),
            ("jobs", _) if !self.jobs.is_empty() => twice(key, report),
            ("jobs", Shape::List(jobs)) => self.jobs = jobs,
            ("jobs", _) => {
                let hint = "begin each job with `- `";
                report.problem(node.at, Problem::new("`jobs` must be a list").hint(hint));
            }
            (name, shape) => {
                if let Some(field) = FIELDS.iter().find(|field| **field == name) {
                    return self.term(field, key, &Node::new(node.at, shape), report);
                }
                let known = ["batch", "defaults", "jobs"].iter().chain(FIELDS).map(|name| (*name, *name));
                let hint = match nearest(name, known) {
                    Some(known) => Some(format!("did you mean `{known}`?")),
                    None => Field::parse(name).map(|field| format!("move `{}` under `defaults`", field.name())),
                };
                report.problem(key.at, Problem::new("unknown field").text(name).hint_if(hint));
            }
        }
    }

    /// Reads one of the batch's terms.
    fn term(&mut self, field: &'static str, key: &Key<'_>, node: &Node<'_>, report: &mut Report) {
        if self.options_at.iter().any(|(given, _)| *given == field) {
            return twice(key, report);
        }
        self.options_at.push((field, node.at));
        if node.shape != Shape::Null
            && let Err(problem) = self.options.set(field, node)
        {
            report.problem(node.at, *problem);
        }
    }
}

/// A single job, not a document.
fn is_job(entries: &[(Key<'_>, Node<'_>)]) -> bool {
    let has = |name: &str| entries.iter().any(|(key, _)| key.name == name);
    has("prompt") && !has("jobs")
}

fn twice(key: &Key<'_>, report: &mut Report) {
    report.problem(key.at, Problem::new("a field is given twice").text(&key.name));
}
