//! The I/O shell of the daemon: sources, targets, the clock and the store.
//!
//! For: everything that touches the world on behalf of the control core. Never does arithmetic on replica counts.

pub mod client;
pub mod clock;
pub mod manifest;
pub mod modules;
pub mod presets;
pub mod source;
pub mod store;
pub mod target;
