//! Engine presets: tables from the metric names of an engine to raw signals.
//!
//! For: reading an inference server without telling Trimtab its metric names. A preset is data; how it is applied to a
//! page lives in `source`. Never guesses an engine.
//!
//! Names and meanings are those of vLLM 0.32 (`vllm/v1/metrics/loggers.py`) and of llama.cpp's server
//! (`tools/server/server-task.cpp`).

/// What kind of number a raw signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A level.
    Gauge,
    /// A running total.
    Counter,
    /// A cumulative histogram, in seconds.
    Histogram,
}

/// How several series of one page (data-parallel ranks, reasons) become one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Added; histograms bucket by bucket.
    Sum,
    /// The arithmetic mean.
    Mean,
    /// The greatest.
    Max,
}

/// One row: a raw signal and where it stands on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The raw signal it becomes.
    pub signal: &'static str,
    /// Names over the engine's versions, newest first; the first that is on the page is used.
    pub metrics: &'static [&'static str],
    /// What it is. A metric that the page declares to be another kind is not read.
    pub kind: Kind,
    /// Factor to the signal's unit.
    pub scale: f64,
    /// How series of one page become one.
    pub combine: Combine,
}

/// One engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preset {
    /// As the manifest names it.
    pub name: &'static str,
    /// Where the engine serves its page.
    pub path: &'static str,
    /// The label that names the model on a page of several; it stays on the samples as `model`.
    pub model_label: Option<&'static str>,
    /// The table.
    pub rows: &'static [Row],
}

const fn row(signal: &'static str, metrics: &'static [&'static str], kind: Kind, combine: Combine) -> Row {
    Row { signal, metrics, kind, scale: 1.0, combine }
}

/// Engines whose presets are not in this version; a manifest that names one is told so.
pub const LATER: &[&str] = &["sglang", "tgi", "triton", "tensorrt-llm", "ray-serve", "dynamo", "auto"];

/// Every preset there is, by name.
pub const ALL: &[Preset] = &[LLAMA_CPP, VLLM];

/// vLLM. One page may hold several data-parallel ranks (label `engine`). `kv_cache_usage_perc` is 0 to 1 despite its
/// name. The gauges are written by engine steps: an engine that sleeps reports 0 whatever waits for it.
const VLLM: Preset = Preset {
    name: "vllm",
    path: "/metrics",
    model_label: Some("model_name"),
    rows: &[
        row("queue-depth", &["vllm:num_requests_waiting"], Kind::Gauge, Combine::Sum),
        row("active-sequences", &["vllm:num_requests_running"], Kind::Gauge, Combine::Sum),
        row("kv-cache-usage", &["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"], Kind::Gauge, Combine::Mean),
        row("requests-completed", &["vllm:request_success_total"], Kind::Counter, Combine::Sum),
        row("prompt-tokens", &["vllm:prompt_tokens_total"], Kind::Counter, Combine::Sum),
        row("output-tokens", &["vllm:generation_tokens_total"], Kind::Counter, Combine::Sum),
        row("preemptions", &["vllm:num_preemptions_total"], Kind::Counter, Combine::Sum),
        row("ttft", &["vllm:time_to_first_token_seconds"], Kind::Histogram, Combine::Sum),
        row(
            "itl",
            &["vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"],
            Kind::Histogram,
            Combine::Sum,
        ),
        row("queue-time", &["vllm:request_queue_time_seconds"], Kind::Histogram, Combine::Sum),
        row("e2e-latency", &["vllm:e2e_request_latency_seconds"], Kind::Histogram, Combine::Sum),
    ],
};

/// llama.cpp's server, started with `--metrics`. It exports neither a request counter nor its KV use nor latencies, and
/// its throughput gauges are windows between two scrapes that every scrape resets, so they are not read.
const LLAMA_CPP: Preset = Preset {
    name: "llama-cpp",
    path: "/metrics",
    model_label: None,
    rows: &[
        row("queue-depth", &["llamacpp:requests_deferred"], Kind::Gauge, Combine::Sum),
        row("active-sequences", &["llamacpp:requests_processing"], Kind::Gauge, Combine::Sum),
        row("prompt-tokens", &["llamacpp:prompt_tokens_total"], Kind::Counter, Combine::Sum),
        row("output-tokens", &["llamacpp:tokens_predicted_total"], Kind::Counter, Combine::Sum),
        // The token counters move when a prompt or an answer ends; this one is the sign of life in between.
        row("engine-steps", &["llamacpp:n_decode_total"], Kind::Counter, Combine::Sum),
    ],
};

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|p| p.name == name)
}
