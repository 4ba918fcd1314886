//! STAND-IN until the real mapping lands: bare `name value` lines.

use std::sync::Arc;

use trimtab_control::sample::{Origin, Reading, Sample};
use trimtab_control::time::Time;

use super::{EngineSpec, ExpositionSpec};

/// Stand-in.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PageError {
    /// Stand-in.
    pub code: &'static str,
    /// Stand-in.
    pub message: String,
}

fn lines(body: &[u8], content_type: Option<&str>) -> Result<Vec<(String, f64)>, PageError> {
    if content_type.is_some_and(|t| t.starts_with("text/html")) {
        return Err(PageError { code: "not-metrics", message: "this is HTML".into() });
    }
    Ok(String::from_utf8_lossy(body)
        .lines()
        .filter_map(|l| l.split_once(' '))
        .filter_map(|(n, v)| Some((n.to_owned(), v.parse().ok()?)))
        .collect())
}

/// Stand-in.
pub fn engine_samples(
    body: &[u8],
    content_type: Option<&str>,
    spec: &EngineSpec,
    pool: &Arc<str>,
    replica: &Arc<str>,
    at: Time,
) -> Result<Vec<Sample>, PageError> {
    let found = lines(body, content_type)?;
    let rows = spec.preset.rows.iter();
    Ok(rows
        .filter_map(|row| {
            let (_, value) = found.iter().find(|(name, _)| row.metrics.contains(&name.as_str()))?;
            Some(Sample {
                origin: Origin::Replica { pool: pool.clone(), replica: replica.clone() },
                signal: row.signal.into(),
                labels: vec![],
                at,
                reading: Reading::Gauge(*value),
            })
        })
        .collect())
}

/// Stand-in.
pub fn page_samples(
    body: &[u8],
    content_type: Option<&str>,
    spec: &ExpositionSpec,
    at: Time,
) -> Result<Vec<Sample>, PageError> {
    let found = lines(body, content_type)?;
    let signals = spec.signals.iter();
    Ok(signals
        .filter_map(|signal| {
            let (_, value) = found.iter().find(|(name, _)| *name == signal.metric)?;
            Some(Sample {
                origin: Origin::Query,
                signal: signal.name.as_str().into(),
                labels: vec![],
                at,
                reading: Reading::Gauge(*value),
            })
        })
        .collect())
}
