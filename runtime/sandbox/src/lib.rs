//! The Wasm host: admits policy modules, and calls them inside limits they cannot reach.
//!
//! For: turning bytes that somebody dropped into a folder into something that `trimtab-control` can call. Everything a
//! policy can do to its host is bounded here: time, memory, stack, what it hands back, what it logs. A fresh instance
//! serves every call, so nothing survives one but the state that the host keeps. Bytes come in, values go out: its own
//! cache is the only folder it reads, and the child that compiles the only process it starts.
//!
//! To audit the sandbox, read in this order: `limits.rs` (every number), `engine.rs` (what Wasm features exist),
//! `inspect.rs` and `wrap.rs` (what is refused before it is compiled), `compile.rs` with `compile/` (the child and its
//! bounds), `cache.rs` with `cache/` (what is loaded as machine code, and why), `admit.rs` (the stages), `guest.rs`
//! (one call: store, deadline, instance, export), `deadline.rs`, `ticker.rs`, `memory.rs`, `guest_log.rs` (the bounds
//! at work), `answer.rs` and `needs.rs` (what is believed of an answer). The rest translates.

mod admit;
mod answer;
mod bindings;
mod cache;
mod compile;
mod convert;
mod deadline;
mod description;
mod engine;
mod guest;
mod guest_log;
mod inspect;
mod limits;
mod memory;
mod needs;
#[doc(hidden)]
pub mod probe;
mod refusal;
mod schema;
mod synthetic;
mod text;
mod ticker;
mod wrap;

use std::sync::Arc;

pub use admit::Admitted;
pub use cache::CacheError;
pub use compile::compile_child;
pub use description::Description;
pub use inspect::{Inspection, Kind, digest_of};
pub use limits::{Allocator, Bounds, Compiler, Controls, Limits, SandboxConfig};
pub use refusal::{ConfigIssue, Refusal, Stage};
pub use synthetic::observation as synthetic_observation;
pub use text::clean;

/// Why there is no sandbox at all.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine refused its configuration, or the pool's address space could not be reserved.
    #[error("the Wasm engine cannot start: {0} (with the pooling allocator this is mostly a limit on address space)")]
    Engine(String),
    /// The ticker's thread could not be started.
    #[error("the ticker thread cannot start")]
    Ticker(#[source] std::io::Error),
    /// The contract that is built in does not parse: a broken build.
    #[error("the built-in contract is broken: {0}")]
    Contract(String),
}

/// The host of all policies of a process. Cheap to clone; calls may come from any thread.
#[derive(Clone)]
pub struct Sandbox {
    host: Arc<engine::Host>,
}

impl Sandbox {
    /// A host with these limits. Starts the ticker's thread, which sleeps while no call is in flight.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        Ok(Sandbox { host: Arc::new(engine::Host::new(config)?) })
    }

    /// Admits a module under the sandbox's own limits: see [`Sandbox::admit_under`].
    pub fn admit(&self, bytes: &[u8]) -> Result<Admitted, Refusal> {
        self.admit_under(bytes, &self.host.limits)
    }

    /// Admits a module: inspect, imports, compile, link, `describe`. Takes as long as compiling does, so never call it
    /// where a tick waits. What depends on a configuration is checked on the result.
    pub fn admit_under(&self, bytes: &[u8], limits: &Arc<Limits>) -> Result<Admitted, Refusal> {
        let unknown = || Err(Refusal::new(Stage::Compile, "host", "it was not compiled"));
        admit::admit(&self.host, bytes, limits, true).unwrap_or_else(unknown)
    }

    /// What comes of a module that need not be compiled: because it was before, or is refused before that. None: it
    /// must be.
    pub fn admit_known(&self, bytes: &[u8], limits: &Arc<Limits>) -> Option<Result<Admitted, Refusal>> {
        admit::admit(&self.host, bytes, limits, false)
    }

    /// Why machine code is not kept, where it should be.
    pub fn cache_problem(&self) -> Option<&CacheError> {
        self.host.cache.as_ref().err()
    }

    /// What can be said of a module without compiling it.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection, Refusal> {
        inspect::inspect(bytes, &self.host.limits).map(|(inspection, _)| inspection)
    }

    /// A core module as the component that `admit` would make of it; a component as it is. For those who build modules.
    pub fn componentize(&self, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let limits = &self.host.limits;
        let (inspection, typed) = inspect::inspect(bytes, limits)?;
        compile::as_component(&self.host.contract, bytes, inspection.kind, typed, limits)
            .map(std::borrow::Cow::into_owned)
    }

    /// The limits of what is given no others.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.host.limits
    }

    /// Calls in flight now, in all threads.
    pub fn calls_in_flight(&self) -> usize {
        self.host.ticker.in_flight()
    }
}

#[cfg(test)]
mod tests;
