//! Why a page is refused.
//!
//! For: one message that says where and what, and a code for counting. Never carries a page's text unescaped or whole.

/// Why a page is refused. Text of the page in it is escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionError {
    /// The body is something else.
    #[error(
        "this is no page of metrics ({found}); point the path at one, served as text/plain or application/openmetrics-text"
    )]
    NotMetrics {
        /// How one can tell.
        found: String,
    },
    /// Bytes that are no UTF-8.
    #[error("line {line}: bytes that are not UTF-8")]
    NotUtf8 {
        /// From 1.
        line: usize,
    },
    /// A line that the format does not know.
    #[error("line {line}, column {column}: {what}, found \"{excerpt}\"")]
    Malformed {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What was expected.
        what: &'static str,
        /// What stands there instead.
        excerpt: String,
    },
    /// An OpenMetrics page without its last line.
    #[error("the page ends after line {line} without # EOF: the answer was cut off")]
    Truncated {
        /// The last line, from 1.
        line: usize,
    },
    /// See [`super::Limits::bytes`].
    #[error("the page has {bytes} bytes, more than {limit}")]
    TooManyBytes {
        /// Its size.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// See [`super::Limits::line_bytes`].
    #[error("line {line} is longer than {limit} bytes")]
    LineTooLong {
        /// From 1.
        line: usize,
        /// The most.
        limit: usize,
    },
    /// See [`super::Limits::labels`].
    #[error("line {line} has more than {limit} labels")]
    TooManyLabels {
        /// From 1.
        line: usize,
        /// The most.
        limit: usize,
    },
    /// See [`super::Limits::samples`].
    #[error("the page has more than {limit} samples")]
    TooManySamples {
        /// The most.
        limit: usize,
    },
    /// See [`super::Limits::families`].
    #[error("the page has more than {limit} # TYPE lines")]
    TooManyFamilies {
        /// The most.
        limit: usize,
    },
}

impl ExpositionError {
    /// A code of [`crate::source::ReadError`].
    pub fn code(&self) -> &'static str {
        match self {
            ExpositionError::NotMetrics { .. } => "not-metrics",
            ExpositionError::NotUtf8 { .. } | ExpositionError::Malformed { .. } | ExpositionError::Truncated { .. } => {
                "parse"
            }
            ExpositionError::TooManyBytes { .. }
            | ExpositionError::LineTooLong { .. }
            | ExpositionError::TooManyLabels { .. }
            | ExpositionError::TooManySamples { .. }
            | ExpositionError::TooManyFamilies { .. } => "too-large",
        }
    }
}
