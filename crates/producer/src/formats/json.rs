//! JSON text to nodes. `serde_json` reads it; since it borrows from the text, every value's place can be told.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::formats::node::{Key, Node, Place, Shape};
use crate::problem::{Problem, around};

/// Deepest nesting; a job needs four levels, `extra` a few more.
const MAX_DEPTH: usize = 32;

/// What keeps a text from being JSON, and where.
pub(crate) type Broken = (Place, Problem);

/// Reads one JSON value, whose text starts in line `line`.
pub(crate) fn parse(text: &str, line: u32) -> Result<Node<'_>, Box<Broken>> {
    let mut reader = Reader { text, offset: 0, place: Place { line, column: 1 } };
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    // An object is scanned once for its entries; only other values need to be checked as a whole first.
    if !text.starts_with('{') {
        serde_json::from_str::<&RawValue>(text).map_err(|error| reader.broken(text, &error))?;
    }
    reader.node(text, 0)
}

/// Walks through the text once, from place to place.
struct Reader<'a> {
    text: &'a str,
    offset: usize,
    place: Place,
}

impl<'a> Reader<'a> {
    fn node(&mut self, part: &'a str, depth: usize) -> Result<Node<'a>, Box<Broken>> {
        let at = self.place_of(part);
        if depth > MAX_DEPTH {
            return Err(Box::new((at, Problem::new(format!("nested more than {MAX_DEPTH} deep")).text(part))));
        }
        let shape = match part.as_bytes().first() {
            Some(b'{') => self.map(part, depth)?,
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(part).map_err(|error| self.broken(part, &error))?;
                Shape::List(items.into_iter().map(|raw| self.node(raw.get(), depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Shape::Text(self.string(part)?),
            Some(b't') => Shape::Bool(true),
            Some(b'f') => Shape::Bool(false),
            Some(b'n') => Shape::Null,
            _ => serde_json::from_str::<Number>(part)
                .map_or_else(|_| Shape::Unrepresentable(part.to_owned()), Shape::Number),
        };
        Ok(Node::new(at, shape))
    }

    fn map(&mut self, part: &'a str, depth: usize) -> Result<Shape<'a>, Box<Broken>> {
        let entries: Entries<'a> = serde_json::from_str(part).map_err(|error| self.broken(part, &error))?;
        let mut map = Vec::with_capacity(entries.0.len());
        for (name, raw) in entries.0 {
            // A key with escapes is not borrowed: its value's place has to do.
            let mut at = match &name {
                Cow::Borrowed(name) => self.place_of(name),
                Cow::Owned(_) => self.place_of(raw.get()),
            };
            if matches!(name, Cow::Borrowed(_)) {
                at.column = at.column.saturating_sub(1); // the quote
            }
            map.push((Key { at, name }, self.node(raw.get(), depth + 1)?));
        }
        Ok(Shape::Map(map))
    }

    fn string(&mut self, part: &'a str) -> Result<Cow<'a, str>, Box<Broken>> {
        match part.get(1..part.len().saturating_sub(1)) {
            Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
            _ => serde_json::from_str(part).map(Cow::Owned).map_err(|error| self.broken(part, &error)),
        }
    }

    /// The place of `part`, which is a part of the text.
    fn place_of(&mut self, part: &str) -> Place {
        let offset = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        self.place_at(offset)
    }

    fn place_at(&mut self, offset: usize) -> Place {
        let Some(passed) = self.text.as_bytes().get(self.offset..offset) else { return self.place };
        for byte in passed {
            match byte {
                b'\n' => self.place = Place { line: self.place.line.saturating_add(1), column: 1 },
                0x80..=0xbf => (), // goes on with a character that was counted
                _ => self.place.column = self.place.column.saturating_add(1),
            }
        }
        self.offset = offset;
        self.place
    }

    /// `error` counts lines from the start of `part`, and bytes in the line.
    fn broken(&mut self, part: &str, error: &serde_json::Error) -> Box<Broken> {
        let before: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let at = self.place_at((start + before + error.column().saturating_sub(1)).min(self.text.len()));
        let line = part.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        let column = if before == 0 && start == 0 { at.column } else { u32::try_from(error.column()).unwrap_or(0) };
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        let hint = if error.is_eof() {
            Some("a quote, a brace or a bracket is not closed")
        } else if words.starts_with("key must be a string") {
            Some("put keys in double quotes")
        } else if words.starts_with("trailing comma") {
            Some("remove the last comma")
        } else {
            None
        };
        let problem = Problem::new(format!("not valid JSON: {words}")).text(around(line, column)).hint_if(hint);
        Box::new((at, problem))
    }
}

/// An object's entries in order, repeated keys included.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(4);
                while let Some(Name(name)) = map.next_key()? {
                    entries.push((name, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A key, borrowed if it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;

        impl<'de> Visitor<'de> for Borrow {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_has_its_place() {
        let Shape::Map(entries) = parse("{\"ä\": 1,\n  \"b\": [true, \"x\"]}", 7).unwrap().shape else { panic!() };
        let places: Vec<_> =
            entries.iter().flat_map(|(key, value)| [key.at, value.at]).map(|at| (at.line, at.column)).collect();
        assert_eq!(places, [(7, 2), (7, 7), (8, 3), (8, 8)]);
        let Shape::List(items) = &entries[1].1.shape else { panic!() };
        assert_eq!(items[1].at, Place { line: 8, column: 15 });
    }

    #[test]
    fn broken_json_is_located_in_characters() {
        for (text, column) in [("{\"ä\" 1}", 6), ("{\"a\": \"\\ud800\"}", 7), ("nonsense", 2), ("{\"a\": 1} x", 10)] {
            let (at, problem) = *parse(text, 3).unwrap_err();
            assert_eq!(at.line, 3, "{text}: {problem}");
            assert!(at.column.abs_diff(column) <= 7, "{text}: {at:?} {problem}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(parse(&deep, 1).unwrap_err().1.message.contains("nested"));
    }

    #[test]
    fn numbers_beyond_every_type_are_kept_as_they_are_written() {
        assert_eq!(parse("1e999", 1).unwrap().shape, Shape::Unrepresentable("1e999".into()));
    }
}
