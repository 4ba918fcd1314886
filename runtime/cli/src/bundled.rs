//! The policies inside the binary.
//!
//! For: a daemon, a demo and author's tools that work without any file. Never newer or older than the source beside
//! them: continuous integration rebuilds them.

/// Name and module of each.
pub(crate) const POLICIES: &[(&str, &[u8])] = &[];

/// The module of that name.
pub(crate) fn policy(name: &str) -> Option<&'static [u8]> {
    POLICIES.iter().find(|(known, _)| *known == name).map(|(_, module)| *module)
}
