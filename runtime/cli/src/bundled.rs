//! The policies inside the binary.
//!
//! For: a daemon, a demo and author's tools that work without any file. Never newer or older than the source beside
//! them: continuous integration rebuilds them.

/// Name and module of each.
pub(crate) const POLICIES: &[(&str, &[u8])] = &[
    ("burst-forecast", include_bytes!("../../../policies/burst-forecast/burst-forecast.wasm")),
    ("concurrency", include_bytes!("../../../policies/concurrency/concurrency.wasm")),
    ("cooldown", include_bytes!("../../../policies/cooldown/cooldown.wasm")),
    ("queue-depth", include_bytes!("../../../policies/queue-depth/queue-depth.wasm")),
    ("schedule", include_bytes!("../../../policies/schedule/schedule.wasm")),
    ("warm-buffer", include_bytes!("../../../policies/warm-buffer/warm-buffer.wasm")),
];

/// The module of that name.
pub(crate) fn policy(name: &str) -> Option<&'static [u8]> {
    POLICIES.iter().find(|(known, _)| *known == name).map(|(_, module)| *module)
}
