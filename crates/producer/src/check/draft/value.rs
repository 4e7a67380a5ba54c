//! Single values: of the right type and in their range, or refused with what to do about it.

use std::borrow::Cow;

use super::Given;
use crate::field::{Field, nearest};
use crate::formats::node::{Node, Place, Shape};
use crate::problem::Problem;

/// Why a value was refused, and where it stands.
pub(super) type Refused = Box<(Place, Problem)>;

/// `field` has a value of another type.
pub(super) fn wrong(field: Field, wanted: &str, node: &Node<'_>, hint: Option<String>) -> Refused {
    let problem = Problem::new(format!("`{}` must be {wanted}, not {}", field.name(), node.kind()));
    Box::new((node.at, problem.text_if(node.shown()).hint_if(hint)))
}

/// `node` was read otherwise than it is written.
pub(super) fn misread(node: &Node<'_>, is_free: bool) -> Option<Refused> {
    node.not_as_written(is_free).map(|misread| Box::new((misread.at, misread.problem.clone())))
}

pub(super) fn text(field: Field, node: Node<'_>) -> Result<Given<Cow<'_, str>>, Refused> {
    if let Some(refused) = misread(&node, field.is_free_text()) {
        return Err(refused);
    }
    if let Shape::Text(value) = node.shape {
        return Ok(Given { at: node.at, value: trimmed(value) });
    }
    let hint = node.shown().map(|text| format!("put it into quotes: \"{text}\""));
    Err(wrong(field, "text", &node, hint))
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

pub(super) fn prompt(node: Node<'_>) -> Result<Given<Cow<'_, str>>, Refused> {
    let given = text(Field::Prompt, node)?;
    if given.value.is_empty() {
        return Err(Box::new((given.at, Problem::new("the prompt is empty").hint("say what the video shows"))));
    }
    Ok(given)
}

pub(super) fn model(node: Node<'_>) -> Result<Given<Cow<'_, str>>, Refused> {
    let given = text(Field::Model, node)?;
    if given.value.is_empty() {
        let problem = Problem::new("`model` is empty").hint("leave it out for the default, veo3_fast");
        return Err(Box::new((given.at, problem)));
    }
    Ok(given)
}

/// Taken as it is, not trimmed. A whole number is an id, too: it is written in one way only.
pub(super) fn id(node: Node<'_>) -> Result<Given<Cow<'_, str>>, Refused> {
    if let Some(refused) = misread(&node, true) {
        return Err(refused);
    }
    let value = match node.shape {
        Shape::Number(number) if !number.is_f64() => number.to_string().into(),
        Shape::Text(value) => value,
        Shape::Null
        | Shape::Bool(_)
        | Shape::Number(_)
        | Shape::List(_)
        | Shape::Map(_)
        | Shape::Unrepresentable(_) => {
            return text(Field::Id, node);
        }
    };
    Ok(Given { at: node.at, value })
}

/// One of a few words.
pub(super) fn word<T: Copy>(field: Field, node: &Node<'_>, words: &'static [(&str, T)]) -> Result<Given<T>, Refused> {
    if let Shape::Text(text) = &node.shape
        && let Some((_, value)) = words.iter().find(|(word, _)| *word == text.trim())
    {
        return Ok(Given { at: node.at, value: *value });
    }
    let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let (last, first) = all.split_last().map_or(("", String::new()), |(last, first)| (*last, first.join(", ")));
    let near = nearest(&node.shown().unwrap_or_default(), all.iter().map(|word| (*word, *word)));
    let hint = near.map(|word| format!("did you mean `{word}`?"));
    let problem = Problem::new(format!("`{}` must be {first} or {last}", field.name()));
    Err(Box::new((node.at, problem.text_if(node.shown()).hint_if(hint))))
}

/// A whole number that `fits`; `range` says which do.
pub(super) fn whole<T: TryFrom<i64>>(
    field: Field,
    node: &Node<'_>,
    fits: impl Fn(i64) -> bool,
    range: &str,
) -> Result<Given<T>, Refused> {
    if let Shape::Number(number) = &node.shape
        && !number.is_f64()
    {
        let value = number.as_i64().filter(|n| fits(*n)).and_then(|n| T::try_from(n).ok());
        return value.map(|value| Given { at: node.at, value }).ok_or_else(|| {
            let problem = Problem::new(format!("`{}` must be {range}", field.name()));
            Box::new((node.at, problem.text(number.to_string())))
        });
    }
    let quoted = node.shown().and_then(|text| text.trim().parse::<i64>().ok());
    let hint = quoted.map(|n| format!("write it without quotes: {n}"));
    Err(wrong(field, "a whole number", node, hint))
}

pub(super) fn flag(field: Field, node: &Node<'_>) -> Result<Given<bool>, Refused> {
    if let Shape::Bool(value) = node.shape {
        return Ok(Given { at: node.at, value });
    }
    let hint = match node.shown().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some("write true, without quotes".to_owned()),
        "false" | "no" | "off" | "0" => Some("write false, without quotes".to_owned()),
        _ => None,
    };
    Err(wrong(field, "true or false", node, hint))
}
