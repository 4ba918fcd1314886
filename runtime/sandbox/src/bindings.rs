//! Host bindings of the contract, generated from `wit/`.
//!
//! For: typed calls into exports and of imports. Never edited by hand, never seen outside this crate.
#![allow(unsafe_code, reason = "generated: the derive macros implement wasmtime's unsafe lifting traits")]
#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "trimtab:policy/scaling-policy",
    imports: { default: trappable },
});
