//! The control core: a deterministic state machine that turns samples into decisions.
//!
//! For: everything that decides how many replicas there should be. The daemon, the simulator and the replay all run this
//! code. Never does I/O, reads a clock, uses entropy, spawns a thread, logs or fails: a missing metric, a policy's fault
//! and a clamp are values. Same inputs, same bytes out.

pub mod arbiter;
pub mod check;
pub mod command;
pub mod config;
pub mod controller;
pub mod decision;
mod guardrails;
pub mod journal;
pub mod pipeline;
pub mod policy;
pub mod sample;
pub mod saved;
pub mod series;
pub mod signals;
pub mod starts;
pub mod status;
pub mod time;

pub use arbiter::Arbiter;
pub use controller::{CommandError, Controller, Slot, Tripped};
pub use saved::{Saved, SavedFacts, SavedState};
pub use status::Status;
