//! The harness of the end-to-end tests: a daemon as a child process, real and scripted peers on real sockets, and
//! patience.
//!
//! For: tests below `tests/` and the measuring programs below `bench/`. Everything goes over the wire, as a user's
//! would; nothing here links the product. Never leaves a process behind, also when a test fails.

// A test that cannot set itself up has failed, and says where.
#![allow(clippy::unwrap_used)]

pub mod corpus;
pub mod daemon;
pub mod figures;
pub mod http;
pub mod load;
pub mod place;
pub mod policies;
pub mod ports;
pub mod processes;
pub mod replica;
pub mod serve;
pub mod storm;
pub mod views;
pub mod wait;
pub mod webhook;
