//! One handler a route.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use super::api::{self, Api, ApiError, Shape};
use super::engine::{Engine, Handle};

type Shared = State<Arc<Engine>>;
type RawBody = Result<Bytes, BytesRejection>;

pub(super) async fn completions(State(engine): Shared, body: RawBody) -> Result<Response, ApiError> {
    answer(&engine, Api::Completions, body).await
}

pub(super) async fn chat_completions(State(engine): Shared, body: RawBody) -> Result<Response, ApiError> {
    answer(&engine, Api::Chat, body).await
}

async fn answer(engine: &Arc<Engine>, api: Api, body: RawBody) -> Result<Response, ApiError> {
    require_started(engine)?;
    let body = body.map_err(|e| ApiError::with_status(e.status(), "BadRequestError", e.body_text()))?;
    let asked = api::parse(api, &body, &engine.model)?;
    let mut handle = engine.submit(asked.request).map_err(|e| ApiError::bad_request(e.to_string()))?;
    let shape = Shape { api, model: engine.model.clone(), request: asked.request };
    if asked.stream {
        return Ok(streamed(shape, handle, asked.include_usage));
    }
    if handle.finished().await { Ok(Json(shape.whole()).into_response()) } else { Err(ApiError::stopping()) }
}

/// Server-sent events. Tokens that became due since the last write go out in one event; the client reads `usage` for
/// their number, as it must with real servers under load.
fn streamed(shape: Shape, handle: Handle, include_usage: bool) -> Response {
    let events = stream::unfold(Some((shape, handle, 0)), move |state| async move {
        let (shape, mut handle, sent) = state?;
        let progress = handle.next().await;
        let Some(progress) = progress else {
            // No `[DONE]`: the client can tell a stream that was cut from one that ended.
            let error = "data: {\"error\":{\"message\":\"the server is shutting down\",\"code\":503}}\n\n";
            return Some((Ok::<_, Infallible>(Bytes::from_static(error.as_bytes())), None));
        };
        let mut out = if progress.tokens > sent { shape.chunk(sent, progress.tokens) } else { String::new() };
        if !progress.finished {
            return Some((Ok(Bytes::from(out)), Some((shape, handle, progress.tokens))));
        }
        if include_usage {
            out.push_str(&shape.usage_chunk());
        }
        out.push_str("data: [DONE]\n\n");
        Some((Ok(Bytes::from(out)), None))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(events)).into_response()
}

pub(super) async fn models(State(engine): Shared) -> Result<Response, ApiError> {
    require_started(&engine)?;
    let model = json!({"id": engine.model, "object": "model", "created": 0, "owned_by": "trimtab"});
    Ok(Json(json!({"object": "list", "data": [model]})).into_response())
}

pub(super) async fn metrics(State(engine): Shared) -> Result<Response, ApiError> {
    require_started(&engine)?;
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, engine.exposition()).into_response())
}

pub(super) async fn health(State(engine): Shared) -> Result<StatusCode, ApiError> {
    require_started(&engine)?;
    Ok(StatusCode::OK)
}

/// `?level=` of `/sleep`.
#[derive(Debug, Deserialize)]
pub(super) struct SleepQuery {
    level: Option<u8>,
}

pub(super) async fn sleep(
    State(engine): Shared,
    query: Result<Query<SleepQuery>, QueryRejection>,
) -> Result<StatusCode, ApiError> {
    require_started(&engine)?;
    let level = query.ok().map_or(Some(u8::MAX), |Query(query)| query.level).unwrap_or(1);
    if level > 2 {
        return Err(ApiError::bad_request("`level` must be 0, 1 or 2"));
    }
    engine.sleep(level);
    Ok(StatusCode::OK)
}

pub(super) async fn wake_up(State(engine): Shared) -> Result<StatusCode, ApiError> {
    require_started(&engine)?;
    engine.wake().await;
    Ok(StatusCode::OK)
}

pub(super) async fn is_sleeping(State(engine): Shared) -> Response {
    Json(json!({"is_sleeping": engine.is_sleeping()})).into_response()
}

pub(super) async fn not_found() -> ApiError {
    ApiError::with_status(StatusCode::NOT_FOUND, "NotFoundError", "no such route")
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::with_status(StatusCode::METHOD_NOT_ALLOWED, "BadRequestError", "this route does not take this method")
}

fn require_started(engine: &Engine) -> Result<(), ApiError> {
    if engine.started() { Ok(()) } else { Err(ApiError::loading()) }
}
