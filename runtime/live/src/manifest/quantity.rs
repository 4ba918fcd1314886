//! Durations and sizes: whole numbers with units, between bounds that the field states.
//!
//! For: the same as `scalar`, for what has a unit.

use serde_json::json;
use trimtab_control::time::Span;

use super::field::{Shape, Written};
use super::problem::{Report, quoted};
use super::scalar::scalar;
use super::tree::Node;

/// A duration between two bounds, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lasting<const MIN_S: u64, const MAX_S: u64>(pub(super) Span);

impl<const MIN_S: u64, const MAX_S: u64> Written for Lasting<MIN_S, MAX_S> {
    fn shape() -> Shape {
        duration_shape(Span::seconds(MIN_S), Span::seconds(MAX_S))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        bounded_duration(node, Span::seconds(MIN_S), Span::seconds(MAX_S), report).map(Lasting)
    }
}

/// A short duration between two bounds, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Period<const MIN_MS: u64, const MAX_MS: u64>(pub(super) Span);

impl<const MIN_MS: u64, const MAX_MS: u64> Written for Period<MIN_MS, MAX_MS> {
    fn shape() -> Shape {
        duration_shape(Span(MIN_MS), Span(MAX_MS))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        bounded_duration(node, Span(MIN_MS), Span(MAX_MS), report).map(Period)
    }
}

fn duration_shape(min: Span, max: Span) -> Shape {
    let pattern = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
    Shape::Leaf(format!("duration, {min} to {max}"), json!({ "type": "string", "pattern": pattern, "minLength": 2 }))
}

fn bounded_duration(node: &Node, min: Span, max: Span, report: &mut Report) -> Option<Span> {
    let hint = "whole numbers with units: `250ms`, `15s`, `5m`, `1h` or `1h30m`";
    let span = scalar(node, report, "a duration", hint, |text| {
        if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            return Err(format!("{} has no unit", quoted(text)));
        }
        duration(text).ok_or_else(|| format!("{} is not a duration", quoted(text)))
    })?;
    if span < min || span > max {
        report.field(node.spot, format!("{span} is out of range"), format!("from {min} to {max}"));
        return None;
    }
    Some(span)
}

/// Whole numbers with units, the greatest unit first.
fn duration(text: &str) -> Option<Span> {
    let mut total: u64 = 0;
    let mut rest = text;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[letters..];
    }
    (last != u64::MAX).then_some(Span(total))
}

/// A number of bytes between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size<const MIN: u64, const MAX: u64>(pub(super) u64);

/// Units of sizes, the greatest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl<const MIN: u64, const MAX: u64> Written for Size<MIN, MAX> {
    fn shape() -> Shape {
        let range = format!("size, {} to {}", size(MIN), size(MAX));
        Shape::Leaf(range, json!({ "type": "string", "pattern": "^[0-9]+(GiB|MiB|KiB|B)$" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = "a whole number with a unit: `64KiB`, `16MiB` or `1GiB`";
        let bytes = scalar(node, report, "a size", hint, |text| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = text.split_at(digits);
            if unit.is_empty() && !number.is_empty() {
                return Err(format!("{} has no unit", quoted(text)));
            }
            let unit = UNITS.into_iter().find(|(name, _)| *name == unit);
            let bytes = unit.and_then(|(_, bytes)| number.parse::<u64>().ok()?.checked_mul(bytes));
            bytes.ok_or_else(|| format!("{} is not a size", quoted(text)))
        })?;
        if !(MIN..=MAX).contains(&bytes) {
            let range = format!("from {} to {}", size(MIN), size(MAX));
            report.field(node.spot, format!("{} is out of range", size(bytes)), range);
            return None;
        }
        Some(Size(bytes))
    }
}

/// In the greatest unit that leaves a whole number.
fn size(bytes: u64) -> String {
    let unit = UNITS.into_iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| "0B".to_owned(), |(name, unit)| format!("{}{name}", bytes / unit))
}
