//! Text expositions of metrics: Prometheus 0.0.4 and OpenMetrics 1.0.
//!
//! For: reading pages of up to megabytes, many a minute, without an allocation per line: names, labels and values point
//! into the body, and only a label value with an escape in it is copied. Every line is checked, wanted or not, so that
//! whether a page is believed does not depend on who asks; a page with one malformed line is refused whole, as
//! Prometheus does. Never guesses: the type of a sample is what the page's `# TYPE` says, never what its name ends in.
//!
//! The grammar is that of Prometheus' own scraper (`model/textparse`), with its quoted UTF-8 names. Stricter, like the
//! format's other parsers: labels need commas between them, a bare name needs a blank before its value, a label value
//! holds no raw line break. More lenient: a timestamp of 0.0.4 may be negative, and OpenMetrics may leave out the text
//! of `# HELP` with its blank.

mod families;
mod line;
mod refusal;

use std::borrow::Cow;

use trimtab_sandbox::clean;

pub use families::Declared;
pub use line::Labels;
pub use refusal::ExpositionError;

use families::Families;
use line::{Cursor, Fault};

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// By the `Content-Type` of an answer. An answer without one, or with one that says nothing, is read as text; one
    /// that says the body is something else is believed.
    pub fn of_content_type(content_type: Option<&str>) -> Result<Format, ExpositionError> {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is = |wanted: &str| essence.eq_ignore_ascii_case(wanted);
        if is("application/openmetrics-text") {
            return Ok(Format::OpenMetrics);
        }
        let lower = essence.to_ascii_lowercase();
        let foreign = ["html", "json", "xml", "protobuf"].iter().any(|word| lower.contains(word))
            || ["image/", "audio/", "video/"].iter().any(|start| lower.starts_with(start));
        if foreign {
            return Err(ExpositionError::NotMetrics { found: format!("content type {}", clean(essence, 64)) });
        }
        Ok(Format::Text)
    }
}

/// Bounds of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body.
    pub bytes: usize,
    /// Bytes of a line.
    pub line_bytes: usize,
    /// Labels of a sample, or of its exemplar.
    pub labels: usize,
    /// Samples, wanted or not.
    pub samples: usize,
    /// `# TYPE` lines.
    pub families: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 16 << 20, line_bytes: 64 << 10, labels: 128, samples: 200_000, families: 20_000 }
    }
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// Its name, with any suffix.
    pub name: Cow<'a, str>,
    /// Its labels in the page's order, names unique.
    pub labels: Labels<'a>,
    /// The number; NaN and infinities as they stand.
    pub value: f64,
    /// When it was taken, if the page says so: Unix milliseconds.
    pub timestamp: Option<i64>,
    /// The type of its family, declared before it.
    pub declared: Declared,
}

/// What a page held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Samples, wanted or not.
    pub samples: usize,
}

/// Reads a page and shows `visit` the samples whose name is `wanted`, in the page's order. On an error, whatever was
/// shown is to be forgotten.
pub fn parse<'a>(
    body: &'a [u8],
    format: Format,
    limits: &Limits,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(Line<'a>),
) -> Result<Summary, ExpositionError> {
    if body.len() > limits.bytes {
        return Err(ExpositionError::TooManyBytes { bytes: body.len(), limit: limits.bytes });
    }
    let first = body.trim_ascii_start().first();
    match first {
        Some(b'<') => return Err(ExpositionError::NotMetrics { found: "it begins like HTML or XML".to_owned() }),
        Some(b'[') => return Err(ExpositionError::NotMetrics { found: "it begins like JSON".to_owned() }),
        _ => {}
    }
    let text = std::str::from_utf8(body)
        .map_err(|e| ExpositionError::NotUtf8 { line: body[..=e.valid_up_to()].split(|b| *b == b'\n').count() })?;
    let names = Vec::with_capacity(16);
    let mut page = Page { format, limits, families: Families::default(), names, line: 0, samples: 0, ended: false };
    match page.read(text, wanted, visit) {
        // A quoted name may begin a page of metrics; what begins like one and is none is JSON.
        Err(ExpositionError::Malformed { .. }) if first == Some(&b'{') && page.samples == 0 => {
            Err(ExpositionError::NotMetrics { found: "it begins like JSON".to_owned() })
        }
        Err(error) => Err(error),
        Ok(()) => Ok(Summary { samples: page.samples }),
    }
}

