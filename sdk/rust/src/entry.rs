//! From the contract's three functions to a [`Policy`]: reads configuration and state, calls, writes the state.
//!
//! For: `export!`. Never sees what a policy decides on.

use std::marker::PhantomData;

use crate::bindings::exports::trimtab::policy::policy as contract;
use crate::{Decision, Description, Observation, Policy, Preparation, Refusal, config};

/// A policy as the contract wants it.
pub struct Guest<P>(PhantomData<P>);

impl<P: Policy> contract::Guest for Guest<P> {
    fn describe() -> Description {
        Description {
            name: P::NAME.into(),
            version: P::VERSION.into(),
            summary: P::SUMMARY.into(),
            config_schema: P::SCHEMA.into(),
            state_version: P::STATE_VERSION,
            attributes: Vec::new(),
        }
    }

    fn prepare(config: String) -> Result<Preparation, Refusal> {
        let needs = P::prepare(&config::read(&config)?)?;
        Ok(Preparation { needs, attributes: Vec::new() })
    }

    fn decide(config: String, observation: Observation, state: Vec<u8>) -> Result<Decision, Refusal> {
        let mut memory = read_state::<P>(&state)?;
        let mut decision = P::decide(&config::read(&config)?, &observation, &mut memory)?;
        let written = P::write_state(&memory).map_err(|e| Refusal::other(format!("the state: {e}")))?;
        // What says nothing new is not sent: a policy without state never has one.
        let nothing_yet = state.is_empty() && written == b"null";
        decision.state = (written != state && !nothing_yet).then_some(written);
        Ok(decision)
    }
}

fn read_state<P: Policy>(state: &[u8]) -> Result<P::State, Refusal> {
    if state.is_empty() {
        return Ok(P::State::default());
    }
    P::read_state(state).map_err(|error| Refusal {
        code: "bad-state".into(),
        message: format!("the stored state cannot be read: {error}"),
        issues: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Need;
    use contract::Guest as _;

    struct Counts;
    impl Policy for Counts {
        type Config = std::collections::BTreeMap<String, u32>;
        type State = u32;
        const NAME: &'static str = "counts";
        const VERSION: &'static str = "1";
        const SUMMARY: &'static str = "";
        const SCHEMA: &'static str = "";
        fn prepare(_: &Self::Config) -> Result<Vec<Need>, Refusal> {
            Ok(vec![Need::optional("x")])
        }
        fn decide(_: &Self::Config, _: &Observation, state: &mut u32) -> Result<Decision, Refusal> {
            *state = 3.min(*state + 1);
            Ok(Decision::because("counted"))
        }
    }

    #[test]
    fn state_goes_round_and_is_sent_only_when_it_changed() {
        let call = |state: &[u8]| Guest::<Counts>::decide(String::new(), Observation::default(), state.to_vec());
        assert_eq!(call(b"").unwrap().state.as_deref(), Some(&b"1"[..]));
        assert_eq!(call(b"1").unwrap().state.as_deref(), Some(&b"2"[..]));
        assert_eq!(call(b"3").unwrap().state, None);
        assert_eq!(call(b"{").unwrap_err().code, "bad-state");
    }

    #[test]
    fn prepare_refuses_what_it_cannot_read() {
        assert_eq!(Guest::<Counts>::prepare("{}".into()).unwrap().needs.len(), 1);
        assert_eq!(Guest::<Counts>::prepare("[".into()).unwrap_err().code, "bad-config");
    }
}
