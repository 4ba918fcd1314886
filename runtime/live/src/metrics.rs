//! The daemon's own metrics: names, labels, and one method for each thing that happens.
//!
//! For: `/metrics`. Labels are bounded: names from manifests and policies' file names, and codes of ours; never text of a
//! guest or of a server. A family that is full drops what is new and says so; nothing here fails or waits.

mod format;
mod process;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use trimtab_control::config::WorkloadId;

pub use format::Format;

use series::Series;

/// Seconds that add up.
type Seconds = Counter<f64, std::sync::atomic::AtomicU64>;

/// A level that is no whole number.
type Level = Gauge<f64, std::sync::atomic::AtomicU64>;

/// Upper bounds in seconds of what is awaited within an interval: ticks and scrapes.
const BRIEF: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The same for one call of a policy.
const CALL: [f64; 13] = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// The same for the start of a replica.
const STARTUP: [f64; 14] = [1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 480.0, 900.0, 1800.0];

/// All of them. Methods may be called from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    ticks: Series<Counter, 2>,
    ticks_missed: Series<Counter, 2>,
    tick_cpu: Series<Seconds, 2>,
    tick_duration: Histogram,
    tick_lateness: Histogram,
    policy_call_duration: Series<Histogram, 2>,
    policy_calls: Series<Counter, 3>,
    policy_limits: Series<Counter, 3>,
    policy_loads: Series<Counter, 4>,
    policy_info: Series<Gauge, 3>,
    replicas: Series<Gauge, 4>,
    signal_age: Series<Level, 3>,
    scrape_duration: Series<Histogram, 1>,
    scrape_failures: Series<Counter, 2>,
    actions: Series<Counter, 3>,
    guardrail_limits: Series<Counter, 3>,
    startup: Series<Histogram, 3>,
    check_violations: Series<Counter, 2>,
    journal_gaps: Series<Counter, 2>,
    shadow_calls: Series<Counter, 4>,
    /// Behind `policy_info`: several workloads of a tenant may run several versions.
    serving: Mutex<BTreeMap<WorkloadId, BTreeSet<(String, String)>>>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// All families, empty, and those of the process itself.
    #[must_use]
    pub fn new() -> Metrics {
        let dropped = Counter::default();
        let counter = Counter::<u64>::default;
        let (count, level) = (Gauge::<i64>::default, Level::default);
        let mut metrics = Metrics {
            registry: Registry::default(),
            ticks: Series::new(["namespace", "workload"], counter, &dropped),
            ticks_missed: Series::new(["namespace", "workload"], counter, &dropped),
            tick_cpu: Series::new(["namespace", "workload"], Seconds::default, &dropped),
            tick_duration: Histogram::new(BRIEF),
            tick_lateness: Histogram::new(BRIEF),
            policy_call_duration: Series::new(["tenant", "policy"], || Histogram::new(CALL), &dropped),
            policy_calls: Series::new(["tenant", "policy", "outcome"], counter, &dropped),
            policy_limits: Series::new(["tenant", "policy", "limit"], counter, &dropped),
            policy_loads: Series::new(["tenant", "policy", "stage", "result"], counter, &dropped),
            policy_info: Series::new(["tenant", "policy", "digest"], count, &dropped),
            replicas: Series::new(["namespace", "workload", "pool", "state"], count, &dropped),
            signal_age: Series::new(["namespace", "workload", "signal"], level, &dropped),
            scrape_duration: Series::new(["source"], || Histogram::new(BRIEF), &dropped),
            scrape_failures: Series::new(["source", "reason"], counter, &dropped),
            actions: Series::new(["namespace", "workload", "outcome"], counter, &dropped),
            guardrail_limits: Series::new(["namespace", "workload", "rule"], counter, &dropped),
            startup: Series::new(["namespace", "workload", "pool"], || Histogram::new(STARTUP), &dropped),
            check_violations: Series::new(["namespace", "workload"], counter, &dropped),
            shadow_calls: Series::new(["namespace", "workload", "stage", "outcome"], counter, &dropped),
            journal_gaps: Series::new(["namespace", "workload"], counter, &dropped),
            serving: Mutex::default(),
        };
        metrics.registry = metrics.register(dropped);
        metrics
    }

    /// Names and help texts. `_total` is added to counters, a full stop to the texts.
    fn register(&self, dropped: Counter) -> Registry {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process));
        let own = registry.sub_registry_with_prefix("trimtab");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let built = own.sub_registry_with_labels(version.into_iter().map(|(k, v)| (k.into(), v.into())));
        built.register("build_info", "What this daemon is; always 1", ConstGauge::new(1_u64));
        own.register("ticks", "Decisions made", self.ticks.clone());
        own.register(
            "ticks_missed",
            "Ticks that were due and had not started when the next was due",
            self.ticks_missed.clone(),
        );
        own.register(
            "tick_cpu_seconds",
            "Thread CPU time of decisions: what policies, windows and guardrails cost",
            self.tick_cpu.clone(),
        );
        own.register("tick_duration_seconds", "From the start of a tick to its decision", self.tick_duration.clone());
        own.register(
            "tick_lateness_seconds",
            "From the instant at which a tick was due to its start",
            self.tick_lateness.clone(),
        );
        own.register(
            "policy_call_duration_seconds",
            "One call of a policy, by the tenant whose workload it served",
            self.policy_call_duration.clone(),
        );
        own.register(
            "policy_calls",
            "Calls of a policy, by the tenant whose workload it served, and by outcome: ok, or the code of the fault",
            self.policy_calls.clone(),
        );
        own.register(
            "policy_limits",
            "Calls of a policy that ran into a limit, those included that only had something cut, by limit",
            self.policy_limits.clone(),
        );
        own.register(
            "policy_loads",
            "Versions of a policy that were looked at, by the stage of admission where it ended and its result; the tenant is empty for a file that serves all",
            self.policy_loads.clone(),
        );
        own.register(
            "policy_info",
            "The versions of a policy that serve workloads of a tenant; always 1",
            self.policy_info.clone(),
        );
        own.register("replicas", "Replicas by state; desired is what was last asked for", self.replicas.clone());
        own.register(
            "signal_age_seconds",
            "Since the newest good sample of a signal that the policies use; absent where there was none yet",
            self.signal_age.clone(),
        );
        own.register(
            "scrape_duration_seconds",
            "One reading of one address, good or not",
            self.scrape_duration.clone(),
        );
        own.register("scrape_failures", "Readings that gave nothing, by reason", self.scrape_failures.clone());
        own.register("actions", "What was asked of targets, by what became of it", self.actions.clone());
        own.register(
            "guardrail_limits",
            "Decisions in which a guardrail changed what the policies proposed",
            self.guardrail_limits.clone(),
        );
        own.register(
            "startup_seconds",
            "From an accepted increase to the moment its replica was ready, as measured",
            self.startup.clone(),
        );
        own.register(
            "check_violations",
            "Decisions that were dropped because they broke an invariant: each is a defect to report",
            self.check_violations.clone(),
        );
        own.register(
            "journal_gaps",
            "Segments of a journal that ended because something could not be written",
            self.journal_gaps.clone(),
        );
        own.register(
            "shadow_calls",
            "Decisions in which a shadow proposed the same as its stage, something else (differs), or nothing (error)",
            self.shadow_calls.clone(),
        );
        own.register("metric_series_dropped", "New series that a full family did not take", dropped);
        registry
    }

    /// The page. Never fails; what a scraper asked for decides the form: see [`Format::wanted`].
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        let mut page = String::with_capacity(16 * 1024);
        // Writing into a String cannot fail, and neither do the metrics themselves.
        let _ = prometheus_client::encoding::text::encode(&mut page, &self.registry);
        match format {
            Format::OpenMetrics => page,
            Format::Prometheus => format::as_prometheus(&page),
        }
    }

    /// A tick was made: how long it took, and how late it began.
    pub fn tick(&self, id: &WorkloadId, duration: Duration, lateness: Duration) {
        self.ticks.with(of(id), Counter::inc);
        self.tick_duration.observe(duration.as_secs_f64());
        self.tick_lateness.observe(lateness.as_secs_f64());
    }

    /// What a decision cost its thread.
    pub fn tick_cpu(&self, id: &WorkloadId, used: Duration) {
        self.tick_cpu.with(of(id), |seconds| seconds.inc_by(used.as_secs_f64()));
    }

    /// So many ticks were due and not started before the next was due.
    pub fn missed(&self, id: &WorkloadId, n: u64) {
        self.ticks_missed.with(of(id), |missed| missed.inc_by(n));
    }

    /// A policy was called. `outcome`: `ok`, or the code of the fault.
    pub fn policy_call(&self, tenant: &str, policy: &str, outcome: &str, took: Duration) {
        self.policy_calls.with([tenant, policy, outcome], Counter::inc);
        self.policy_call_duration.with([tenant, policy], |durations| durations.observe(took.as_secs_f64()));
    }

    /// A call of a policy ran into a limit: one of `trimtab_control::policy::Limit`.
    pub fn policy_limit(&self, tenant: &str, policy: &str, limit: &'static str) {
        self.policy_limits.with([tenant, policy, limit], Counter::inc);
    }

    /// A version of a policy was looked at: where it ended, and how.
    pub fn policy_load(&self, tenant: &str, policy: &str, stage: &str, result: &str) {
        self.policy_loads.with([tenant, policy, stage, result], Counter::inc);
    }

    /// These versions of policies serve a workload now, in place of the former: pairs of policy and digest.
    pub fn policies_serving(&self, id: &WorkloadId, policies: BTreeSet<(String, String)>) {
        let tenant = id.namespace.as_str();
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.retain(|known, _| known != id);
        if !policies.is_empty() {
            serving.insert(id.clone(), policies);
        }
        let of_tenant = || serving.iter().filter(|(id, _)| id.namespace == tenant).flat_map(|(_, policies)| policies);
        self.policy_info
            .remove_but(&[tenant], |[_, policy, digest]| of_tenant().any(|(p, d)| **p == **policy && **d == **digest));
        for (policy, digest) in of_tenant() {
            self.policy_info.with([tenant, policy, digest], |info| info.set(1));
        }
    }

    /// Counts of a pool's replicas by state.
    pub fn replicas(&self, id: &WorkloadId, pool: &str, states: &[(&'static str, u32)]) {
        for (state, count) in states {
            self.replicas.with([&id.namespace, &id.name, pool, state], |replicas| replicas.set(i64::from(*count)));
        }
    }

    /// How old a signal is, in seconds; none: it was never seen, and has no series.
    pub fn signal_age(&self, id: &WorkloadId, signal: &str, seconds: Option<f64>) {
        let labels = [id.namespace.as_str(), id.name.as_str(), signal];
        match seconds {
            Some(seconds) => {
                self.signal_age.with(labels, |age| age.set(seconds));
            }
            None => self.signal_age.remove(&labels),
        }
    }

    /// An address was read. `failure`: the code of what went wrong.
    pub fn scraped(&self, source: &'static str, took: Duration, failure: Option<&'static str>) {
        self.scrape_duration.with([source], |durations| durations.observe(took.as_secs_f64()));
        if let Some(reason) = failure {
            self.scrape_failures.with([source, reason], Counter::inc);
        }
    }

    /// What became of an action.
    pub fn action(&self, id: &WorkloadId, outcome: &'static str) {
        self.actions.with([&id.namespace, &id.name, outcome], Counter::inc);
    }

    /// A guardrail bit.
    pub fn limited(&self, id: &WorkloadId, rule: &'static str) {
        self.guardrail_limits.with([&id.namespace, &id.name, rule], Counter::inc);
    }

    /// A replica became ready so long after it was asked for.
    pub fn startup(&self, id: &WorkloadId, pool: &str, seconds: f64) {
        self.startup.with([&id.namespace, &id.name, pool], |startups| startups.observe(seconds));
    }

    /// A decision broke an invariant and was dropped.
    pub fn violation(&self, id: &WorkloadId) {
        self.check_violations.with(of(id), Counter::inc);
    }

    /// A shadow was asked: `same`, `differs` or `error`.
    pub fn shadow(&self, id: &WorkloadId, stage: &str, outcome: &'static str) {
        self.shadow_calls.with([&id.namespace, &id.name, stage, outcome], Counter::inc);
    }

    /// Something could not be written to a journal.
    pub fn journal_gap(&self, id: &WorkloadId) {
        self.journal_gaps.with(of(id), Counter::inc);
    }

    /// Drops every series of a workload that is no more.
    pub fn forget(&self, id: &WorkloadId) {
        let of = of(id);
        self.ticks.remove(&of);
        self.ticks_missed.remove(&of);
        self.tick_cpu.remove(&of);
        self.replicas.remove(&of);
        self.signal_age.remove(&of);
        self.actions.remove(&of);
        self.guardrail_limits.remove(&of);
        self.startup.remove(&of);
        self.check_violations.remove(&of);
        self.journal_gaps.remove(&of);
        self.shadow_calls.remove(&of);
        self.policies_serving(id, BTreeSet::new());
    }
}

fn of(id: &WorkloadId) -> [&str; 2] {
    [&id.namespace, &id.name]
}

#[cfg(test)]
mod tests;
