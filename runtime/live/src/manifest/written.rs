//! A manifest as it is written: every field, its form, its default, and what a later version will know.
//!
//! For: the one description that the reader, the JSON Schema and the reference page (`docs/manifest.md`) share. Rules
//! within one mapping stand beside it; what spans several mappings is `build`'s.

mod metric;
mod pool;
mod tenant;

use serde_json::json;
use trimtab_control::config::Step;

use super::collection::{Map, Some1, unique};
use super::field::{At, Shape, Written, words, written};
use super::json::Config;
use super::problem::{Report, Spot};
use super::quantity::{Lasting, Size};
use super::scalar::{Digest, Limit, Name, Share, Text, Zone};
use super::tree::{Node, Value};

pub(super) use metric::{Across, Auth, Engine, Metric, Scheme, Tls, Within};
pub(super) use pool::{Pool, Process, Wake};
pub(super) use tenant::{Limits, TenantDocument};

const DAY: u64 = 86_400;

words! {
    /// The one version of the format.
    enum ApiVersion {
        /// This one.
        V1Alpha1 = "trimtab.dev/v1alpha1",
    }
}

words! {
    /// What a document describes.
    enum Kind {
        /// A workload and how it is scaled.
        InferenceScaler = "InferenceScaler",
    }
    later { "GpuPool" }
}

written! {
    /// A document.
    struct Document as "InferenceScaler" {
        /// Version of the format.
        api_version: ApiVersion = "apiVersion" required;
        /// What the document describes.
        kind: Kind = "kind" required;
        /// Who the workload is.
        metadata: Metadata = "metadata" required;
        /// How it is scaled.
        spec: Spec = "spec" required;
    }
}

written! {
    /// Who the workload is.
    struct Metadata as "metadata" {
        /// Unique within the namespace.
        name: Name = "name" required;
        /// The tenant.
        namespace: Name = "namespace" default("default");
    }
}

words! {
    /// How decisions are carried out.
    enum Actuator {
        /// The targets are asked.
        Direct = "direct",
        /// Decides, writes nothing.
        Observe = "observe",
    }
    later { "keda" }
}

written! {
    /// How the workload is scaled.
    struct Spec as "spec" {
        /// Between two decisions.
        interval: Lasting<1, 3600> = "interval" default("15s");
        /// `direct` asks the targets; `observe` decides and writes nothing.
        actuator: Actuator = "actuator" default("direct");
        /// For schedules and facts that name a time of day.
        time_zone: Zone = "timeZone" default("UTC");
        /// Free pairs that policies see.
        attributes: Map<Text> = "attributes" optional;
        /// Groups of equal replicas.
        pools: Some1<Pool> = "pools" required;
        /// Where series come from; each entry adds to what policies may ask for.
        metrics: Vec<At<Metric>> = "metrics" optional;
        /// The pipeline, in order.
        policies: Some1<Stage> = "policies" required;
        /// The rules that no policy can reach.
        guardrails: Guardrails = "guardrails" default("{}");
        /// A record of everything that led to decisions, for `trimtab replay`. Left out: none.
        journal: Journal = "journal" optional;
    }
    check spec_holds
}

written! {
    /// A record of everything that led to decisions, below the state directory.
    struct Journal as "spec.journal" {
        /// Bytes of it and no more: the oldest go.
        max_size: Size<{ 1 << 20 }, { 1 << 40 }> = "maxSize" required;
    }
}

fn spec_holds(spec: &Spec, _: Spot, report: &mut Report) {
    let pools = spec.pools.value.0.iter().map(|pool| (pool.name.value.0.as_str(), pool.name.spot));
    report.within("pools", |report| unique(pools, "pools", report));
    let stages = spec.policies.value.0.iter().map(|stage| (stage.name.value.0.as_str(), stage.name.spot));
    report.within("policies", |report| unique(stages, "stages", report));
    if let Some(stale) = &spec.guardrails.stale_after
        && stale.value.0 < spec.interval.value.0
    {
        let what = format!("staleAfter {} is less than interval {}", stale.value.0, spec.interval.value.0);
        report.within("guardrails", |report| {
            report.field(stale.spot, what, "every reading would be stale at the next decision: raise staleAfter");
        });
    }
}

words! {
    /// How a stage's proposal merges with those before it.
    enum Combine {
        /// The stage's own.
        Replace = "replace",
        /// The greater.
        Max = "max",
        /// The smaller.
        Min = "min",
    }
}

