//! The JSON of the admin port, made from what the daemon publishes.
//!
//! For: the shapes that scripts depend on. Times are RFC 3339 UTC with milliseconds, durations seconds with the unit in
//! the name, a missing number is null, labels and notes are objects. Fields may be added, never renamed. Never decides
//! what is shown to whom.

mod decisions;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use trimtab_control::sample::Labels;
use trimtab_control::status::{Condition, ConditionType, PoolStatus, StageState, StageStatus};
use trimtab_control::time::{Span, Time};
use trimtab_sandbox::Description;

use crate::daemon::{SourceView, StageView, View};
use crate::manifest::Problem;
use crate::modules::{Entry, Origin, State};
use crate::target::Endpoint;

pub(super) use decisions::{DecisionShape, DecisionsPage};

/// An instant as scripts read it.
struct Instant(Time);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = i64::try_from(self.0.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        write!(f, "{:.3}", at.unwrap_or(Timestamp::MAX))
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Pairs as an object.
struct Object<'a>(&'a Labels);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // A guest may give a note twice; a key stands once, with its last value.
        let fields: BTreeMap<&str, &str> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.serialize(to)
    }
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// `GET /v1/workloads`.
#[derive(Serialize)]
pub(super) struct WorkloadsPage<'a> {
    pub(super) workloads: Vec<WorkloadShape<'a>>,
    /// Of every manifest in trouble, also those that are no workload's.
    pub(super) problems: Vec<&'a Problem>,
}

/// `GET /v1/workloads/NS/NAME`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkloadShape<'a> {
    namespace: &'a str,
    name: &'a str,
    conditions: Vec<ConditionShape<'a>>,
    pools: Vec<PoolShape<'a>>,
    policies: Vec<StageShape<'a>>,
    last_decision: Option<&'a str>,
    missed_ticks: u64,
    sources: Vec<SourceShape<'a>>,
    /// What targets have to say, `POOL: line`.
    messages: &'a [String],
    problems: &'a [Problem],
}

#[derive(Serialize)]
struct ConditionShape<'a> {
    #[serde(rename = "type")]
    kind: ConditionType,
    /// As Kubernetes writes it.
    status: &'static str,
    reason: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolShape<'a> {
    name: &'a str,
    min: u32,
    max: u32,
    desired: u32,
    ready: u32,
    starting: u32,
    draining: u32,
    standby: u32,
    stuck: u32,
    failed: u32,
    silent: &'a [String],
    reported_at: Option<Instant>,
    startup_p50_seconds: f64,
    startup_p90_seconds: f64,
}

#[derive(Serialize)]
struct StageShape<'a> {
    name: &'a str,
    policy: &'a str,
    digest: Option<&'a str>,
    source: Option<Origin>,
    state: StageState,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceShape<'a> {
    source: &'a str,
    place: &'a str,
    pool: Option<&'a str>,
    replica: Option<&'a str>,
    good_at: Option<Instant>,
    age_seconds: Option<f64>,
    error: Option<ErrorShape<'a>>,
}

#[derive(Serialize)]
struct ErrorShape<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> WorkloadShape<'a> {
    /// One workload as it was last published, seen at `now`.
    pub(super) fn new(view: &'a View, now: Time) -> WorkloadShape<'a> {
        let status = &view.status;
        let mut stages = view.stages.iter();
        WorkloadShape {
            namespace: &view.id.namespace,
            name: &view.id.name,
            conditions: status.conditions.iter().map(ConditionShape::new).collect(),
            pools: status.pools.iter().map(PoolShape::new).collect(),
            policies: status.policies.iter().map(|stage| StageShape::new(stage, stages.next())).collect(),
            last_decision: status.last_decision.as_deref(),
            missed_ticks: view.missed_ticks,
            sources: view.sources.iter().map(|source| SourceShape::new(source, now)).collect(),
            messages: &view.notes,
            problems: &view.problems,
        }
    }
}

