//! Reading a configuration: durations as manifests write them, and errors that point at the place.
//!
//! For: the typed configuration of a policy. Never defaults anything: that is the configuration type's.

use std::fmt;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Refusal;

/// A duration in milliseconds, written `250ms`, `30s`, `5m`, `1h30m` or `1d` in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub u64);

impl Span {
    /// `n` seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Span {
        Span(n * 1000)
    }

    /// The duration in seconds.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Reads a duration as a configuration writes it; nothing for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Span> {
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            let factor = match unit {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
            rest = after;
        }
        (!text.is_empty()).then_some(Span(total))
    }
}

/// The two largest units that say enough for a person, such as `1h30m`, `90s` or `250ms`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n < 1000 && n > 0 => write!(f, "{n}ms"),
            n if n < 120_000 => write!(f, "{}s", n / 1000),
            n if n < 7_200_000 && n / 1000 % 60 == 0 => write!(f, "{}m", n / 60_000),
            n if n < 7_200_000 => write!(f, "{}m{}s", n / 60_000, n / 1000 % 60),
            n if n / 60_000 % 60 == 0 => write!(f, "{}h", n / 3_600_000),
            n => write!(f, "{}h{}m", n / 3_600_000, n / 60_000 % 60),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\", \"5m\" or \"250ms\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).ok_or_else(|| {
                    E::custom(format_args!("{text:?} is no duration; write one such as \"30s\" or \"5m\""))
                })
            }
        }
        from.deserialize_str(Text)
    }
}

/// Reads a configuration; empty text, `null` and `{}` are all "nothing configured".
pub(crate) fn read<C: DeserializeOwned>(text: &str) -> Result<C, Refusal> {
    let text = match text.trim() {
        "" | "null" => "{}",
        given => given,
    };
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let message = said.split(" at line ").next().unwrap_or_default().to_owned();
        Refusal::bad_config(pointer(text, error.line(), error.column()), message)
    })
}

/// The JSON pointer of the innermost value that is open at a place (line and column from 1, in bytes).
fn pointer(text: &str, line: usize, column: usize) -> String {
    let line_start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = (line_start + column).saturating_sub(1).min(text.len());
    let bytes = text.as_bytes();
    let mut path: Vec<(bool, String)> = Vec::new(); // one entry per open container: is it an object, key or index
    let mut at = 0;
    let mut expects_key = false;
    while at < end {
        match bytes[at] {
            b'{' | b'[' => {
                let object = bytes[at] == b'{';
                path.push((object, if object { String::new() } else { "0".into() }));
                expects_key = object;
            }
            b'}' | b']' => {
                path.pop();
                expects_key = false;
            }
            b',' => {
                if let Some((object, key)) = path.last_mut() {
                    expects_key = *object;
                    *key = if *object { String::new() } else { key.parse::<u32>().map_or(0, |n| n + 1).to_string() };
                }
            }
            b'"' => {
                let close = closing_quote(bytes, at + 1);
                if let (true, Some((_, key))) = (expects_key, path.last_mut()) {
                    *key = String::from_utf8_lossy(&bytes[at + 1..close.min(bytes.len())]).into_owned();
                    expects_key = false;
                }
                at = close;
            }
            _ => {}
        }
        at += 1;
    }
    let steps = path.into_iter().map(|(_, key)| key).filter(|key| !key.is_empty());
    steps.flat_map(|key| ["/".to_owned(), key.replace('~', "~0").replace('/', "~1")]).collect()
}

/// Index of the quote that ends a JSON string whose text begins at `at`.
fn closing_quote(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        down: Span,
        rules: Vec<Rule>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        #[allow(dead_code)]
        min: u32,
    }

    #[test]
    fn durations() {
        for (text, millis) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("0s", 0)] {
            assert_eq!(Span::parse(text), Some(Span(millis)), "{text}");
        }
        for text in ["", "30", "s", "5 m", "-1s", "1.5h", "99999999999999999999s", "1x"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        assert_eq!(Span(5_400_000).to_string(), "90m");
        assert_eq!(Span(90_000).to_string(), "90s");
    }

    #[test]
    fn nothing_configured_is_the_default() {
        for text in ["", " ", "null", "{}"] {
            assert_eq!(read::<Config>(text).unwrap().down, Span(0), "{text:?}");
        }
    }

    #[test]
    fn errors_point_at_the_place() {
        let table = [
            (r#"{"down": "soon"}"#, "/down"),
            (r#"{"down": 5}"#, "/down"),
            (r#"{"dwon": "5m"}"#, "/dwon"),
            ("{\n  \"rules\": [{\"min\": 1},\n {\"min\": \"x\"}]}", "/rules/1/min"),
            (r#"{"rules": [{"min": -3}]}"#, "/rules/0/min"),
        ];
        for (text, place) in table {
            let refusal = read::<Config>(text).unwrap_err();
            assert_eq!(refusal.code, "bad-config");
            assert_eq!(refusal.issues[0].path, place, "{text}: {}", refusal.message);
        }
    }
}
