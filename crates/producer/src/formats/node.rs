//! What a prompt file says, in whichever format, with the place of everything it says.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

pub(crate) use crate::problem::Place;
use crate::problem::Problem;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node<'a> {
    pub(crate) at: Place,
    pub(crate) shape: Shape<'a>,
    /// Where YAML may have read something else than was meant.
    pub(crate) misread: Option<Box<Misread>>,
}

/// How a text without quotes may have been meant otherwise, and what to do about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Misread {
    pub(crate) how: Misreading,
    pub(crate) at: Place,
    pub(crate) problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misreading {
    /// A comment follows that looks like one: `veo3_fast # the cheap one`.
    Comment,
    /// It became a number, a truth value or nothing, and is written otherwise than we would write that.
    Value,
    /// Something of it was lost, or joined it.
    Text,
}

/// A mapping's key and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key<'a> {
    pub(crate) at: Place,
    pub(crate) name: Cow<'a, str>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// In the file's order; a key may stand there twice.
    Map(Vec<(Key<'a>, Node<'a>)>),
    /// What has no place in JSON: infinities, tags, numbers beyond 64 bits; as written.
    Unrepresentable(String),
}

impl<'a> Node<'a> {
    pub(crate) fn new(at: Place, shape: Shape<'a>) -> Self {
        Self { at, shape, misread: None }
    }
}

impl Node<'_> {
    /// Why it cannot be taken as the text that it seems to be. `is_free`: people write anything there, so that a comment
    /// beside it may be a part of it.
    pub(crate) fn not_as_written(&self, is_free: bool) -> Option<&Misread> {
        self.misread.as_deref().filter(|misread| is_free || misread.how != Misreading::Comment)
    }

    /// What it is, in words: "text", "a list" …
    pub(crate) fn kind(&self) -> &'static str {
        match &self.shape {
            Shape::Null => "nothing",
            Shape::Bool(_) => "true or false",
            Shape::Number(number) if number.is_f64() => "a number with a fraction",
            Shape::Number(_) => "a number",
            Shape::Text(_) => "text",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a mapping",
            Shape::Unrepresentable(_) => "a value that JSON does not have",
        }
    }

    /// The value as it may be quoted to a person; nothing for lists and mappings.
    pub(crate) fn shown(&self) -> Option<Cow<'_, str>> {
        match &self.shape {
            Shape::Null => Some("null".into()),
            Shape::Bool(value) => Some(value.to_string().into()),
            Shape::Number(number) => Some(number.to_string().into()),
            Shape::Text(text) => Some(Cow::Borrowed(text)),
            Shape::Unrepresentable(text) => Some(Cow::Borrowed(text)),
            Shape::List(_) | Shape::Map(_) => None,
        }
    }

    /// The value as JSON, or the first part of it that JSON does not have, or that may have been meant otherwise.
    pub(crate) fn to_json(&self) -> Result<Value, &Self> {
        let is_plain =
            |misread: &Misread| misread.how == Misreading::Value && matches!(self.shape, Shape::Null | Shape::Bool(_));
        if self.not_as_written(matches!(self.shape, Shape::Text(_))).is_some_and(|misread| !is_plain(misread)) {
            return Err(self);
        }
        Ok(match &self.shape {
            Shape::Null => Value::Null,
            Shape::Bool(value) => Value::Bool(*value),
            Shape::Number(number) => Value::Number(number.clone()),
            Shape::Text(text) => Value::String(text.to_string()),
            Shape::List(items) => Value::Array(items.iter().map(Self::to_json).collect::<Result<_, _>>()?),
            Shape::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    map.insert(key.name.to_string(), value.to_json()?);
                }
                Value::Object(map)
            }
            Shape::Unrepresentable(_) => return Err(self),
        })
    }
}
