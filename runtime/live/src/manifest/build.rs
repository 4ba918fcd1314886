//! From what was written to what is used: specs with every default filled in.
//!
//! For: the second of the two steps. Everything here was read without a problem; what remains are the rules that span
//! several mappings. Never opens a file that a manifest names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use trimtab_control::config as control;
use trimtab_control::config::{
    ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, WakeRule, WorkloadConfig, WorkloadId, ZeroGrant,
};
use trimtab_control::sample::Labels;
use trimtab_control::signals::raw_inputs;

use super::address::{Call, Ports};
use super::collection::Map;
use super::field::{At, Written, listed};
use super::json::{Config, canonical};
use super::problem::{Place, Report, Spot, quoted};
use super::scalar::Text;
use super::tree::Node;
use super::written::{self, Document};
use super::{Actuator, Scaler, StagePlaces};
use crate::client::{AuthSpec, TlsSpec, parse_url};
use crate::presets;
use crate::source::{Across, EngineSpec, ExpositionSpec, Scheme, SignalSpec, SourceSpec, Within};
use crate::target::{DrainSpec, DryRunSpec, ProcessSpec, ReadySpec, StandbySpec, TargetSpec, WebhookSpec};

/// Who a document says it is, as far as that can be read; it may be wrong elsewhere.
pub(super) fn id(root: &Node) -> Option<WorkloadId> {
    let mut ignored = Report::new(&Arc::from(""));
    let metadata = root.get("metadata")?;
    let mut name = |field: &str| {
        let node = metadata.get(field)?;
        super::scalar::Name::read(node, &mut ignored).map(|name| name.0)
    };
    let namespace = if metadata.get("namespace").is_some() { name("namespace")? } else { "default".to_owned() };
    Some(WorkloadId { namespace, name: name("name")? })
}

/// The scaler of a document; none exactly if the report grew.
pub(super) fn scaler(root: &Node, report: &mut Report) -> Option<Scaler> {
    // A document of another version or kind has other fields: saying so once is enough.
    let before = report.found();
    for (name, read) in [
        ("apiVersion", known::<written::ApiVersion> as fn(&Node, &mut Report) -> bool),
        ("kind", known::<written::Kind>),
    ] {
        if let Some(node) = root.get(name)
            && !report.within(name, |report| read(node, report))
        {
            return None;
        }
    }
    let document = Document::read(root, report)?;
    let spec = &document.spec;
    let folder = Path::new(&*report.place(root.spot).file).parent().map(Path::to_path_buf).unwrap_or_default();
    let sources: Vec<(SourceSpec, Place)> = spec
        .metrics
        .iter()
        .flat_map(|metrics| &metrics.value)
        .filter_map(|metric| source(metric, &folder).map(|source| (source, report.place(metric.spot))))
        .collect();
    wakes_hold(spec, &sources, report);
    let config = WorkloadConfig {
        id: WorkloadId {
            namespace: document.metadata.namespace.value.0.clone(),
            name: document.metadata.name.value.0.clone(),
        },
        generation: 0,
        interval: spec.interval.value.0,
        attributes: labels(spec.attributes.as_ref()),
        pools: spec.pools.value.0.iter().map(|pool| pool_config(pool)).collect(),
        stages: spec.policies.value.0.iter().map(|stage| stage_config(stage)).collect(),
        guardrails: guardrails(&spec.guardrails),
    };
    let places =
        spec.policies.value.0.iter().map(|stage| (stage.name.value.0.clone(), stage_places(stage, report))).collect();
    let targets = spec
        .pools
        .value
        .0
        .iter()
        .filter_map(|pool| Some((pool.name.value.0.clone(), target(pool, &folder)?)))
        .collect();
    let mut text = String::new();
    canonical(root, &mut text);
    let digest = Sha256::digest(text.as_bytes()).into();
    (report.found() == before).then(|| Scaler {
        config,
        actuator: match spec.actuator.value {
            written::Actuator::Direct => Actuator::Direct,
            written::Actuator::Observe => Actuator::Observe,
        },
        journal: spec.journal.as_ref().map(|journal| journal.max_size.value.0),
        time_zone: spec.time_zone.value.0.clone(),
        targets,
        sources,
        place: report.place(root.spot),
        places,
        digest,
    })
}

