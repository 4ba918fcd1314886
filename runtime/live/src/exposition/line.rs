//! The tokens of one line.
//!
//! For: names, quoted text, pairs and numbers, each with the place where it went wrong. Never looks beyond its line.

use std::borrow::Cow;

use trimtab_sandbox::clean;

use super::ExpositionError;

/// What is wrong with a line, and at which byte of it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

impl Fault {
    pub(super) fn on_line(self, number: usize, line: &str) -> ExpositionError {
        let at = line.floor_char_boundary(self.at.min(line.len()));
        let (before, from) = line.split_at(at);
        let excerpt = if from.is_empty() { "the end of the line".to_owned() } else { clean(from, 60) };
        ExpositionError::Malformed { line: number, column: before.chars().count() + 1, what: self.what, excerpt }
    }
}

/// Text that may have been quoted, escapes not yet taken out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Token<'a> {
    pub(super) fn text(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }
}

/// A backslash before anything but `\`, `"` and `n` stands for itself.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (c, skip) = match after.as_bytes().first() {
            Some(b'\\') => ('\\', 1),
            Some(b'"') => ('"', 1),
            Some(b'n') => ('\n', 1),
            _ => ('\\', 0),
        };
        out.push(c);
        rest = &after[skip..];
    }
    out.push_str(rest);
    out
}

/// Labels of one sample, as they stand on the page: checked already, read again when they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Begins behind the opening brace; empty where there are no braces.
    text: &'a str,
}

impl<'a> Labels<'a> {
    pub(super) const NONE: Labels<'static> = Labels { text: "" };

    /// Pairs of name and value in the page's order.
    pub fn iter(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let mut cursor = Cursor::new(self.text, false);
        std::iter::from_fn(move || {
            loop {
                // Without braces there is no pair at the start of the text, which ends the loop as the brace does.
                let (name, value) = cursor.pair().ok()??;
                if let Some(value) = value {
                    return Some((name.text(), value.text()));
                }
            }
        })
    }

    /// The value of one label.
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

impl PartialEq for Labels<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A place in a line.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
    /// OpenMetrics: exactly one blank where one is due, and none elsewhere.
    strict: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str, strict: bool) -> Self {
        Cursor { line, at: 0, strict }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Blanks where none are needed.
    pub(super) fn blanks(&mut self) {
        if !self.strict {
            self.while_bytes(|b| matches!(b, b' ' | b'\t'));
        }
    }

    /// Blanks where one is needed; whether it is there.
    pub(super) fn gap(&mut self) -> bool {
        if self.strict {
            return self.eat(b' ');
        }
        let start = self.at;
        self.blanks();
        self.at > start
    }

    /// Up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        let strict = self.strict;
        self.while_bytes(|b| b != b' ' && (strict || b != b'\t'))
    }

    /// Up to the end of the line.
    pub(super) fn rest(&mut self) -> &'a str {
        self.while_bytes(|_| true)
    }

    /// Labels that begin here.
    pub(super) fn labels(&self) -> Labels<'a> {
        Labels { text: self.line.get(self.at..).unwrap_or_default() }
    }

    fn while_bytes(&mut self, of: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let bytes = self.line.as_bytes();
        while bytes.get(self.at).is_some_and(|b| of(*b)) {
            self.at += 1;
        }
        // All classes end at ASCII, so this never cuts a character; if it did, the empty text is refused.
        self.line.get(start..self.at).unwrap_or_default()
    }

    /// A name that needs no quotes.
    pub(super) fn metric_name(&mut self) -> Result<&'a str, Fault> {
        if !self.peek().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':')) {
            return Err(self.fault("expected a metric name"));
        }
        Ok(self.while_bytes(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')))
    }

    /// The name in a `# TYPE` or `# HELP` line.
    pub(super) fn family_name(&mut self) -> Result<Cow<'a, str>, Fault> {
        if self.peek() == Some(b'"') { Ok(self.quoted()?.text()) } else { self.metric_name().map(Cow::Borrowed) }
    }

    /// One item between braces with the comma behind it: a label, or a quoted metric name without a value. None: the
    /// closing brace.
    pub(super) fn pair(&mut self) -> Result<Option<(Token<'a>, Option<Token<'a>>)>, Fault> {
        self.blanks();
        let name = match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b'"') => self.quoted()?,
            Some(b) if b.is_ascii_alphabetic() || b == b'_' => {
                Token { raw: self.while_bytes(|b| b.is_ascii_alphanumeric() || b == b'_'), escaped: false }
            }
            _ => return Err(self.fault("expected a label name or a closing brace")),
        };
        let quoted = self.line.as_bytes().get(self.at.wrapping_sub(1)) == Some(&b'"');
        self.blanks();
        let value = if self.eat(b'=') {
            self.blanks();
            Some(self.quoted()?)
        } else if quoted {
            None
        } else {
            return Err(self.fault("expected an equals sign"));
        };
        self.blanks();
        if !self.eat(b',') && self.peek() != Some(b'}') {
            return Err(self.fault("expected a comma or a closing brace"));
        }
        Ok(Some((name, value)))
    }

    fn quoted(&mut self) -> Result<Token<'a>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a quoted text"));
        }
        let bytes = self.line.as_bytes();
        let start = self.at + 1;
        let (mut end, mut escaped) = (start, false);
        loop {
            match bytes.get(end) {
                None => return Err(self.fault("expected a quoted text with its closing quote")),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        // Quotes are ASCII, so the slice never cuts a character.
        Ok(Token { raw: self.line.get(start..end).unwrap_or_default(), escaped })
    }

    /// A number as Go reads it, but for hexadecimal ones and underscores, which the formats never had.
    pub(super) fn number(&mut self, what: &'static str) -> Result<f64, Fault> {
        let before = self.clone();
        number(self.word()).ok_or_else(|| before.fault(what))
    }

    /// A timestamp of OpenMetrics, in milliseconds.
    pub(super) fn seconds(&mut self) -> Result<i64, Fault> {
        let before = self.clone();
        match number(self.word()) {
            Some(seconds) if seconds.is_finite() => Ok((seconds * 1000.0) as i64),
            _ => Err(before.fault("expected a timestamp in seconds")),
        }
    }
}

/// Rust reads what Go reads, with two exceptions: Go refuses a NaN with a sign, and a number too great for a float.
fn number(word: &str) -> Option<f64> {
    let value: f64 = word.parse().ok()?;
    let letters = word.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_alphabetic());
    match value {
        v if v.is_nan() && word.len() > 3 => None,
        v if v.is_infinite() && !letters => None,
        v => Some(v),
    }
}
