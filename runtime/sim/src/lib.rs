//! One inference replica as pure data and arithmetic, advanced by discrete events.
//!
//! For: what `trimtab engine` serves behind HTTP in real time, and what simulated fleets are made of. The coefficients
//! are fitted to measured operator latencies of real GPUs ([`profile`]); everything here is a function of its inputs.
//!
//! Never: reads a clock, the environment, files or entropy, starts a thread, or iterates in hash order. The only source
//! of randomness is the seed a caller passes in ([`draw`]): same inputs, same events, on every machine.

pub mod draw;
pub mod kv;
pub mod moment;
pub mod profile;
pub mod replica;
pub mod startup;
pub mod step;

pub use moment::Moment;
pub use profile::Profile;
pub use replica::{Replica, Request, RequestId};
pub use startup::Startup;
