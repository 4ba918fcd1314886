//! The table of replicas: step-time coefficients, KV capacity and scheduler limits by GPU, model and precision.
//!
//! For: `GPU-MODEL-PRECISION[-tpN]` names that users write. Coefficients are least-squares fits to measured operator
//! latencies (contexts of 512 to 8,192 tokens, batches of 1 to 256; 1-3 % mean error, 4-14 % worst) and reproduce
//! measured end-to-end time per token of H100 8B and 2 x H100 70B fp8 within 2 % mean. KV capacities of 80 GB GPUs with
//! 8B are from start-up logs, the others computed from memory sizes at 0.90 use. Never adjusted to make a result look
//! better: a better fit replaces the row.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::step::StepTime;

/// One kind of replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// `GPU-MODEL-PRECISION[-tpN]`.
    pub name: String,
    /// The model as engines name it.
    pub model: String,
    /// GPUs that one replica holds.
    pub gpus: u32,
    /// Step-time coefficients.
    pub step: StepTime,
    /// KV cache capacity in tokens.
    pub kv_tokens: u32,
    /// Longest prompt plus output in tokens that the model takes.
    pub max_model_len: u32,
    /// Most sequences in one step.
    pub max_seqs: u32,
    /// Most tokens computed in one step: the chunk budget of prefill, after the decoding sequences took theirs.
    pub max_batched_tokens: u32,
    /// Weights in GB over all GPUs; what a wake from sleep copies back.
    pub weights_gb: f64,
}

/// Name, model, GPUs, (a, b, c, p, q), KV tokens, batched tokens, weights GB.
type Row = (&'static str, &'static str, u32, (f64, f64, f64, f64, f64), u32, u32, f64);

const LLAMA_8B: &str = "meta-llama/Llama-3.1-8B-Instruct";
const LLAMA_70B: &str = "meta-llama/Llama-3.1-70B-Instruct";

/// The L4 row is a roofline estimate (weights and KV over memory bandwidth, prompt over peak flops), not a fit.
#[rustfmt::skip]
const ROWS: [Row; 9] = [
    ("h100-llama-3.1-8b-bf16",      LLAMA_8B,  1, (6.38,  10.9,  41.2,  20.0,  0.406),   446_000, 8192,  16.1),
    ("h100-llama-3.1-8b-fp8",       LLAMA_8B,  1, (4.46,  14.2,  22.7,  14.8,  0.421), 1_015_000, 8192,   8.1),
    ("h200-llama-3.1-8b-bf16",      LLAMA_8B,  1, (4.93,  12.2,  29.3,  20.2,  0.421),   895_000, 8192,  16.1),
    ("a100-llama-3.1-8b-bf16",      LLAMA_8B,  1, (11.56, 32.9,  83.2,  54.6,  1.527),   446_000, 8192,  16.1),
    ("l40s-llama-3.1-8b-bf16",      LLAMA_8B,  1, (22.25, 41.8, 184.6,  67.8,  1.724),   190_000, 2048,  16.1),
    ("l4-llama-3.1-8b-bf16",        LLAMA_8B,  1, (67.0,   0.0, 550.0, 270.0,  0.0),      27_000, 2048,  16.1),
    ("h100-llama-3.1-70b-bf16-tp4", LLAMA_70B, 4, (15.18, 32.7,  26.2,  61.7,  0.483),   480_000, 8192, 141.2),
    ("h100-llama-3.1-70b-fp8-tp2",  LLAMA_70B, 2, (16.86, 39.8,  52.2,  73.8,  0.781),   235_000, 8192,  70.6),
    ("a100-llama-3.1-70b-bf16-tp4", LLAMA_70B, 4, (27.58, 101.0, 58.6, 147.5,  1.900),   480_000, 8192, 141.2),
];

/// Sequences in one step unless a user says otherwise.
pub const DEFAULT_MAX_SEQS: u32 = 256;
/// Context length of the Llama 3.1 family.
const LLAMA_CONTEXT: u32 = 131_072;
/// Host memory to one GPU over its own link, GB/s: where level 1 sleep keeps the weights. An assumption.
const HOST_COPY_GBPS: f64 = 16.0;
/// Disk to one GPU, GB/s: level 2 sleep discards the weights. An assumption.
const DISK_LOAD_GBPS: f64 = 2.0;

/// The profile of this name.
#[must_use]
pub fn named(name: &str) -> Option<Profile> {
    ROWS.iter().find(|row| row.0 == name).map(from_row)
}

/// Names of all profiles, in the table's order.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.0)
}

fn from_row(row: &Row) -> Profile {
    let &(name, model, gpus, coefficients, kv_tokens, max_batched_tokens, weights_gb) = row;
    Profile {
        name: name.to_owned(),
        model: model.to_owned(),
        gpus,
        step: StepTime {
            base_ms: coefficients.0,
            per_sequence_us: coefficients.1,
            per_kv_token_ns: coefficients.2,
            per_prompt_token_us: coefficients.3,
            per_prompt_token_squared_ns: coefficients.4,
        },
        kv_tokens,
        max_model_len: LLAMA_CONTEXT.min(kv_tokens),
        max_seqs: DEFAULT_MAX_SEQS,
        max_batched_tokens,
        weights_gb,
    }
}

impl Profile {
    /// How long waking from this level of sleep takes: level 0 kept everything, 1 offloaded the weights to host memory,
    /// 2 discarded them.
    #[must_use]
    pub fn wake_delay(&self, level: u8) -> Duration {
        let gbps = match level {
            0 => return Duration::ZERO,
            1 => HOST_COPY_GBPS,
            _ => DISK_LOAD_GBPS,
        };
        Duration::from_secs_f64(self.weights_gb / f64::from(self.gpus.max(1)) / gbps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let all: Vec<&str> = names().collect();
        for (i, name) in all.iter().enumerate() {
            assert_eq!(named(name).expect("listed").name, *name);
            assert!(!all[..i].contains(name), "{name} twice");
        }
        assert_eq!(named("h100"), None);
    }

    #[test]
    fn waking_takes_longer_the_deeper_the_sleep() {
        let profile = named("h100-llama-3.1-8b-bf16").expect("in the table");
        let delays: Vec<f64> = (0..3).map(|level| profile.wake_delay(level).as_secs_f64()).collect();
        assert!(delays[0] == 0.0 && delays[0] < delays[1] && delays[1] < delays[2], "{delays:?}");
        assert!(delays[1] < 5.0, "wakes in seconds: {delays:?}");
    }
}