fn known<T: Written>(node: &Node, report: &mut Report) -> bool {
    T::read(node, report).is_some()
}

/// A wake signal must come from something that is still there when no replica is.
fn wakes_hold(spec: &written::Spec, sources: &[(SourceSpec, Place)], report: &mut Report) {
    let pools = &spec.pools.value.0;
    let pages = sources.iter().filter(|(source, _)| matches!(source, SourceSpec::Exposition(_)));
    let mut lasting: Vec<&str> = pages.flat_map(|(source, _)| source.signals()).collect();
    lasting.extend(
        pools
            .iter()
            .filter_map(|pool| pool.dry_run.as_ref()?.signals.as_ref())
            .flat_map(|signals| signals.0.keys())
            .map(String::as_str),
    );
    for (n, pool) in pools.iter().enumerate() {
        let rules = pool.scale_to_zero.iter().flat_map(|zero| &zero.wake_on.0);
        for signal in rules.filter_map(|rule| rule.signal.as_ref()) {
            let name = signal.0.as_str();
            if lasting.contains(&name) || derived(name, &lasting) {
                continue;
            }
            let hint = match lasting.as_slice() {
                [] => format!("add an `exposition` source with the signal {}, or write `http: true`", quoted(name)),
                some => format!("add it to an `exposition` source; there are {}", listed(some.iter().copied(), "and")),
            };
            report.within(&format!("spec.pools[{n}].scaleToZero.wakeOn"), |report| {
                report.field(signal.spot, format!("no source gives {} when there are no replicas", quoted(name)), hint);
            });
        }
    }
}

/// Whether a canonical signal can be computed from these alone.
fn derived(signal: &str, raw: &[&str]) -> bool {
    let inputs = raw_inputs(signal);
    !inputs.is_empty() && inputs.iter().all(|input| raw.contains(input))
}

fn pool_config(pool: &written::Pool) -> PoolConfig {
    PoolConfig {
        name: pool.name.value.0.clone(),
        group: pool.group.as_ref().map(|group| group.value.0.clone()),
        min: pool.min_replicas.value.0,
        max: pool.max_replicas.value.0,
        zero: pool.scale_to_zero.as_ref().map(|zero| ZeroGrant {
            after: zero.after.value.0,
            wake_on: zero.wake_on.0.iter().filter_map(wake_rule).collect(),
            wake_replicas: zero.wake_replicas.value.0,
            hold: zero.hold.value.0,
        }),
        gpus_per_replica: pool.gpus_per_replica.value.0,
        price_per_hour: pool.price_per_hour.as_ref().map(|price| price.value.0),
        startup: pool.startup.value.0,
        attributes: labels(pool.attributes.as_ref()),
    }
}

fn wake_rule(wake: &At<written::Wake>) -> Option<WakeRule> {
    let signal = wake.signal.as_ref()?;
    Some(WakeRule { signal: signal.value.0.clone(), above: wake.above.value.0 })
}