written! {
    /// A stage of the pipeline: a policy module and its settings.
    struct Stage as "spec.policies[]" {
        /// Unique in the chain.
        name: Name = "name" required;
        /// The module. Left out: the stage's name.
        policy: Name = "policy" optional;
        /// The policy's own settings, checked against its schema.
        config: Config = "config" optional;
        /// How the proposal merges with what the stages before propose.
        combine: Combine = "combine" default("replace");
        /// What happens when the policy gives no answer.
        on_failure: OnFailure = "onFailure" default("noDown");
        /// The digest the module must have, of the file as dropped.
        digest: Digest = "digest" optional;
        /// Another module that is also asked, with the same settings, recorded and compared, and never followed.
        shadow: Name = "shadow" optional;
    }
}

words! {
    /// What a failure means, without another policy.
    enum Failure {
        /// The stage is skipped and this tick may not go down.
        NoDown = "noDown",
        /// Nothing changes this tick.
        Hold = "hold",
        /// The stage is skipped.
        Skip = "skip",
    }
}

written! {
    /// Another policy in place of one that failed.
    struct Instead as "spec.policies[].onFailure" {
        /// The policy.
        fallback: Fallback = "fallback" required;
    }
}

written! {
    /// Another policy, with a state of its own; if it fails too, `noDown`.
    struct Fallback as "spec.policies[].onFailure.fallback" {
        /// The module.
        name: Name = "name" required;
        /// Its settings, checked against its schema.
        config: Config = "config" optional;
    }
}

/// What happens when a stage gives no answer: a word, or a fallback.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum OnFailure {
    Plain(Failure),
    Fallback(Box<Instead>),
}

impl Written for OnFailure {
    fn shape() -> Shape {
        Shape::Either(vec![Failure::shape(), Instead::shape()])
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        match node.value {
            Value::Map(_) => Instead::read(node, report).map(|instead| OnFailure::Fallback(Box::new(instead))),
            _ => Failure::read(node, report).map(OnFailure::Plain),
        }
    }
}

written! {
    /// The rules that no policy can reach.
    struct Guardrails as "spec.guardrails" {
        /// A reading counts for so long. Left out: three times the greater of the interval and the source's period.
        stale_after: Lasting<1, DAY> = "staleAfter" optional;
        /// Scale-down needs at least this share of the replicas to have answered.
        min_coverage: Share = "minCoverage" default("0.9");
        /// A replica that is silent so long leaves the count. Left out: the greater of 10m and twice `staleAfter`.
        silent_after: Lasting<1, DAY> = "silentAfter" optional;
        /// A limit on scale-up. Left out: none.
        scale_up: ScaleUp = "scaleUp" optional;
        /// The limit on scale-down.
        scale_down: ScaleDown = "scaleDown" default("{}");
    }
    check guardrails_hold
}

fn guardrails_hold(guardrails: &Guardrails, _: Spot, report: &mut Report) {
    if let (Some(stale), Some(silent)) = (&guardrails.stale_after, &guardrails.silent_after)
        && silent.value.0 < stale.value.0
    {
        let what = format!("silentAfter {} is less than staleAfter {}", silent.value.0, stale.value.0);
        report.field(silent.spot, what, "a replica is missing first and silent later: raise silentAfter");
    }
}

written! {
    /// A limit on scale-up within a sliding window.
    struct ScaleUp as "spec.guardrails.scaleUp" {
        /// Most replicas added, or a percent of those at the start of the window (rounded down, at least 1).
        max_step: Limit = "maxStep" required;
        /// The window.
        per: Lasting<1, DAY> = "per" default("60s");
    }
}

written! {
    /// The limit on scale-down within a sliding window, and after an increase.
    struct ScaleDown as "spec.guardrails.scaleDown" {
        /// Most replicas removed, or a percent of those at the start of the window (rounded down, at least 1).
        max_step: Limit = "maxStep" default("10%");
        /// The window.
        per: Lasting<1, DAY> = "per" default("60s");
        /// Per pool: no decrease within so long of its last accepted increase.
        cooldown: Lasting<0, DAY> = "cooldown" default("5m");
    }
    check scale_down_holds
}

fn scale_down_holds(down: &ScaleDown, _: Spot, report: &mut Report) {
    if let Step::Percent(percent) = down.max_step.value.0
        && percent > 100
    {
        report.within("maxStep", |report| {
            report.field(
                down.max_step.spot,
                format!("`{percent}%` is more than there is"),
                "scale-down takes `1%` to `100%`",
            );
        });
    }
}

impl Written for Config {
    fn shape() -> Shape {
        Shape::Leaf("mapping".into(), json!({ "type": "object" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        Config::of(node, report)
    }
}
