//! The I/O shell of the daemon: sources, targets, the clock, the store and the loop.
//!
//! For: everything that touches the world on behalf of the control core. Never does arithmetic on replica counts.

pub mod admin;
pub mod client;
pub mod clock;
pub mod daemon;
pub mod exposition;
mod hints;
pub mod journal;
pub mod manifest;
pub mod metrics;
pub mod modules;
pub mod presets;
pub mod scrape;
pub mod source;
pub mod stages;
pub mod store;
pub mod target;
pub mod tenants;