fn stage_config(stage: &written::Stage) -> StageConfig {
    let name = stage.name.value.0.clone();
    StageConfig {
        // It stands in for its stage, and so has its settings.
        shadow: stage.shadow.as_ref().map(|shadow| ModuleRef {
            policy: shadow.value.0.clone(),
            config: config_text(stage.config.as_ref()),
            digest: None,
        }),
        module: ModuleRef {
            policy: stage.policy.as_ref().map_or_else(|| name.clone(), |policy| policy.value.0.clone()),
            config: config_text(stage.config.as_ref()),
            digest: stage.digest.as_ref().map(|digest| digest.value.0.clone()),
        },
        name,
        combine: match stage.combine.value {
            written::Combine::Replace => control::Combine::Replace,
            written::Combine::Max => control::Combine::Max,
            written::Combine::Min => control::Combine::Min,
        },
        on_failure: match &stage.on_failure.value {
            written::OnFailure::Plain(written::Failure::NoDown) => OnFailure::NoDown,
            written::OnFailure::Plain(written::Failure::Hold) => OnFailure::Hold,
            written::OnFailure::Plain(written::Failure::Skip) => OnFailure::Skip,
            written::OnFailure::Fallback(instead) => OnFailure::Fallback(Box::new(ModuleRef {
                policy: instead.fallback.name.value.0.clone(),
                config: config_text(instead.fallback.config.as_ref()),
                digest: None,
            })),
        },
    }
}

fn config_text(config: Option<&At<Config>>) -> String {
    config.map_or_else(|| "{}".to_owned(), |config| config.text.clone())
}

fn stage_places(stage: &At<written::Stage>, report: &Report) -> StagePlaces {
    let spots = |config: Option<&At<Config>>, otherwise: Spot| {
        config.map_or_else(|| BTreeMap::from([(String::new(), otherwise)]), |config| config.spots.clone())
    };
    let fallback = match &stage.on_failure.value {
        written::OnFailure::Fallback(instead) => spots(instead.fallback.config.as_ref(), instead.fallback.name.spot),
        written::OnFailure::Plain(_) => BTreeMap::new(),
    };
    let policy = stage.policy.as_ref().map_or(stage.name.spot, |policy| policy.spot);
    let shadow = stage.shadow.as_ref().map_or(policy, |shadow| shadow.spot);
    StagePlaces {
        policy: report.place(policy),
        shadow: report.place(shadow),
        config: spots(stage.config.as_ref(), policy),
        fallback,
    }
}

fn guardrails(given: &written::Guardrails) -> control::Guardrails {
    control::Guardrails {
        stale_after: given.stale_after.as_ref().map(|at| at.value.0),
        min_coverage: given.min_coverage.value.0,
        silent_after: given.silent_after.as_ref().map(|at| at.value.0),
        scale_up: given.scale_up.as_ref().map(|up| Rate { max_step: up.max_step.value.0, per: up.per.value.0 }),
        scale_down: Rate { max_step: given.scale_down.max_step.value.0, per: given.scale_down.per.value.0 },
        cooldown: given.scale_down.cooldown.value.0,
    }
}

fn target(pool: &written::Pool, folder: &Path) -> Option<TargetSpec> {
    if let Some(process) = &pool.process {
        return Some(TargetSpec::Process(process_spec(process, folder)));
    }
    if let Some(webhook) = &pool.webhook {
        return Some(TargetSpec::Webhook(WebhookSpec {
            url: webhook.url.value.0.clone(),
            timeout: webhook.timeout.value.0,
            auth: webhook.auth.as_ref().and_then(|auth| auth_spec(auth, folder)),
            tls: tls_spec(webhook.tls.as_ref(), folder),
        }));
    }
    pool.dry_run.as_ref().map(|dry| {
        TargetSpec::DryRun(DryRunSpec {
            replicas: dry.replicas.value.0,
            endpoints: dry.endpoints.iter().flat_map(|urls| &urls.value).map(|url| url.value.0.clone()).collect(),
            signals: dry
                .signals
                .iter()
                .flat_map(|signals| &signals.0)
                .map(|(name, value)| (name.clone(), value.value.0))
                .collect(),
        })
    })
}

