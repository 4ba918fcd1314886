//! From component bytes to machine code.
//!
//! For: the one seam where compiling happens. Today it runs in this process and takes one core; a child process with
//! limits of its own, and a cache that only the host can write, slot in behind the same signature. Never accepts code
//! that somebody else compiled.

use wasmtime::component::Component;

use crate::admit::TOO_COMPLEX;
use crate::engine::Host;
use crate::refusal::{Refusal, Stage};
use crate::text::clean;

/// The fix for what is too complex.
const SIMPLER: &str = "compose it of fewer modules, with fewer memories and smaller tables";

/// Validates and compiles. `wasm` is a component, already inspected.
pub(crate) fn compile(host: &Host, wasm: &[u8]) -> Result<Component, Refusal> {
    Component::from_binary(&host.engine, wasm).map_err(|error| {
        let text = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        // The pool's words on what it has no room for; without a pool the limiter says so.
        if text.contains("pooling allocator") {
            let message = clean(&format!("it has more parts than a policy may have: {text}"), host.limits.text_bytes);
            return Refusal::new(Stage::Compile, TOO_COMPLEX, message).hint(SIMPLER);
        }
        Refusal::new(Stage::Compile, "invalid", clean(&text, host.limits.text_bytes))
            .hint("build it again; threads, 64-bit memories, exceptions and async are not available to policies")
    })
}
