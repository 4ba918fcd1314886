//! One simulated inference replica in real time behind HTTP, and the client that loads a fleet of replicas.
//!
//! For: `trimtab engine` ([`server::serve`]) and `trimtab load` ([`load::run`]); `demo` and the end-to-end tests are made
//! of the two. What takes how long is decided by `trimtab-sim`; this crate gives it a clock and sockets.
//!
//! Never: knows the daemon's code (it reads its endpoints over HTTP as anyone would), or invents a latency of its own.

pub mod load;
pub mod server;

pub use server::{EngineOptions, serve};
pub use trimtab_sim::{Profile, Startup, profile};
