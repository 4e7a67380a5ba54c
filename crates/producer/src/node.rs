//! What a prompt file says, in whichever format, with the place of everything it says.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

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

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node<'a> {
    pub(crate) at: Place,
    pub(crate) shape: Shape<'a>,
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
    Strange(String),
}

impl Node<'_> {
    /// What it is, in words: "a text", "a list" …
    pub(crate) fn kind(&self) -> &'static str {
        match &self.shape {
            Shape::Null => "nothing",
            Shape::Bool(_) => "true or false",
            Shape::Number(number) if number.is_f64() => "a number with a fraction",
            Shape::Number(_) => "a number",
            Shape::Text(_) => "a text",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a mapping",
            Shape::Strange(_) => "a value that JSON does not have",
        }
    }

    /// The value as it may be quoted to a person; nothing for lists and mappings.
    pub(crate) fn shown(&self) -> Option<Cow<'_, str>> {
        match &self.shape {
            Shape::Null => Some("null".into()),
            Shape::Bool(value) => Some(value.to_string().into()),
            Shape::Number(number) => Some(number.to_string().into()),
            Shape::Text(text) => Some(Cow::Borrowed(text)),
            Shape::Strange(text) => Some(Cow::Borrowed(text)),
            Shape::List(_) | Shape::Map(_) => None,
        }
    }

    /// The value as JSON, or the first part of it that JSON does not have.
    pub(crate) fn to_json(&self) -> Result<Value, &Self> {
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
            Shape::Strange(_) => return Err(self),
        })
    }
}
