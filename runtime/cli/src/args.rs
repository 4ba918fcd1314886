//! Values that several verbs take: workloads, durations, `POOL=N`.
//!
//! For: reading one argument each, with a message that says how it is written. Never reads files.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A workload, written `NS/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    /// The tenant.
    pub(crate) namespace: String,
    /// Its name there.
    pub(crate) name: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Workload, String> {
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Workload { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            None if is_name(text) => Err(format!("write NAMESPACE/NAME; without a namespace it is `default/{text}`")),
            _ => Err("write NAMESPACE/NAME in lower-case letters, digits and dashes, such as `team-a/chat`".to_owned()),
        }
    }
}

/// What Kubernetes takes as a name, which is also what can stand in a URL without escapes.
fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    !text.is_empty() && text.len() <= 253 && text.bytes().all(inner) && !text.starts_with(['-', '.'])
}

/// A duration as manifests write it: `250ms`, `15s`, `5m`, `1h`, also `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write a number and a unit, such as 250ms, 15s, 5m or 1h30m");
    let mut rest = text;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let tail = &rest[digits..];
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let unit_ms = match &tail[..unit_len] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        total_ms = count.checked_mul(unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(wrong)?;
        rest = &tail[unit_len..];
    }
    if text.is_empty() {
        return Err(wrong());
    }
    if total_ms == 0 { Err(format!("`{text}` must be more than 0")) } else { Ok(Duration::from_millis(total_ms)) }
}

/// `POOL=N`: so many serving replicas in that pool.
pub(crate) fn pool_count(text: &str) -> Result<(String, u32), String> {
    let wrong = || format!("`{text}` is not POOL=N, such as default=4");
    let (pool, count) = text.split_once('=').ok_or_else(wrong)?;
    if !is_name(pool) {
        return Err(wrong());
    }
    Ok((pool.to_owned(), count.parse().map_err(|_| wrong())?))
}
