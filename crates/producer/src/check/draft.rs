//! A job, or the defaults of a file, field by field as it is written: every value of the right type and in its range.

mod list;
mod value;

use std::borrow::Cow;

use serde_json::{Map, Value};
use veobatch_core::{AspectRatio, GenerationType, Resolution};

use list::{extra, images};
use value::{flag, id, misread, model, prompt, text, whole, word};

use crate::field::{Field, advice};
use crate::formats::node::{Key, Misreading, Node, Place, Shape};
use crate::problem::{Problem, Report};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given<T> {
    pub(crate) at: Place,
    pub(crate) value: T,
}

/// What is written; a value that was refused is missing here, and named in `broken`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft<'a> {
    pub(crate) at: Place,
    pub(crate) broken: Vec<Field>,
    /// Fields that are `null`: what the defaults say of them does not hold.
    pub(crate) cleared: Vec<Field>,
    pub(crate) prompt: Option<Given<Cow<'a, str>>>,
    pub(crate) id: Option<Given<Cow<'a, str>>>,
    pub(crate) model: Option<Given<Cow<'a, str>>>,
    pub(crate) aspect_ratio: Option<Given<AspectRatio>>,
    pub(crate) images: Option<Given<Vec<String>>>,
    pub(crate) generation_type: Option<Given<GenerationType>>,
    pub(crate) resolution: Option<Given<Resolution>>,
    pub(crate) duration: Option<Given<u8>>,
    pub(crate) seed: Option<Given<u32>>,
    pub(crate) watermark: Option<Given<Cow<'a, str>>>,
    pub(crate) enable_translation: Option<Given<bool>>,
    pub(crate) priority: Option<Given<i16>>,
    pub(crate) max_attempts: Option<Given<u32>>,
    pub(crate) extra: Option<Given<Map<String, Value>>>,
}

impl<'a> Draft<'a> {
    /// Reads a mapping, or a text, which is a prompt; reports everything that is wrong with it. `None` if it is neither.
    pub(crate) fn read(node: Node<'a>, report: &mut Report) -> Option<Self> {
        let mut draft = Self { at: node.at, ..Self::default() };
        if let Shape::Map(entries) = node.shape {
            let mut seen = [false; Field::COUNT];
            for (key, value) in entries {
                draft.entry(&key, value, &mut seen, report);
            }
        } else if matches!(node.shape, Shape::Text(_)) || node.not_as_written(true).is_some() {
            draft.set(Field::Prompt, node, report);
        } else {
            let problem = Problem::new(format!("a job is a mapping, or text (its prompt), not {}", node.kind()));
            report.problem(node.at, problem.text_if(node.shown()));
            return None;
        }
        Some(draft)
    }

    fn entry(&mut self, key: &Key<'_>, value: Node<'a>, seen: &mut [bool; Field::COUNT], report: &mut Report) {
        let Some(field) = Field::parse(&key.name) else {
            let advice = advice(&key.name);
            if advice.as_ref().is_some_and(|words| words.contains("`prompt`")) {
                self.broken.push(Field::Prompt);
            }
            report.problem(key.at, Problem::new("unknown field").text(&key.name).hint_if(advice));
            return;
        };
        if let Some(seen) = seen.get_mut(field as usize)
            && std::mem::replace(seen, true)
        {
            let hint = (key.name != field.name()).then(|| format!("it is the same as `{}`", field.name()));
            report.problem(key.at, Problem::new("a field is given twice").text(&key.name).hint_if(hint));
            return;
        }
        if value.shape == Shape::Null && !is_meant_as_text(field, &value) {
            self.cleared.push(field);
        } else {
            self.set(field, value, report);
        }
    }

    /// The same without these fields.
    pub(crate) fn without(mut self, fields: &[Field]) -> Self {
        for field in fields {
            match field {
                Field::Prompt => self.prompt = None,
                Field::Id => self.id = None,
                Field::Model => self.model = None,
                Field::AspectRatio => self.aspect_ratio = None,
                Field::Images => self.images = None,
                Field::GenerationType => self.generation_type = None,
                Field::Resolution => self.resolution = None,
                Field::Duration => self.duration = None,
                Field::Seed => self.seed = None,
                Field::Watermark => self.watermark = None,
                Field::EnableTranslation => self.enable_translation = None,
                Field::Priority => self.priority = None,
                Field::MaxAttempts => self.max_attempts = None,
                Field::Extra => self.extra = None,
            }
        }
        self
    }

    fn set(&mut self, field: Field, node: Node<'a>, report: &mut Report) {
        if node.shape == Shape::Null
            && let Some(refused) = misread(&node, true)
        {
            self.broken.push(field);
            return report.problem(refused.0, refused.1);
        }
        let done = match field {
            Field::Prompt => prompt(node).map(|given| keep(&mut self.prompt, given)),
            Field::Id => id(node).map(|given| keep(&mut self.id, given)),
            Field::Model => model(node).map(|given| keep(&mut self.model, given)),
            Field::AspectRatio => {
                word(field, &node, AspectRatio::WORDS).map(|given| keep(&mut self.aspect_ratio, given))
            }
            Field::Images => images(node, report).map(|given| given.is_some_and(|given| keep(&mut self.images, given))),
            Field::GenerationType => {
                word(field, &node, GenerationType::WORDS).map(|given| keep(&mut self.generation_type, given))
            }
            Field::Resolution => word(field, &node, Resolution::WORDS).map(|given| keep(&mut self.resolution, given)),
            Field::Duration => {
                let given = whole(field, &node, |n| matches!(n, 4 | 6 | 8), "4, 6 or 8 (seconds)");
                given.map(|given| keep(&mut self.duration, given))
            }
            Field::Seed => {
                let given = whole(field, &node, |n| (10_000..=99_999).contains(&n), "from 10000 to 99999");
                given.map(|given| keep(&mut self.seed, given))
            }
            Field::Watermark => {
                text(field, node).map(|given| given.value.is_empty() || keep(&mut self.watermark, given))
            }
            Field::EnableTranslation => flag(field, &node).map(|given| keep(&mut self.enable_translation, given)),
            Field::Priority => {
                let given = whole(field, &node, |_| true, "from -32768 to 32767");
                given.map(|given| keep(&mut self.priority, given))
            }
            Field::MaxAttempts => {
                let given = whole(field, &node, |n| (1..=10).contains(&n), "from 1 to 10");
                given.map(|given| keep(&mut self.max_attempts, given))
            }
            Field::Extra => extra(&node, report).map(|given| given.is_some_and(|given| keep(&mut self.extra, given))),
        };
        match done {
            Ok(true) => (),
            Ok(false) => self.broken.push(field),
            Err(refused) => {
                self.broken.push(field);
                report.problem(refused.0, refused.1);
            }
        }
    }
}

/// YAML read nothing where something may have been meant: `id: null`, `prompt: #3`, `{prompt: red, seed}`.
fn is_meant_as_text(field: Field, null: &Node<'_>) -> bool {
    null.not_as_written(field.is_free_text()).is_some_and(|misread| match misread.how {
        Misreading::Value => matches!(field, Field::Prompt | Field::Id),
        Misreading::Comment | Misreading::Text => true,
    })
}

/// Puts a value in its place.
fn keep<T>(place: &mut Option<Given<T>>, given: Given<T>) -> bool {
    *place = Some(given);
    true
}
