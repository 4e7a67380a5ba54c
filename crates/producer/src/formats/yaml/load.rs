//! YAML values by `serde_yaml`, with their spans. The only place that knows that crate, which is not maintained any
//! more: replacing it is replacing this file.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::Number;

use super::misread::{self, Lines};
use super::spans::Spans;
use crate::formats::node::{Key, Node, Place, Shape};

/// Reads the document that `spans` was made of.
pub(super) fn load(text: &str, spans: &Spans) -> Result<Node<'static>, (Option<Place>, String)> {
    let lines = Lines::of(text);
    let seed = Load { spans, lines: &lines, index: spans.root(), is_value: false };
    seed.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let at = error.location().map(|at| Place { line: number(at.line()), column: number(at.column()) });
        let words = error.to_string();
        (at, words.split(" at line ").next().unwrap_or_default().to_owned())
    })
}

/// Loads the value that is marked at `index`. Both parsers see the same lists and mappings in the same order.
#[derive(Clone, Copy)]
struct Load<'m> {
    spans: &'m Spans,
    lines: &'m Lines<'m>,
    index: u32,
    /// It belongs to a name.
    is_value: bool,
}

impl Load<'_> {
    fn part(self, n: usize) -> Self {
        Self { index: self.spans.part(self.index, n), is_value: false, ..self }
    }

    fn value(self, n: usize) -> Self {
        Self { is_value: true, ..self.part(n) }
    }

    fn node(self, shape: Shape<'static>) -> Node<'static> {
        let scalar = self.spans.scalar(self.index);
        let misread = scalar.and_then(|scalar| misread::find(scalar, &shape, self.is_value, self.lines));
        Node { at: self.spans.place(self.index), shape, misread }
    }
}

impl<'de> DeserializeSeed<'de> for Load<'_> {
    type Value = Node<'static>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Load<'_> {
    type Value = Node<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Null))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Number(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Unrepresentable(value.to_string())))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Unrepresentable(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.node(Number::from_f64(value).map_or_else(|| Shape::Unrepresentable(value.to_string()), Shape::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Text(Cow::Owned(value.to_owned()))))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(self.node(Shape::Text(Cow::Owned(value))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.part(items.len()))? {
            items.push(item);
        }
        Ok(self.node(Shape::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self.part(2 * entries.len()))? {
            // A name is what is written, whatever else YAML takes it for (`0x1F`, `no`, `~`).
            let written =
                self.spans.scalar(self.part(2 * entries.len()).index).map(|scalar| scalar.written.to_string());
            let name = written.ok_or_else(|| A::Error::custom("a list or a mapping where a key should be"))?;
            let key = Key { at: key.at, name: Cow::Owned(name) };
            let value = map.next_value_seed(self.value(2 * entries.len() + 1))?;
            entries.push((key, value));
        }
        Ok(self.node(Shape::Map(entries)))
    }

    /// A tag of one's own (`!secret x`).
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Self::Value, A::Error> {
        let (tag, value) = tagged.variant::<String>()?;
        let value = value.newtype_variant_seed(self)?;
        let value = value.shown().unwrap_or_default();
        Ok(self.node(Shape::Unrepresentable(format!("!{tag} {value}"))))
    }
}
