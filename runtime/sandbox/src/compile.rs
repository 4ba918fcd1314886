//! From a module's bytes to machine code that runs here.
//!
//! For: the one way to a `Component`: what was compiled before and kept, else a child process with limits of its own,
//! so that no module can keep this one busy, fill its memory or take it down. Never accepts code that somebody else
//! compiled.

mod child;
mod parent;

use std::borrow::Cow;

use wasmtime::component::Component;

pub use child::compile_child;

use crate::admit::TOO_COMPLEX;
use crate::cache::load_code;
use crate::engine::Host;
use crate::inspect::{Inspection, Kind, inspect};
use crate::limits::{Compiler, Limits};
use crate::refusal::{Refusal, Stage};
use crate::text::clean;
use crate::wrap::Contract;

/// What came of a module when it was compiled before; none: it was not, or that is not known any more.
pub(crate) fn known(host: &Host, digest: &str, limits: &Limits) -> Option<Result<Component, Refusal>> {
    let cache = host.kept()?;
    cache.load(&host.engines, digest).map(Ok).or_else(|| cache.refusal(digest, limits).map(Err))
}

/// Compiles a module that was inspected, and remembers what came of it.
pub(crate) fn compile(
    host: &Host,
    bytes: &[u8],
    inspection: &Inspection,
    typed: bool,
    limits: &Limits,
) -> Result<Component, Refusal> {
    let compiled = make(host, bytes, inspection, typed, limits);
    if let (Err(refusal), Some(cache)) = (&compiled, host.kept()) {
        cache.refuse(&inspection.digest, limits, refusal);
    }
    compiled
}

fn make(
    host: &Host,
    bytes: &[u8],
    inspection: &Inspection,
    typed: bool,
    limits: &Limits,
) -> Result<Component, Refusal> {
    let code = match &host.compiler {
        Compiler::InProcess => {
            let wasm = as_component(&host.contract, bytes, inspection.kind, typed, limits)?;
            host.engines.lean.precompile_component(&wasm).map_err(|error| invalid(&error, limits))?
        }
        Compiler::Child(command) => parent::compile(command, bytes, host.bounds, limits)?,
    };
    if let Some(component) = host.kept().and_then(|cache| cache.keep(&host.engines, &inspection.digest, &code)) {
        return Ok(component);
    }
    // The compiler is this program: what it made does not load only where the engine itself refuses it.
    host.engines.place(|engine| load_code(engine, &code)).map_err(|error| invalid(&error, limits))
}

/// A component as it is, a core module wrapped.
pub(crate) fn as_component<'a>(
    contract: &Contract,
    bytes: &'a [u8],
    kind: Kind,
    typed: bool,
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, Refusal> {
    if kind == Kind::Component {
        return Ok(bytes.into());
    }
    let wrapped = contract.wrap(bytes, typed, limits.text_bytes)?;
    // The module's own world may import what its sections did not show.
    inspect(&wrapped, limits)?;
    Ok(wrapped.into())
}

/// The fix for what is too complex.
const SIMPLER: &str = "compose it of fewer modules, with fewer memories and smaller tables";

fn invalid(error: &wasmtime::Error, limits: &Limits) -> Refusal {
    let text = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // The pool's words on what it has no room for; without a pool the limiter says so.
    if text.contains("pooling allocator") {
        let message = clean(&format!("it has more parts than a policy may have: {text}"), limits.text_bytes);
        return Refusal::new(Stage::Compile, TOO_COMPLEX, message).hint(SIMPLER);
    }
    Refusal::new(Stage::Compile, "invalid", clean(&text, limits.text_bytes))
        .hint("build it again; threads, 64-bit memories, exceptions and async are not available to policies")
}
