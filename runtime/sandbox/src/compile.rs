//! From component bytes to machine code.
//!
//! For: the one seam where compiling happens. Today it runs in this process and takes one core; a child process with
//! limits of its own, and a cache that only the host can write, slot in behind the same signature. Never accepts code
//! that somebody else compiled.

use wasmtime::component::Component;

use crate::engine::Host;
use crate::refusal::{Refusal, Stage};
use crate::text::clean;

/// Validates and compiles. `wasm` is a component, already inspected.
pub(crate) fn compile(host: &Host, wasm: &[u8]) -> Result<Component, Refusal> {
    Component::from_binary(&host.engine, wasm).map_err(|error| {
        let text = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        Refusal::new(Stage::Compile, "invalid", clean(&text, host.limits.text_bytes))
            .hint("build it again; threads, 64-bit memories, exceptions and async are not available to policies")
    })
}
