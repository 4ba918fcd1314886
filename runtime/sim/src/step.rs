//! How long one engine iteration takes.
//!
//! For: `t = a + b*B + c*K + p*n + q*n^2 + 2*q*n*done`, the cost of a step that decodes `B` sequences holding `K` tokens
//! of KV cache and prefills chunks of `n` tokens behind `done` tokens already in the cache (attention of a chunk to what
//! precedes it makes the last term; summed over chunks the prompt costs `p*N + q*N^2` however it was cut).
//! Never knows what a request is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The coefficients of one model on one kind of replica.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// `a`: milliseconds of any step (weights are read once whatever the batch).
    pub base_ms: f64,
    /// `b`: microseconds for each decoding sequence.
    pub per_sequence_us: f64,
    /// `c`: nanoseconds for each KV token attended to by decoding sequences.
    pub per_kv_token_ns: f64,
    /// `p`: microseconds for each prompt token.
    pub per_prompt_token_us: f64,
    /// `q`: nanoseconds for each squared prompt token.
    pub per_prompt_token_squared_ns: f64,
}

/// What one step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepWork {
    /// Sequences that produce their next token.
    pub decoding: u32,
    /// KV tokens those sequences hold, the one being computed included.
    pub kv_tokens: u64,
    /// Prompt tokens computed, over all chunks.
    pub prompt_tokens: u64,
    /// Sum over chunks of `n^2 + 2*n*done`, in squared tokens.
    pub prompt_tokens_squared: u64,
}

impl StepWork {
    /// Adds a sequence that decodes one token with `kv_tokens` in its cache, that one included.
    pub fn decode(&mut self, kv_tokens: u32) {
        self.decoding += 1;
        self.kv_tokens += u64::from(kv_tokens);
    }

    /// Adds a prefill chunk of `n` tokens behind `done` tokens already in the cache.
    pub fn prefill(&mut self, n: u32, done: u32) {
        let (n, done) = (u64::from(n), u64::from(done));
        self.prompt_tokens += n;
        self.prompt_tokens_squared += n * n + 2 * n * done;
    }

    /// Tokens computed, which the batched-token limit bounds.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        u64::from(self.decoding) + self.prompt_tokens
    }
}

impl StepTime {
    /// Milliseconds that this step takes.
    #[must_use]
    pub fn milliseconds(&self, work: &StepWork) -> f64 {
        self.base_ms
            + self.per_sequence_us * 1e-3 * f64::from(work.decoding)
            + self.per_kv_token_ns * 1e-6 * work.kv_tokens as f64
            + self.per_prompt_token_us * 1e-3 * work.prompt_tokens as f64
            + self.per_prompt_token_squared_ns * 1e-6 * work.prompt_tokens_squared as f64
    }

    /// The same in whole microseconds, at least one: time always moves on, whatever the coefficients.
    #[must_use]
    pub fn duration(&self, work: &StepWork) -> Duration {
        Duration::from_micros(((self.milliseconds(work) * 1e3).round() as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;

    /// The measured points the fit was made from: step ms at batch 32 and 128 with 2k context, prefill tokens/s at 2k.
    /// The bounds are the fit's own worst errors at these points (A100 at 128: 9 %).
    #[test]
    fn steps_match_the_calibration_table() {
        let table = [
            ("h100-llama-3.1-8b-bf16", 9.6, 18.1, 47_070.0),
            ("h100-llama-3.1-8b-fp8", 6.6, 12.0, 59_050.0),
            ("h200-llama-3.1-8b-bf16", 7.3, 13.9, 47_190.0),
            ("a100-llama-3.1-8b-bf16", 19.1, 34.4, 16_360.0),
            ("l40s-llama-3.1-8b-bf16", 38.1, 74.8, 14_130.0),
            ("h100-llama-3.1-70b-bf16-tp4", 18.4, 26.1, 15_730.0),
            ("h100-llama-3.1-70b-fp8-tp2", 21.4, 34.5, 12_370.0),
            ("a100-llama-3.1-70b-bf16-tp4", 35.0, 54.0, 6_070.0),
        ];
        for (name, at_32, at_128, prefill) in table {
            let step = profile::named(name).expect("a profile of the table").step;
            for (batch, expected) in [(32_u32, at_32), (128, at_128)] {
                let work = StepWork { decoding: batch, kv_tokens: u64::from(batch) * 2048, ..StepWork::default() };
                let off = (step.milliseconds(&work) / expected - 1.0_f64).abs();
                assert!(off < 0.10, "{name} at {batch}: {} ms, table {expected}", step.milliseconds(&work));
            }
            // The table's prefill rate leaves out `a`, which a decode batch beside the chunk pays.
            let mut work = StepWork::default();
            work.prefill(2048, 0);
            let rate = 2048.0 / (step.milliseconds(&work) - step.base_ms) * 1e3;
            assert!((rate / prefill - 1.0_f64).abs() < 0.12, "{name}: prefill {rate} tok/s, table {prefill}");
        }
    }

    #[test]
    fn a_prompt_costs_the_same_however_it_is_cut() {
        let (mut whole, mut cut) = (StepWork::default(), StepWork::default());
        whole.prefill(5000, 0);
        for (n, done) in [(2048, 0), (2048, 2048), (904, 4096)] {
            cut.prefill(n, done);
        }
        assert_eq!(whole, cut);
    }

    #[test]
    fn every_term_counts_once() {
        let step = StepTime {
            base_ms: 1.0,
            per_sequence_us: 10.0,
            per_kv_token_ns: 100.0,
            per_prompt_token_us: 1000.0,
            per_prompt_token_squared_ns: 1e6,
        };
        let mut work = StepWork::default();
        work.decode(10_000);
        work.prefill(2, 3);
        // 1 + 0.01 + 1 + 2 + (4 + 12)
        assert!((step.milliseconds(&work) - 20.01).abs() < 1e-9);
        assert_eq!(step.duration(&work), Duration::from_micros(20_010));
        assert_eq!(work.tokens(), 3);
    }
}
