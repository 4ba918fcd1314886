//! Write scaling policies for Trimtab in Rust.
//!
//! For: authors of policies. Implement [`Policy`], name the type in [`export!`], build for `wasm32-unknown-unknown`:
//! the result is a module that imports nothing but the host's `log`. The same code runs natively, so policies are
//! tested with plain `cargo test`; there, log lines go to standard error.
//!
//! Never here: a clock, randomness, files, the network. What a policy may know is in its [`Observation`].
//!
//! ```
//! use serde::Deserialize;
//! use trimtab_sdk::{Decision, Need, Observation, Policy, Refusal};
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
//! struct Config {
//!     perReplica: f64,
//! }
//! impl Default for Config {
//!     fn default() -> Config {
//!         Config { perReplica: 4.0 }
//!     }
//! }
//!
//! struct ByQueue;
//! impl Policy for ByQueue {
//!     type Config = Config;
//!     type State = ();
//!     const NAME: &'static str = "by-queue";
//!     const VERSION: &'static str = "0.1.0";
//!     const SUMMARY: &'static str = "One replica for so many waiting requests.";
//!     const SCHEMA: &'static str = r#"{"type":"object","properties":{"perReplica":{"type":"number"}}}"#;
//!
//!     fn prepare(_: &Config) -> Result<Vec<Need>, Refusal> {
//!         Ok(vec![Need::required("queue-depth")])
//!     }
//!
//!     fn decide(config: &Config, seen: &Observation, _: &mut ()) -> Result<Decision, Refusal> {
//!         let waiting = seen.value("queue-depth").ok_or_else(|| Refusal::missing_metric("queue-depth"))?;
//!         let replicas = trimtab_sdk::replicas(waiting / config.perReplica);
//!         Ok(Decision::because(format!("{waiting} requests wait")).serving(&seen.pools[0].name, replicas))
//!     }
//! }
//! trimtab_sdk::export!(ByQueue);
//! ```

#[cfg(all(target_family = "wasm", feature = "arena"))]
#[doc(hidden)]
pub mod arena;
#[allow(unsafe_code, unused, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used, rust_2018_idioms)]
#[rustfmt::skip]
#[doc(hidden)]
pub mod bindings; // generated; `unsafe` is the canonical ABI's
mod answer;
pub mod config;
mod entry;
pub mod load;
pub mod log;
mod observation;
pub mod series;

pub use crate::answer::replicas;
pub use crate::bindings::trimtab::policy::types::{
    Decision, Description, Issue, Labels, MetricNeed as Need, Millis, Observation, PolicyError as Refusal, Pool,
    Preparation, Series, Target,
};
pub use crate::config::Span;
#[doc(hidden)]
pub use crate::entry::Guest;
pub use crate::log::Level;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A scaling policy: a pure function from configuration, observation and state to a decision and new state.
pub trait Policy {
    /// The configuration, read from the manifest's JSON. Give it `#[serde(default, deny_unknown_fields)]`: a policy
    /// should work without any configuration, and a misspelt key should be an error.
    type Config: DeserializeOwned;
    /// What the policy remembers from one decision to the next, at most 64 KiB. `()`: nothing.
    type State: Serialize + DeserializeOwned + Default;

    /// Lower-case letters, digits and dashes.
    const NAME: &'static str;
    /// The policy's version, free text.
    const VERSION: &'static str;
    /// One line: what it is for.
    const SUMMARY: &'static str;
    /// JSON Schema of the configuration, usually `include_str!("../schema.json")`.
    const SCHEMA: &'static str;
    /// Raise it when an older state can no longer be read: the host then starts the new version with an empty one.
    const STATE_VERSION: u32 = 1;

    /// Checks what the schema cannot say, and declares the inputs this configuration leads to (at most 32).
    fn prepare(config: &Self::Config) -> Result<Vec<Need>, Refusal>;

    /// One decision. Changes of `state` are kept only when an answer is given. A pool and tier that the decision does
    /// not name keeps the proposal it came with.
    fn decide(config: &Self::Config, seen: &Observation, state: &mut Self::State) -> Result<Decision, Refusal>;

    /// Reads a state that [`Policy::write_state`] wrote. JSON, unless a policy has a form of its own, which pays where the
    /// state is large or all numbers.
    fn read_state(bytes: &[u8]) -> Result<Self::State, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// The bytes that the host keeps, at most 64 KiB. Equal states must give equal bytes.
    fn write_state(state: &Self::State) -> Result<Vec<u8>, String> {
        serde_json::to_vec(state).map_err(|error| error.to_string())
    }
}

/// Makes the type that implements [`Policy`] the policy of this module. Once in a crate; does nothing natively.
#[macro_export]
macro_rules! export {
    ($policy:ident) => {
        #[cfg(target_family = "wasm")]
        mod trimtab_guest {
            $crate::install_arena!();
            type Exported = $crate::Guest<super::$policy>;
            $crate::bindings::export_bindings!(Exported with_types_in $crate::bindings);
        }
    };
}

/// The global allocator of a guest, where the SDK brings it.
#[cfg(feature = "arena")]
#[doc(hidden)]
#[macro_export]
macro_rules! install_arena {
    () => {
        #[global_allocator]
        static ARENA: $crate::arena::Arena = $crate::arena::Arena::new();
    };
}

/// Without the feature `arena` the crate's own choice, or Rust's default, stands.
#[cfg(not(feature = "arena"))]
#[doc(hidden)]
#[macro_export]
macro_rules! install_arena {
    () => {};
}
