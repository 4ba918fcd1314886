//! The I/O shell of the daemon.
//!
//! For: everything that touches the world on behalf of the control core. Never does arithmetic on replica counts.

pub mod client;
pub mod presets;
pub mod source;
