//! A policy's settings: from YAML to the JSON text that the policy is given.
//!
//! For: numbers keep the form they were written in, and every value keeps its place, so that what a policy's schema says
//! of `/target` is shown at that line and column. Never checks the settings: their schema is the policy's.

use std::collections::BTreeMap;

use super::problem::{Report, Spot, quoted};
use super::tree::{Node, Value};

/// JSON text of a mapping, and the place of each value by its JSON pointer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    pub(super) text: String,
    pub(super) spots: BTreeMap<String, Spot>,
}

impl Config {
    pub(super) fn of(node: &Node, report: &mut Report) -> Option<Config> {
        if !matches!(node.value, Value::Map(_)) {
            report.field(
                node.spot,
                format!("expected a mapping, found {}", node.said()),
                "write the policy's settings as `name: value`",
            );
            return None;
        }
        let before = report.found();
        let mut config = Config { text: String::new(), spots: BTreeMap::new() };
        config.write(node, String::new(), report);
        (report.found() == before).then_some(config)
    }

    fn write(&mut self, node: &Node, pointer: String, report: &mut Report) {
        match &node.value {
            Value::Scalar { text, plain } => match scalar(text, *plain) {
                Some(json) => self.text.push_str(&json),
                None => report.field(
                    node.spot,
                    format!("{} has no form in JSON", quoted(text)),
                    "write a finite number, or put it in quotes",
                ),
            },
            Value::List(items) => {
                self.text.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        self.text.push(',');
                    }
                    report.within(&format!("[{n}]"), |report| self.write(item, format!("{pointer}/{n}"), report));
                }
                self.text.push(']');
            }
            Value::Map(entries) => {
                self.text.push('{');
                for (n, (key, item)) in entries.iter().enumerate() {
                    if n > 0 {
                        self.text.push(',');
                    }
                    self.text.push_str(&string(&key.name));
                    self.text.push(':');
                    let inner = format!("{pointer}/{}", key.name.replace('~', "~0").replace('/', "~1"));
                    report.within(&key.name, |report| self.write(item, inner, report));
                }
                self.text.push('}');
            }
        }
        self.spots.insert(pointer, node.spot);
    }
}

/// The document as JSON, in the order written: what changes only in comments or spacing has the same text.
pub(super) fn canonical(node: &Node, out: &mut String) {
    match &node.value {
        Value::Scalar { text, plain } => match scalar(text, *plain) {
            Some(json) => out.push_str(&json),
            None => out.push_str(&string(text)),
        },
        Value::List(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (key, item) in entries {
                out.push_str(&string(&key.name));
                out.push(':');
                canonical(item, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

/// A scalar by YAML 1.2's core schema; none for what JSON has no number for.
fn scalar(text: &str, plain: bool) -> Option<String> {
    if !plain {
        return Some(string(text));
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some("null".into()),
        "true" | "True" | "TRUE" => return Some("true".into()),
        "false" | "False" | "FALSE" => return Some("false".into()),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return None;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            return u64::from_str_radix(digits, radix).ok().map(|n| n.to_string());
        }
    }
    Some(number(text, unsigned).unwrap_or_else(|| string(text)))
}

/// A decimal number in JSON's form: as written where JSON allows it, else with what is missing filled in. None: no number.
fn number(text: &str, unsigned: &str) -> Option<String> {
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], &unsigned[at..]),
        None => (unsigned, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let power = exponent.get(1..).map(|e| e.strip_prefix(['-', '+']).unwrap_or(e));
    let exponent_fits = power.is_none_or(|power| !power.is_empty() && digits(power));
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) || !exponent_fits {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let trimmed = whole.trim_start_matches('0');
    let whole = if trimmed.is_empty() { "0" } else { trimmed };
    let point = match (mantissa.contains('.'), fraction) {
        (true, "") => ".0".to_owned(),
        (true, fraction) => format!(".{fraction}"),
        (false, _) => String::new(),
    };
    Some(format!("{sign}{whole}{point}{exponent}"))
}

/// A JSON string.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
