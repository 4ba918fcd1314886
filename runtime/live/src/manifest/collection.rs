//! Lists and mappings of free names in a manifest.
//!
//! For: reading every item, so that each mistake in a list is said, and refusing two items of one name. Never knows what
//! the items are.

use std::collections::BTreeMap;

use super::field::{At, Shape, Written};
use super::problem::{Report, Spot, quoted};
use super::scalar::Signal;
use super::tree::{Node, Value};

impl<T: Written> Written for Vec<At<T>> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()), false)
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let Value::List(items) = &node.value else {
            report.field(node.spot, format!("expected a list, found {}", node.said()), "write one `- …` line per item");
            return None;
        };
        if items.len() > 256 {
            report.field(node.spot, format!("{} items", items.len()), "a list holds at most 256");
            return None;
        }
        let mut read = Vec::with_capacity(items.len());
        let mut good = true;
        for (n, item) in items.iter().enumerate() {
            match report.within(&format!("[{n}]"), |report| T::read(item, report)) {
                Some(value) => read.push(At { value, spot: item.spot, given: true }),
                None => good = false,
            }
        }
        good.then_some(read)
    }
}

/// A list with at least one item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Some1<T>(pub(super) Vec<At<T>>);

impl<T: Written> Written for Some1<T> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()), true)
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let items = Vec::<At<T>>::read(node, report)?;
        if items.is_empty() {
            report.field(node.spot, "the list is empty", "add at least one item");
            return None;
        }
        Some(Some1(items))
    }
}

/// Free names to values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map<T>(pub(super) BTreeMap<String, At<T>>);

impl<T: Written> Written for Map<T> {
    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            report.field(node.spot, format!("expected a mapping, found {}", node.said()), "write `NAME: value` pairs");
            return None;
        };
        let before = report.found();
        let mut read = BTreeMap::new();
        for (key, node) in entries {
            if Signal::read(&Node::plain(&key.name, key.spot), report).is_none() {
                continue;
            }
            let value = report.within(&key.name, |report| T::read(node, report));
            read.extend(value.map(|value| (key.name.clone(), At { value, spot: node.spot, given: true })));
        }
        (report.found() == before).then_some(Map(read))
    }
}

/// Says so for every name that an earlier one has too.
pub(super) fn unique<'a>(names: impl Iterator<Item = (&'a str, Spot)>, what: &str, report: &mut Report) {
    let mut seen: Vec<(&str, Spot)> = Vec::new();
    for (name, spot) in names {
        match seen.iter().find(|(other, _)| *other == name) {
            Some((_, first)) => {
                report.field(
                    spot,
                    format!("two {what} named {}, the first on line {}", quoted(name), first.line),
                    "give each its own name",
                );
            }
            None => seen.push((name, spot)),
        }
    }
}
