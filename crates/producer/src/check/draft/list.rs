//! The two values with parts: `images` and `extra`. Every part that is refused is reported by itself.

use serde_json::{Map, Value};

use super::Given;
use super::value::{Refused, misread, wrong};
use crate::check::image;
use crate::field::Field;
use crate::formats::node::{Key, Node, Shape};
use crate::problem::{Problem, Report};

/// One URL or a list of them. `None` if any was refused.
pub(super) fn images(node: Node<'_>, report: &mut Report) -> Result<Option<Given<Vec<String>>>, Refused> {
    let at = node.at;
    let items = match node.shape {
        Shape::List(items) => items,
        Shape::Text(_) => vec![node],
        Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Map(_) | Shape::Unrepresentable(_) => {
            return Err(wrong(Field::Images, "a URL or a list of URLs", &node, None));
        }
    };
    let before = report.problems.total();
    if items.len() > image::MAX_IMAGES {
        let words = format!("there are {} images, and at most {} are possible", items.len(), image::MAX_IMAGES);
        report.problem(at, Problem::new(words));
    }
    let mut value = Vec::with_capacity(items.len());
    for item in items {
        if let Some(refused) = misread(&item, false) {
            report.problem(refused.0, refused.1);
        } else if let Shape::Text(url) = &item.shape {
            match image::check(url.trim()) {
                Ok(()) => value.push(url.trim().to_owned()),
                Err(problem) => report.problem(item.at, problem.text(url.trim())),
            }
        } else {
            let refused = wrong(Field::Images, "a list of URLs", &item, None);
            report.problem(refused.0, refused.1);
        }
    }
    Ok((report.problems.total() == before).then_some(Given { at, value }))
}

/// Fields of the service that have no name here. `None` if any was refused.
pub(super) fn extra(node: &Node<'_>, report: &mut Report) -> Result<Option<Given<Map<String, Value>>>, Refused> {
    let Shape::Map(entries) = &node.shape else { return Err(wrong(Field::Extra, "a mapping", node, None)) };
    let before = report.problems.total();
    let mut map = Map::new();
    for (key, value) in entries {
        if let Some(problem) = unfit(key, &map) {
            report.problem(key.at, problem.text(&key.name));
            continue;
        }
        match value.to_json() {
            Ok(value) => {
                map.insert(key.name.to_string(), value);
            }
            Err(node) => {
                let no_json = || Box::new((node.at, Problem::new("JSON has no such value").text_if(node.shown())));
                let refused = misread(node, true).unwrap_or_else(no_json);
                report.problem(refused.0, refused.1);
            }
        }
    }
    // One order, so that the same fields are the same content.
    map.sort_keys();
    map.values_mut().for_each(Value::sort_all_objects);
    Ok((report.problems.total() == before).then_some(Given { at: node.at, value: map }))
}

/// Why a name cannot stand in `extra`.
fn unfit(key: &Key<'_>, map: &Map<String, Value>) -> Option<Problem> {
    if let Some(field) = Field::parse(&key.name) {
        let problem = Problem::new("this field does not belong in `extra`");
        return Some(problem.hint(format!("write `{}` beside `extra`, not in it", field.name())));
    }
    if key.name.replace('_', "").eq_ignore_ascii_case("callbackurl") {
        return Some(Problem::new("veobatch sets the callback itself").hint("leave it out"));
    }
    map.contains_key(key.name.as_ref()).then(|| Problem::new("a field is given twice"))
}