fn process_spec(process: &written::Process, folder: &Path) -> ProcessSpec {
    let Ports(first, last) = process.ports.value;
    let call = |call: &Call| call.0.clone();
    ProcessSpec {
        command: process.command.value.0.iter().map(|part| part.value.0.clone()).collect(),
        ports: first..=last,
        env: process
            .env
            .iter()
            .flat_map(|env| &env.0)
            .map(|(name, value)| (name.clone(), value.value.0.clone()))
            .collect(),
        working_dir: process.working_dir.as_ref().map(|dir| beside(folder, dir)),
        ready: ReadySpec { http_get: process.ready.http_get.value.0.clone(), timeout: process.ready.timeout.value.0 },
        drain: DrainSpec { grace: process.drain.grace.value.0, timeout: process.drain.timeout.value.0 },
        standby: process
            .standby
            .as_ref()
            .map(|standby| StandbySpec { enter: call(&standby.enter), leave: call(&standby.leave) }),
    }
}

fn source(metric: &written::Metric, folder: &Path) -> Option<SourceSpec> {
    if let Some(engine) = &metric.engine {
        let name = match engine.value {
            written::Engine::Vllm => "vllm",
            written::Engine::LlamaCpp => "llama-cpp",
        };
        return Some(SourceSpec::Engine(EngineSpec {
            preset: presets::find(name)?,
            path: metric.path.value.0.clone(),
            port: metric.port.as_ref().map(|port| port.value.0 as u16),
            scheme: metric.scheme.as_ref().map(|scheme| match scheme.value {
                written::Scheme::Http => Scheme::Http,
                written::Scheme::Https => Scheme::Https,
            }),
            labels: labels(metric.labels.as_ref()),
            auth: metric.auth.as_ref().and_then(|auth| auth_spec(auth, folder)),
            tls: tls_spec(metric.tls.as_ref(), folder),
        }));
    }
    let page = metric.exposition.as_ref()?;
    let signals = page.signals.0.iter().map(|(name, taken)| SignalSpec {
        name: name.clone(),
        metric: taken.metric.value.0.clone(),
        labels: labels(taken.labels.as_ref()),
        within: taken.within.as_ref().map(|within| match within.value {
            written::Within::Last => Within::Last,
            written::Within::Mean => Within::Mean,
            written::Within::Max => Within::Max,
            written::Within::Rate => Within::Rate,
        }),
        across: taken.across.as_ref().map(|across| match across.value {
            written::Across::Sum => Across::Sum,
            written::Across::Mean => Across::Mean,
            written::Across::Max => Across::Max,
            written::Across::Min => Across::Min,
            written::Across::P50 => Across::Percentile(50),
            written::Across::P90 => Across::Percentile(90),
            written::Across::P95 => Across::Percentile(95),
            written::Across::P99 => Across::Percentile(99),
        }),
    });
    Some(SourceSpec::Exposition(ExpositionSpec {
        url: parse_url(&page.url.value.0).ok()?,
        signals: signals.collect(),
        auth: page.auth.as_ref().and_then(|auth| auth_spec(auth, folder)),
        tls: tls_spec(page.tls.as_ref(), folder),
    }))
}

fn auth_spec(auth: &At<written::Auth>, folder: &Path) -> Option<AuthSpec> {
    if let Some(file) = &auth.bearer_file {
        return Some(AuthSpec::Bearer { file: beside(folder, file) });
    }
    let header = auth.header.as_ref()?;
    Some(AuthSpec::Header { name: header.name.value.0.parse().ok()?, file: beside(folder, &header.file) })
}

fn tls_spec(tls: Option<&At<written::Tls>>, folder: &Path) -> TlsSpec {
    TlsSpec { ca_file: tls.map(|tls| beside(folder, &tls.ca_file)) }
}

/// A path of a manifest is relative to the manifest's folder.
fn beside(folder: &Path, file: &At<Text>) -> PathBuf {
    folder.join(&file.value.0)
}

fn labels(map: Option<&At<Map<Text>>>) -> Labels {
    map.iter().flat_map(|map| &map.value.0).map(|(name, value)| (name.clone(), value.value.0.clone())).collect()
}
