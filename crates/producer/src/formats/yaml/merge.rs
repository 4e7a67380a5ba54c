//! YAML's merge key: `<<: *shared` takes over the entries of another mapping that are not given here.

use crate::formats::node::{Key, Node, Shape};
use crate::problem::{Problem, Report};

/// Merges in every mapping of `node`. The aliases are expanded already.
pub(super) fn merge(node: &mut Node<'static>, report: &mut Report) {
    if let Shape::List(items) = &mut node.shape {
        for item in items {
            merge(item, report);
        }
    } else if let Shape::Map(entries) = &mut node.shape {
        for (_, value) in entries.iter_mut() {
            merge(value, report);
        }
        while let Some(n) = entries.iter().position(|(key, _)| key.name == "<<") {
            let (_, value) = entries.remove(n);
            let Node { at, shape, .. } = value;
            if let Shape::List(sources) = shape {
                for source in sources {
                    take_over(entries, source, report);
                }
            } else {
                take_over(entries, Node::new(at, shape), report);
            }
        }
    }
}

fn take_over(entries: &mut Vec<(Key<'static>, Node<'static>)>, source: Node<'static>, report: &mut Report) {
    let Shape::Map(others) = source.shape else {
        report.problem(source.at, Problem::new("`<<` takes a mapping or a list of mappings"));
        return;
    };
    for (key, value) in others {
        if !entries.iter().any(|(own, _)| own.name == key.name) {
            entries.push((key, value));
        }
    }
}