impl<'a> ConditionShape<'a> {
    fn new(condition: &'a Condition) -> ConditionShape<'a> {
        let status = if condition.status { "True" } else { "False" };
        ConditionShape { kind: condition.kind, status, reason: &condition.reason, message: &condition.message }
    }
}

impl<'a> PoolShape<'a> {
    fn new(pool: &'a PoolStatus) -> PoolShape<'a> {
        PoolShape {
            name: &pool.name,
            min: pool.min,
            max: pool.max,
            desired: pool.desired,
            ready: pool.ready,
            starting: pool.starting,
            draining: pool.draining,
            standby: pool.standby,
            stuck: pool.stuck,
            failed: pool.failed,
            silent: &pool.silent,
            reported_at: pool.reported_at.map(Instant),
            startup_p50_seconds: Span(pool.startup_p50_ms).as_seconds(),
            startup_p90_seconds: Span(pool.startup_p90_ms).as_seconds(),
        }
    }
}

impl<'a> StageShape<'a> {
    fn new(stage: &'a StageStatus, view: Option<&StageView>) -> StageShape<'a> {
        StageShape {
            name: &stage.name,
            policy: &stage.policy,
            digest: present(&stage.digest),
            source: view.and_then(|view| view.source),
            state: stage.state,
            message: &stage.message,
        }
    }
}

impl<'a> SourceShape<'a> {
    fn new(view: &'a SourceView, now: Time) -> SourceShape<'a> {
        SourceShape {
            source: view.source,
            place: &view.place,
            pool: view.replica.as_ref().map(|(pool, _)| &**pool),
            replica: view.replica.as_ref().map(|(_, replica)| &**replica),
            good_at: view.good_at.map(Instant),
            age_seconds: view.good_at.map(|at| now.since(at).as_seconds()),
            error: view.error.as_ref().map(|(code, message)| ErrorShape { code, message }),
        }
    }
}

/// `GET /v1/policies`.
#[derive(Serialize)]
pub(super) struct PoliciesPage<'a> {
    pub(super) policies: Vec<PolicyShape<'a>>,
}

/// One module that the daemon knows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyShape<'a> {
    name: &'a str,
    /// Null: every tenant's.
    tenant: Option<&'a str>,
    digest: Option<&'a str>,
    source: Option<Origin>,
    state: State,
    message: &'a str,
    description: Option<&'a Description>,
    used_by: Vec<String>,
}

impl<'a> PolicyShape<'a> {
    /// One entry; `views`: everybody who might use it. Blocks where the module was not compiled yet.
    pub(super) fn new<'v>(entry: &'a Entry, views: impl IntoIterator<Item = &'v View>) -> PolicyShape<'a> {
        let uses = |view: &&View| view.stages.iter().any(|stage| stage.key.as_ref() == Some(&entry.key));
        PolicyShape {
            name: &entry.key.name,
            tenant: entry.key.tenant.as_deref(),
            digest: present(&entry.digest),
            source: Some(entry.source).filter(|_| !entry.digest.is_empty()),
            state: entry.state,
            message: &entry.message,
            description: entry.serving().and_then(|serving| Some(serving.admitted().ok()?.description())),
            used_by: views.into_iter().filter(uses).map(|view| view.id.to_string()).collect(),
        }
    }
}

/// One element of `GET /v1/endpoints/NS/NAME`, in the form of Prometheus' HTTP service discovery.
#[derive(Serialize)]
pub(super) struct TargetGroup<'a> {
    targets: [String; 1],
    labels: BTreeMap<&'static str, &'a str>,
}

impl<'a> TargetGroup<'a> {
    /// None: the endpoint is no URL with a host.
    pub(super) fn new(id: &'a trimtab_control::config::WorkloadId, endpoint: &'a Endpoint) -> Option<TargetGroup<'a>> {
        let url: http::Uri = endpoint.url.parse().ok()?;
        let authority = url.authority()?;
        let secure = url.scheme_str() == Some("https");
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let mut labels = BTreeMap::from([
            ("namespace", id.namespace.as_str()),
            ("workload", id.name.as_str()),
            ("pool", &*endpoint.pool),
            ("replica", &*endpoint.replica),
        ]);
        if secure {
            labels.insert("__scheme__", "https");
        }
        Some(TargetGroup { targets: [format!("{}:{port}", authority.host())], labels })
    }
}

#[cfg(test)]
pub(super) mod tests;
