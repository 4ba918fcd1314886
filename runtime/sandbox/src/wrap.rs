//! From a core module to a component.
//!
//! For: authors who have a compiler and nothing else. The contract's world is added where the module does not carry one,
//! then the module is wrapped. Never adds an adapter: a module that wants a system interface is refused by name before
//! it comes here (a stub adapter would be handed to the encoder in `Contract::wrap`).

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use crate::refusal::{Refusal, Stage};
use crate::text::clean;

/// The text of `wit/policy.wit`, as compiled in.
pub(crate) const POLICY_WIT: &str = include_str!("../../../wit/policy.wit");

/// The parsed contract.
pub(crate) struct Contract {
    resolve: Resolve,
    world: WorldId,
}

impl Contract {
    /// Parses the built-in contract. Fails only in a broken build.
    pub(crate) fn parse() -> Result<Self, String> {
        let mut resolve = Resolve::default();
        let package = resolve.push_source("policy.wit", POLICY_WIT).map_err(|e| format!("{e:#}"))?;
        let world = resolve.select_world(&[package], Some("scaling-policy")).map_err(|e| format!("{e:#}"))?;
        Ok(Contract { resolve, world })
    }

    /// The module as a component. `typed`: it carries a world of its own.
    pub(crate) fn wrap(&self, module: &[u8], typed: bool, max_text: usize) -> Result<Vec<u8>, Refusal> {
        let mut module = module.to_vec();
        let embedded = if typed {
            Ok(())
        } else {
            embed_component_metadata(&mut module, &self.resolve, self.world, StringEncoding::UTF8, false)
        };
        embedded.and_then(|()| ComponentEncoder::default().validate(true).module(&module)?.encode()).map_err(|error| {
            Refusal::new(Stage::Link, "not-a-policy", clean(&format!("{error:#}"), max_text)).hint(
                "the module must export the contract's functions under their canonical names and signatures, a \
                     `memory` and `cabi_realloc`; see docs/abi.md",
            )
        })
    }
}
