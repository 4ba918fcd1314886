//! The scalars of a manifest: names, numbers, durations, percents, addresses. Each says what it accepts.
//!
//! For: one type per kind of text, so that a range or a form is stated once and shows up in messages, schema and reference
//! alike. Never looks at other fields.

use serde_json::json;
use trimtab_control::config::Step;

use super::field::{Shape, Written, listed, nearest_hint};
use super::problem::{Report, quoted};
use super::tree::{Node, Value};

/// The text of a scalar that `read` understands; `what` says what belongs here, `hint` how to write it.
pub(super) fn scalar<T>(
    node: &Node,
    report: &mut Report,
    what: &str,
    hint: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let Value::Scalar { text, .. } = &node.value else {
        report.field(node.spot, format!("expected {what}, found {}", node.said()), hint);
        return None;
    };
    match read(text) {
        Ok(value) => Some(value),
        Err(wrong) if wrong.is_empty() => {
            report.field(node.spot, format!("expected {what}, found {}", node.said()), hint);
            None
        }
        Err(wrong) => {
            report.field(node.spot, wrong, hint);
            None
        }
    }
}

/// One of some words.
pub(super) fn word<'w>(node: &Node, words: &[&'w str], later: &[&str], report: &mut Report) -> Option<&'w str> {
    let Value::Scalar { text, .. } = &node.value else {
        report.field(
            node.spot,
            format!("expected a word, found {}", node.said()),
            format!("write {}", listed(words.iter().copied(), "or")),
        );
        return None;
    };
    if let Some(word) = words.iter().find(|word| **word == text) {
        return Some(word);
    }
    if later.contains(&text.as_str()) {
        report.field(
            node.spot,
            format!("`{text}` is not in this version"),
            format!("write {}", listed(words.iter().copied(), "or")),
        );
    } else {
        report.field(
            node.spot,
            format!("unknown value {}", quoted(text)),
            nearest_hint(text, words.iter().copied(), "write"),
        );
    }
    None
}

/// Text; a number or a boolean must stand in quotes, as in Kubernetes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text(pub(super) String);

