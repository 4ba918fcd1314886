//! The daemon's own metrics: names, labels, and one method for each thing that happens.
//!
//! For: `/metrics`. Labels are bounded: names from manifests and policies' file names, and codes of ours; never text of a
//! guest or of a server.

/// All of them.
#[derive(Debug, Default)]
pub struct Metrics {}