/// Why a line ends the reading.
enum Stop {
    Fault(Fault),
    Limit(ExpositionError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

/// A page as far as it has been read.
struct Page<'a, 'l> {
    format: Format,
    limits: &'l Limits,
    families: Families<'a>,
    /// Label names of the present line, kept for its room.
    names: Vec<Cow<'a, str>>,
    line: usize,
    samples: usize,
    ended: bool,
}

impl<'a> Page<'a, '_> {
    fn read(
        &mut self,
        text: &'a str,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(Line<'a>),
    ) -> Result<(), ExpositionError> {
        let mut rest = text;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            self.line += 1;
            if line.len() > self.limits.line_bytes {
                return Err(ExpositionError::LineTooLong { line: self.line, limit: self.limits.line_bytes });
            }
            let read = match self.line_of(line) {
                Ok(Some(sample)) if wanted(&sample.name) => {
                    visit(sample);
                    Ok(())
                }
                other => other.map(|_| ()),
            };
            read.map_err(|stop| match stop {
                Stop::Limit(error) => error,
                Stop::Fault(fault) => fault.on_line(self.line, line),
            })?;
        }
        if self.format == Format::OpenMetrics && !self.ended {
            return Err(ExpositionError::Truncated { line: self.line });
        }
        Ok(())
    }

    /// One line; none: it holds no sample.
    fn line_of(&mut self, line: &'a str) -> Result<Option<Line<'a>>, Stop> {
        let mut cursor = Cursor::new(line, self.format == Format::OpenMetrics);
        if self.ended {
            return Err(cursor.fault("nothing may follow # EOF").into());
        }
        cursor.blanks();
        match cursor.peek() {
            None if self.format == Format::Text => Ok(None),
            Some(b'#') => self.comment(&mut cursor).map(|()| None),
            _ if line.ends_with('\r') => {
                Err(Fault { at: line.len() - 1, what: "lines end with a line feed alone" }.into())
            }
            _ => self.sample(&mut cursor).map(Some),
        }
    }

    /// A line that begins with `#`. Only 0.0.4 knows comments that say nothing.
    fn comment(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Stop> {
        let strict = self.format == Format::OpenMetrics;
        let start = cursor.clone();
        cursor.skip(1);
        let word = if cursor.gap() { cursor.word() } else { "" };
        match word {
            "EOF" if strict && cursor.peek().is_none() => {
                self.ended = true;
                return Ok(());
            }
            "HELP" | "TYPE" => {}
            "UNIT" if strict => {}
            _ if strict => return Err(start.fault("expected # HELP, # TYPE, # UNIT or # EOF").into()),
            _ => return Ok(()),
        }
        let more = cursor.gap() && cursor.peek().is_some();
        if !more && !strict {
            return Ok(());
        }
        let family = cursor.family_name()?;
        let at = cursor.clone();
        let says = if cursor.gap() { cursor.rest() } else { "" };
        match word {
            "TYPE" => {
                let kind = if strict { says } else { says.trim_end_matches([' ', '\t']) };
                let Some(declared) = Declared::parse(kind, self.format) else {
                    return Err(at.fault("expected a type of metric").into());
                };
                if !self.families.declare(family, declared, self.limits.families) {
                    return Err(Stop::Limit(ExpositionError::TooManyFamilies { limit: self.limits.families }));
                }
            }
            "UNIT" if !says.is_empty() && !family.strip_suffix(says).is_some_and(|stem| stem.ends_with('_')) => {
                return Err(at.fault("expected the unit that the metric's name ends in").into());
            }
            _ => {}
        }
        Ok(())
    }

    fn sample(&mut self, cursor: &mut Cursor<'a>) -> Result<Line<'a>, Stop> {
        let mut name = match cursor.peek() {
            Some(b'{') => None,
            _ => Some(Cow::Borrowed(cursor.metric_name()?)),
        };
        let mut labels = Labels::NONE;
        let before = cursor.clone();
        cursor.blanks();
        if cursor.eat(b'{') {
            labels = cursor.labels();
            let inner = self.label_pairs(cursor)?;
            name = match (name, inner) {
                (Some(_), Some(_)) => return Err(before.fault("expected labels without a second metric name").into()),
                (outer, inner) => outer.or(inner),
            };
        } else {
            *cursor = before.clone();
        }
        let Some(name) = name else { return Err(before.fault("expected a metric name").into()) };
        let closed = cursor.at() > before.at();
        if !cursor.gap() && (!closed || self.format == Format::OpenMetrics) {
            return Err(cursor.fault("expected a blank and a value").into());
        }
        let value = cursor.number("expected a value")?;
        let timestamp = self.timestamp(cursor)?;
        if self.samples >= self.limits.samples {
            return Err(Stop::Limit(ExpositionError::TooManySamples { limit: self.limits.samples }));
        }
        self.samples += 1;
        let declared = self.families.of(&name);
        Ok(Line { name, labels, value, timestamp, declared })
    }

    /// What stands between braces; gives a quoted metric name where there is one.
    fn label_pairs(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, str>>, Stop> {
        let mut metric = None;
        let mut ascending = true;
        self.names.clear();
        loop {
            let before = cursor.clone();
            let Some((name, value)) = cursor.pair()? else { return Ok(metric) };
            let name = name.text();
            if value.is_none() {
                if metric.is_some() || name.is_empty() {
                    return Err(before.fault("expected one metric name").into());
                }
                metric = Some(name);
                continue;
            }
            if self.names.len() >= self.limits.labels {
                return Err(Stop::Limit(ExpositionError::TooManyLabels { line: self.line, limit: self.limits.labels }));
            }
            if name.is_empty() || name == "__name__" {
                return Err(before.fault("expected a label name that is not reserved").into());
            }
            // Most servers sort their labels: then each name need only be compared with the one before it.
            let after_last = self.names.last().is_none_or(|last| *last < name);
            if !(ascending && after_last) && self.names.contains(&name) {
                return Err(before.fault("expected each label name once").into());
            }
            ascending &= after_last;
            self.names.push(name);
        }
    }

    /// The rest of a sample's line after its value.
    fn timestamp(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<i64>, Stop> {
        let mut timestamp = None;
        if self.format == Format::Text {
            if cursor.gap() && cursor.peek().is_some() {
                let before = cursor.clone();
                let milliseconds = cursor.word().parse().ok();
                timestamp = Some(milliseconds.ok_or_else(|| before.fault("expected a timestamp in milliseconds"))?);
                cursor.blanks();
            }
        } else if cursor.gap() {
            let mut more = true;
            if cursor.peek() != Some(b'#') {
                timestamp = Some(cursor.seconds()?);
                more = cursor.gap();
            }
            if more {
                self.exemplar(cursor)?;
            }
        }
        match cursor.peek() {
            None => Ok(timestamp),
            Some(_) => Err(cursor.fault("expected the end of the line").into()),
        }
    }

    /// Checked, then forgotten.
    fn exemplar(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Stop> {
        let before = cursor.clone();
        if !(cursor.eat(b'#') && cursor.gap() && cursor.eat(b'{')) {
            return Err(before.fault("expected an exemplar").into());
        }
        if self.label_pairs(cursor)?.is_some() || !cursor.gap() {
            return Err(before.fault("expected labels and a value in the exemplar").into());
        }
        cursor.number("expected the exemplar's value")?;
        if cursor.gap() {
            cursor.seconds()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