impl Written for Text {
    fn shape() -> Shape {
        Shape::Leaf("text".into(), json!({ "type": "string", "maxLength": 4096 }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        if let Value::Scalar { text, plain: true } = &node.value
            && (node.is_null() || is_number(text) || matches!(text.as_str(), "true" | "false"))
        {
            report.field(
                node.spot,
                format!("expected text, found {}", node.said()),
                format!("put it in quotes: \"{text}\""),
            );
            return None;
        }
        scalar(node, report, "text", "write text without line breaks, at most 4096 bytes", |text| {
            let good = text.len() <= 4096 && !text.chars().any(char::is_control);
            if good { Ok(Text(text.to_owned())) } else { Err(String::new()) }
        })
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) && text.parse::<f64>().is_ok()
}

/// A name as Kubernetes wants labels (RFC 1123): lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name(pub(super) String);

pub(super) const NAME: &str = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";

impl Written for Name {
    fn shape() -> Shape {
        Shape::Leaf("name".into(), json!({ "type": "string", "pattern": NAME }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = "1 to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit";
        scalar(node, report, "a name", hint, |text| {
            let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
            let good = (1..=63).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                && edge(text.chars().next())
                && edge(text.chars().next_back());
            if good { Ok(Name(text.to_owned())) } else { Err(format!("{} is not a name", quoted(text))) }
        })
    }
}

/// The name of a signal, a metric or a label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signal(pub(super) String);

impl Written for Signal {
    fn shape() -> Shape {
        Shape::Leaf("signal name".into(), json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_:.-]{0,127}$" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = "a letter, then letters, digits and `_ : . -`, at most 128 in all";
        scalar(node, report, "a signal's name", hint, |text| {
            let good = text.len() <= 128
                && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '-'));
            if good { Ok(Signal(text.to_owned())) } else { Err(format!("{} is not a signal's name", quoted(text))) }
        })
    }
}

/// A whole number between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Count<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Written for Count<MIN, MAX> {
    fn shape() -> Shape {
        Shape::Leaf(
            format!("whole number, {MIN} to {MAX}"),
            json!({ "type": "integer", "minimum": MIN, "maximum": MAX }),
        )
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = format!("a whole number from {MIN} to {MAX}, without quotes");
        let plain = matches!(node.value, Value::Scalar { plain: true, .. });
        scalar(node, report, "a whole number", &hint, |text| match text.parse::<i128>() {
            Ok(n) if plain && n >= MIN.into() && n <= MAX.into() => Ok(Count(n as u32)),
            Ok(n) if plain && n < MIN.into() => Err(format!("{} is less than {MIN}", quoted(text))),
            Ok(_) if plain => Err(format!("{} is more than {MAX}", quoted(text))),
            _ => Err(String::new()),
        })
    }
}

/// Any finite number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl Written for Number {
    fn shape() -> Shape {
        Shape::Leaf("number".into(), json!({ "type": "number" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        number(node, "a number, without quotes", |_| true, report).map(Number)
    }
}

/// A price: a finite number, not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Price(pub(super) f64);

impl Written for Price {
    fn shape() -> Shape {
        Shape::Leaf("number, 0 or more".into(), json!({ "type": "number", "minimum": 0 }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        number(node, "a number of 0 or more, without quotes", |n| n >= 0.0, report).map(Price)
    }
}

/// A share, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl Written for Share {
    fn shape() -> Shape {
        Shape::Leaf("number, 0 to 1".into(), json!({ "type": "number", "minimum": 0, "maximum": 1 }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        number(node, "a number from 0 to 1, such as 0.9", |n| (0.0..=1.0).contains(&n), report).map(Share)
    }
}

fn number(node: &Node, hint: &str, fits: impl Fn(f64) -> bool, report: &mut Report) -> Option<f64> {
    let plain = matches!(node.value, Value::Scalar { plain: true, .. });
    scalar(node, report, "a number", hint, |text| match text.parse::<f64>() {
        Ok(n) if plain && is_number(text) && n.is_finite() && fits(n) => Ok(n),
        Ok(n) if plain && is_number(text) && n.is_finite() => Err(format!("{} is out of range", quoted(text))),
        _ => Err(String::new()),
    })
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct True;

impl Written for True {
    fn shape() -> Shape {
        Shape::Leaf("`true`".into(), json!({ "const": true }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let plain = matches!(node.value, Value::Scalar { plain: true, .. });
        scalar(node, report, "`true`", "write true, or remove it", |text| {
            if plain && text == "true" { Ok(True) } else { Err(String::new()) }
        })
    }
}

/// A limit on a step: replicas, or a percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limit(pub(super) Step);

impl Written for Limit {
    fn shape() -> Shape {
        let percent = json!({ "type": "string", "pattern": "^[1-9][0-9]{0,3}%$" });
        let schema = json!({ "oneOf": [{ "type": "integer", "minimum": 1, "maximum": 10_000 }, percent] });
        Shape::Leaf("whole number, or percent such as `10%`".into(), schema)
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = "a number of replicas from 1 to 10000, or a whole percent from `1%` to `1000%`";
        scalar(node, report, "a number or a percent", hint, |text| {
            let (digits, max) = text.strip_suffix('%').map_or((text, 10_000), |digits| (digits, 1_000));
            let number = digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
            match number {
                Some(n) if (1..=max).contains(&n) && digits.len() < text.len() => Ok(Limit(Step::Percent(n))),
                Some(n) if (1..=max).contains(&n) => Ok(Limit(Step::Count(n))),
                Some(_) => Err(format!("{} is out of range", quoted(text))),
                None => Err(format!("{} is neither a number nor a percent", quoted(text))),
            }
        })
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Zone(pub(super) jiff::tz::TimeZone);

impl Written for Zone {
    fn shape() -> Shape {
        Shape::Leaf("IANA time zone".into(), json!({ "type": "string" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        scalar(node, report, "a time zone", "a name of the IANA database, such as UTC or Europe/Berlin", |text| {
            jiff::tz::TimeZone::get(text).map(Zone).map_err(|_| format!("unknown time zone {}", quoted(text)))
        })
    }
}

/// `sha256:` and 64 hex digits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Digest(pub(super) String);

impl Written for Digest {
    fn shape() -> Shape {
        Shape::Leaf(
            "`sha256:` and 64 hex digits".into(),
            json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" }),
        )
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = "`sha256:` and 64 lower-case hex digits, as `trimtab policy inspect` prints it";
        scalar(node, report, "a digest", hint, |text| {
            let hex = text.strip_prefix("sha256:").unwrap_or_default();
            let good = hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
            if good { Ok(Digest(text.to_owned())) } else { Err(format!("{} is not a digest", quoted(text))) }
        })
    }
}
