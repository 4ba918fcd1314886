//! The two forms of the page, and which one a scraper wants.
//!
//! For: scrapers that know only the Prometheus text format, and `promtool`. Never changes a number or a label.

/// A form of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format 0.0.4: what everybody reads, and the default.
    Prometheus,
    /// `OpenMetrics` 1.0.0, for those that ask for it.
    OpenMetrics,
}

impl Format {
    /// The form that an `Accept` header asks for. `OpenMetrics` where it is named and not liked less than plain text.
    #[must_use]
    pub fn wanted(accept: &str) -> Format {
        let (mut plain, mut open) = (0.0_f32, 0.0_f32);
        for part in accept.split(',') {
            let mut fields = part.split(';').map(str::trim);
            let kind = fields.next().unwrap_or_default();
            let weight = fields.find_map(|f| f.strip_prefix("q=")).map_or(1.0_f32, |q| q.parse().unwrap_or(0.0));
            if kind.eq_ignore_ascii_case("application/openmetrics-text") {
                open = weight.max(open);
            } else if kind.eq_ignore_ascii_case("text/plain") {
                plain = weight.max(plain);
            }
        }
        if open > 0.0 && open >= plain { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// The `Content-Type` of the page.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// An `OpenMetrics` page of ours in the older form: there a counter's family is named as its samples are, and units and
/// the closing line are unknown.
pub(super) fn as_prometheus(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut help = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                out.extend(["# HELP ", name, suffix, " ", text, "\n"]);
            }
            out.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            out.extend([line, "\n"]);
        }
    }
    out
}
