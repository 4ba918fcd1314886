//! `/metrics` under vLLM's names, labels, help texts and buckets.
//!
//! For: what an autoscaler reads from a real vLLM, pre-seeded at zero as vLLM does. Times are wall time. While asleep the
//! queue and batch gauges read 0 whatever waits, as vLLM's do: they are written by engine steps. Never a `_created` series.

use std::fmt::{self, Write};

use trimtab_sim::Replica;
use trimtab_sim::kv::BLOCK_TOKENS;
use trimtab_sim::replica::{Event, EventKind, Phase};

const TTFT_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
const ITL_BUCKETS: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
const REQUEST_BUCKETS: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];

#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// Per bucket, not cumulative; one more than bounds, for `+Inf`.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    fn observe(&mut self, seconds: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum += seconds;
    }
}

/// What the engine counted.
#[derive(Debug)]
pub(super) struct Metrics {
    speed: f64,
    ttft: Histogram,
    itl: Histogram,
    queue: Histogram,
    e2e: Histogram,
    finished: u64,
    aborted: u64,
}

impl Metrics {
    pub(super) fn new(speed: f64) -> Metrics {
        Metrics {
            speed,
            ttft: Histogram::new(TTFT_BUCKETS),
            itl: Histogram::new(ITL_BUCKETS),
            queue: Histogram::new(REQUEST_BUCKETS),
            e2e: Histogram::new(REQUEST_BUCKETS),
            finished: 0,
            aborted: 0,
        }
    }

    pub(super) fn observe(&mut self, event: &Event) {
        let wall = |simulated: std::time::Duration| simulated.as_secs_f64() / self.speed;
        match event.kind {
            EventKind::Admitted { queued, .. } => self.queue.observe(wall(queued)),
            EventKind::FirstToken { since_arrival, .. } => self.ttft.observe(wall(since_arrival)),
            EventKind::NextToken { since_previous, .. } => self.itl.observe(wall(since_previous)),
            EventKind::Finished { since_arrival, .. } => {
                self.e2e.observe(wall(since_arrival));
                self.finished += 1;
            }
            EventKind::Ready | EventKind::Awake | EventKind::Preempted { .. } => {}
        }
    }

    /// A client went away before its request finished.
    pub(super) fn aborted(&mut self) {
        self.aborted += 1;
    }

    pub(super) fn render(&self, replica: &Replica, model: &str) -> String {
        let mut page = String::with_capacity(16 << 10);
        // Writing to a string cannot fail.
        let _ = self.write(&mut page, replica, model);
        page
    }

    fn write(&self, out: &mut String, replica: &Replica, model: &str) -> fmt::Result {
        let labels = format!("engine=\"0\",model_name=\"{}\"", escape(model));
        let asleep = matches!(replica.phase(), Phase::Asleep { .. } | Phase::Waking { .. });
        let seen = |count: usize| if asleep { 0.0 } else { count as f64 };
        let counters = replica.counters();
        family(out, "num_requests_running", "gauge", "Number of requests in model execution batches.")?;
        sample(out, "num_requests_running", &labels, seen(replica.running()))?;
        family(out, "num_requests_waiting", "gauge", "Number of requests waiting to be processed.")?;
        sample(out, "num_requests_waiting", &labels, seen(replica.waiting()))?;
        let help = "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; \
                    weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2.";
        family(out, "engine_sleep_state", "gauge", help)?;
        let level = if let Phase::Asleep { level } = replica.phase() { Some(level) } else { None };
        let states = [("awake", !asleep), ("weights_offloaded", level == Some(1)), ("discard_all", level == Some(2))];
        for (state, on) in states {
            sample(out, "engine_sleep_state", &format!("{labels},sleep_state=\"{state}\""), f64::from(u8::from(on)))?;
        }
        family(out, "kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.")?;
        sample(out, "kv_cache_usage_perc", &labels, replica.kv().usage())?;
        let totals = [
            ("num_preemptions_total", "Cumulative number of preemption from the engine.", counters.preemptions),
            ("prompt_tokens_total", "Number of prefill tokens processed.", counters.prompt_tokens),
            ("generation_tokens_total", "Number of generation tokens processed.", counters.output_tokens),
        ];
        for (name, help, value) in totals {
            family(out, name, "counter", help)?;
            sample(out, name, &labels, value as f64)?;
        }
        family(out, "request_success_total", "counter", "Count of successfully processed requests.")?;
        let reasons =
            [("stop", 0), ("length", self.finished), ("abort", self.aborted), ("error", 0), ("repetition", 0)];
        for (reason, count) in reasons {
            sample(
                out,
                "request_success_total",
                &format!("engine=\"0\",finished_reason=\"{reason}\",model_name=\"{}\"", escape(model)),
                count as f64,
            )?;
        }
        let histograms = [
            ("time_to_first_token_seconds", "Histogram of time to first token in seconds.", &self.ttft),
            ("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &self.itl),
            ("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", &self.queue),
            ("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &self.e2e),
        ];
        for (name, help, histogram) in histograms {
            family(out, name, "histogram", help)?;
            write_histogram(out, name, &labels, histogram)?;
        }
        family(out, "cache_config_info", "gauge", "Information of the LLMEngine CacheConfig")?;
        let blocks = replica.kv().capacity();
        let config = format!(
            "block_size=\"{BLOCK_TOKENS}\",engine=\"0\",kv_cache_size_tokens=\"{}\",num_gpu_blocks=\"{blocks}\"",
            u64::from(blocks) * u64::from(BLOCK_TOKENS)
        );
        sample(out, "cache_config_info", &config, 1.0)
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP vllm:{name} {help}\n# TYPE vllm:{name} {kind}")
}

fn sample(out: &mut String, name: &str, labels: &str, value: f64) -> fmt::Result {
    // Debug keeps the `.0` of whole numbers, as Python's client writes them.
    writeln!(out, "vllm:{name}{{{labels}}} {value:?}")
}

fn write_histogram(out: &mut String, name: &str, labels: &str, histogram: &Histogram) -> fmt::Result {
    let mut cumulative = 0;
    for (i, count) in histogram.counts.iter().enumerate() {
        cumulative += count;
        match histogram.bounds.get(i) {
            Some(bound) => writeln!(out, "vllm:{name}_bucket{{{labels},le=\"{bound:?}\"}} {cumulative}.0")?,
            None => writeln!(out, "vllm:{name}_bucket{{{labels},le=\"+Inf\"}} {cumulative}.0")?,
        }
    }
    writeln!(out, "vllm:{name}_count{{{labels}}} {cumulative}.0")?;
    writeln!(out, "vllm:{name}_sum{{{labels}}} {:?}", histogram.sum)
}

/// A label value as the exposition format wants it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
