//! The pages: which path shows what, and which takes an order.
//!
//! For: finding the thing that a path names and answering with its shape. Never checks who asks: `guard` has.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use trimtab_control::config::WorkloadId;

use super::guard::{self, Guard};
use super::orders::Verb;
use super::problem::ProblemDocument;
use super::shapes::{
    DecisionShape, DecisionsPage, PoliciesPage, PolicyShape, TargetGroup, WorkloadShape, WorkloadsPage,
};
use crate::clock::Clock;
use crate::daemon::{Daemon, OrderError, View};
use crate::metrics::Format;

/// Bytes of a body.
const BODY_BYTES: usize = 64 * 1024;

/// What every page is made from.
#[derive(Clone)]
struct Pages {
    daemon: Daemon,
    clock: Clock,
}

type Answer = Result<Response, ProblemDocument>;
/// The namespace and name in a path, where it could be read.
type Named = Result<Path<(String, String)>, PathRejection>;

/// Every path of the admin port, behind its guard.
pub(super) fn router(daemon: Daemon, clock: Clock, guard: Arc<Guard>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/workloads", get(workloads))
        .route("/v1/workloads/{namespace}/{name}", get(workload))
        .route("/v1/workloads/{namespace}/{name}/decisions", get(decisions))
        .route("/v1/workloads/{namespace}/{name}/wake", order(Verb::Wake))
        .route("/v1/workloads/{namespace}/{name}/pause", order(Verb::Pause))
        .route("/v1/workloads/{namespace}/{name}/resume", order(Verb::Resume))
        .route("/v1/workloads/{namespace}/{name}/override", order(Verb::Override))
        .route("/v1/policies", get(policies))
        .route("/v1/policies/{name}/forget", post(forget))
        .route("/v1/endpoints/{namespace}/{name}", get(endpoints))
        .fallback(async |uri: Uri| ProblemDocument::not_found(format!("there is no page {}", uri.path())))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            let detail = format!("{} does not take {method}; the header Allow says what it takes", uri.path());
            ProblemDocument::new(StatusCode::METHOD_NOT_ALLOWED, detail)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(Pages { daemon, clock })
}

fn json(shape: &impl Serialize) -> Answer {
    match serde_json::to_vec(shape) {
        Ok(body) => Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response()),
        // The shapes are plain; should one ever fail, say so instead of answering half of it.
        Err(error) => Err(ProblemDocument::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

fn message(line: String) -> Answer {
    json(&BTreeMap::from([("message", line)]))
}

fn id(named: Named) -> Result<WorkloadId, ProblemDocument> {
    let Path((namespace, name)) = named.map_err(|error| ProblemDocument::bad_request(error.body_text()))?;
    Ok(WorkloadId { namespace, name })
}

impl Pages {
    fn view(&self, named: Named) -> Result<Arc<View>, ProblemDocument> {
        let id = id(named)?;
        self.daemon.workload(&id).ok_or_else(|| unknown(&id))
    }
}

fn unknown(id: &WorkloadId) -> ProblemDocument {
    ProblemDocument::not_found(OrderError::Unknown(id.clone()).to_string())
}

async fn ready(State(pages): State<Pages>) -> Result<&'static str, ProblemDocument> {
    pages.daemon.ready().map_err(|why| ProblemDocument::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    Ok("ready\n")
}

async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::wanted(accept);
    ([(header::CONTENT_TYPE, format.content_type())], pages.daemon.metrics().encode(format)).into_response()
}

async fn workloads(State(pages): State<Pages>) -> Answer {
    let (views, strays) = (pages.daemon.workloads(), pages.daemon.problems());
    let now = pages.clock.now();
    json(&WorkloadsPage {
        workloads: views.iter().map(|view| WorkloadShape::new(view, now)).collect(),
        problems: strays.iter().chain(views.iter().flat_map(|view| &view.problems)).collect(),
    })
}

async fn workload(State(pages): State<Pages>, named: Named) -> Answer {
    let view = pages.view(named)?;
    json(&WorkloadShape::new(&view, pages.clock.now()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    /// None: all that are kept.
    last: Option<std::num::NonZeroUsize>,
}

async fn decisions(State(pages): State<Pages>, named: Named, query: Result<Query<Last>, QueryRejection>) -> Answer {
    let view = pages.view(named)?;
    let Query(Last { last }) = query.map_err(|_| {
        ProblemDocument::bad_request("the query is `last=N`, a whole number of at least 1, or is left out")
    })?;
    let count = last.map_or(usize::MAX, std::num::NonZeroUsize::get);
    json(&DecisionsPage { decisions: view.decisions.iter().take(count).map(DecisionShape::new).collect() })
}

fn order(verb: Verb) -> MethodRouter<Pages> {
    post(async move |State(pages): State<Pages>, named: Named, body: Result<Bytes, BytesRejection>| -> Answer {
        let id = id(named)?;
        let body = body.map_err(|error| ProblemDocument::new(error.status(), error.body_text()))?;
        let order = verb.read(&body)?;
        match pages.daemon.order(&id, order.command).await {
            Ok(line) => message(line + order.remark),
            Err(OrderError::Unknown(id)) => Err(unknown(&id)),
            Err(error @ OrderError::Refused(_)) => {
                Err(ProblemDocument::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
            }
            Err(error @ OrderError::Stopping) => {
                Err(ProblemDocument::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
            }
        }
    })
}

async fn policies(State(pages): State<Pages>) -> Answer {
    let (snapshot, views) = (pages.daemon.policies(), pages.daemon.workloads());
    // What a module says of itself is asked of the module, and one that nobody uses is not compiled before that.
    let page = tokio::task::spawn_blocking(move || {
        let shape = |entry| PolicyShape::new(entry, views.iter().map(AsRef::as_ref));
        json(&PoliciesPage { policies: snapshot.entries().map(shape).collect() })
    });
    page.await.unwrap_or_else(|error| Err(ProblemDocument::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    tenant: Option<String>,
}

async fn forget(
    State(pages): State<Pages>,
    name: Result<Path<String>, PathRejection>,
    query: Result<Query<Whose>, QueryRejection>,
) -> Answer {
    let Path(name) = name.map_err(|error| ProblemDocument::bad_request(error.body_text()))?;
    let Query(Whose { tenant }) =
        query.map_err(|_| ProblemDocument::bad_request("the query is `tenant=NAMESPACE`, or is left out"))?;
    let of = |key: &crate::modules::Key| key.name == name && (tenant.is_none() || key.tenant == tenant);
    if !pages.daemon.policies().entries().any(|entry| of(&entry.key)) {
        let whose = tenant.map(|tenant| format!(" of tenant {tenant}")).unwrap_or_default();
        return Err(ProblemDocument::not_found(format!("there is no policy {name}{whose}")));
    }
    let line = if pages.daemon.forget(&name, tenant.as_deref()).await {
        format!("{name}: earlier versions forgotten")
    } else {
        format!("{name}: there was nothing to forget")
    };
    tracing::info!(policy = name, tenant = tenant.as_deref().unwrap_or_default(), "{line}");
    message(line)
}

async fn endpoints(State(pages): State<Pages>, named: Named) -> Answer {
    let id = id(named)?;
    let endpoints = pages.daemon.endpoints(&id).await.ok_or_else(|| unknown(&id))?;
    let groups: Vec<TargetGroup<'_>> =
        endpoints.iter().filter_map(|endpoint| TargetGroup::new(&id, endpoint)).collect();
    json(&groups)
}
