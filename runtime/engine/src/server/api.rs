//! The OpenAI-style request and response bodies.
//!
//! For: what a request means in tokens, and the JSON of answers and errors. Unknown fields are ignored, as vLLM does.
//! Never touches the engine.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use trimtab_sim::Request;

/// Output tokens of a completion that does not say (OpenAI's default).
const DEFAULT_COMPLETION_TOKENS: u32 = 16;
/// Output tokens of a chat completion that does not say; a real model would stop by itself.
const DEFAULT_CHAT_TOKENS: u32 = 128;
/// Characters of text to a token, the usual rule of thumb for English.
const CHARS_PER_TOKEN: usize = 4;
/// What the model says, over and over.
const WORDS: [&str; 8] = [" a", " small", " rudder", " turns", " the", " great", " ship", " slowly"];

/// An answer that is not 2xx, in OpenAI's shape.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::BAD_REQUEST, kind: "BadRequestError", message: message.into() }
    }

    pub(super) fn loading() -> ApiError {
        let message = "Loading model".to_owned();
        ApiError { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable_error", message }
    }

    pub(super) fn stopping() -> ApiError {
        let message = "the server is shutting down".to_owned();
        ApiError { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable_error", message }
    }

    pub(super) fn with_status(status: StatusCode, kind: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, kind, message: message.into() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.status.as_u16();
        let body = json!({"error": {"message": self.message, "type": self.kind, "param": null, "code": code}});
        (self.status, Json(body)).into_response()
    }
}

/// Which of the two APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Completions,
    Chat,
}

#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    prompt: Option<Value>,
    messages: Option<Vec<Message>>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// A request understood.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

/// Reads a body for the model served as `model`.
pub(super) fn parse(api: Api, body: &[u8], model: &str) -> Result<Asked, ApiError> {
    let body: Body =
        serde_json::from_slice(body).map_err(|e| ApiError::bad_request(format!("the body is not valid: {e}")))?;
    if let Some(asked) = body.model.as_deref().filter(|asked| *asked != model) {
        let asked: String = asked.chars().take(100).collect();
        let message = format!("The model `{asked}` does not exist; this server has `{model}`.");
        return Err(ApiError::with_status(StatusCode::NOT_FOUND, "NotFoundError", message));
    }
    let (prompt_tokens, default_output) = match api {
        Api::Completions => {
            let prompt = body.prompt.ok_or_else(|| ApiError::bad_request("`prompt` is missing"))?;
            (prompt_tokens(&prompt)?, DEFAULT_COMPLETION_TOKENS)
        }
        Api::Chat => {
            let messages = body.messages.ok_or_else(|| ApiError::bad_request("`messages` is missing"))?;
            (messages.iter().map(|message| text_tokens(&message.content)).sum(), DEFAULT_CHAT_TOKENS)
        }
    };
    let output_tokens = body.max_completion_tokens.or(body.max_tokens).unwrap_or(default_output);
    if output_tokens == 0 {
        return Err(ApiError::bad_request("`max_tokens` must be at least 1"));
    }
    let request = Request { prompt_tokens: u32::try_from(prompt_tokens).unwrap_or(u32::MAX).max(1), output_tokens };
    Ok(Asked { request, stream: body.stream, include_usage: body.stream_options.is_some_and(|o| o.include_usage) })
}

/// Text counts by length, a list of token ids by its items; a bare number is a count of tokens (ours alone: no need to
/// send text that nobody reads).
fn prompt_tokens(prompt: &Value) -> Result<usize, ApiError> {
    match prompt {
        Value::String(text) => Ok(tokens_of(text)),
        Value::Number(count) => count
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| ApiError::bad_request("a numeric `prompt` must be a whole number of tokens")),
        Value::Array(items) if items.iter().all(Value::is_u64) => Ok(items.len()),
        Value::Array(items) if items.len() == 1 => prompt_tokens(&items[0]),
        Value::Array(_) => Err(ApiError::bad_request("one `prompt` a request: batches are not simulated")),
        _ => Err(ApiError::bad_request("`prompt` must be text, a list of token ids, or a number of tokens")),
    }
}

/// Tokens in the content of a chat message: text, or parts of which the text counts.
fn text_tokens(content: &Value) -> usize {
    match content {
        Value::String(text) => tokens_of(text),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).map(tokens_of).sum(),
        _ => 0,
    }
}

fn tokens_of(text: &str) -> usize {
    text.len().div_ceil(CHARS_PER_TOKEN)
}

/// The text of output tokens `from + 1 ..= to`.
pub(super) fn text(from: u32, to: u32) -> String {
    (from..to).map(|i| WORDS[i as usize % WORDS.len()]).collect()
}

/// Names one answer: constant parts of its JSON.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) api: Api,
    pub(super) model: String,
    pub(super) request: Request,
}

impl Shape {
    fn usage(&self) -> Value {
        let Request { prompt_tokens, output_tokens } = self.request;
        json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": u64::from(prompt_tokens) + u64::from(output_tokens),
        })
    }

    /// The whole answer of a request that does not stream.
    pub(super) fn whole(&self) -> Value {
        let text = text(0, self.request.output_tokens);
        let (object, choice) = match self.api {
            Api::Completions => {
                ("text_completion", json!({"index": 0, "text": text, "logprobs": null, "finish_reason": "length"}))
            }
            Api::Chat => {
                let message = json!({"role": "assistant", "content": text});
                ("chat.completion", json!({"index": 0, "message": message, "finish_reason": "length"}))
            }
        };
        json!({"id": "cmpl-0", "object": object, "created": 0, "model": self.model, "choices": [choice],
            "usage": self.usage()})
    }

    /// One event of a stream: tokens `from + 1 ..= to`.
    pub(super) fn chunk(&self, from: u32, to: u32) -> String {
        let text = text(from, to);
        let reason = if to == self.request.output_tokens { json!("length") } else { Value::Null };
        let choice = match self.api {
            Api::Completions => json!({"index": 0, "text": text, "finish_reason": reason}),
            Api::Chat if from == 0 => {
                json!({"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason})
            }
            Api::Chat => json!({"index": 0, "delta": {"content": text}, "finish_reason": reason}),
        };
        self.event(&json!([choice]), None)
    }

    /// The last event before the end, when usage was asked for.
    pub(super) fn usage_chunk(&self) -> String {
        self.event(&json!([]), Some(self.usage()))
    }

    fn event(&self, choices: &Value, usage: Option<Value>) -> String {
        let object = match self.api {
            Api::Completions => "text_completion",
            Api::Chat => "chat.completion.chunk",
        };
        let mut body = json!({"id": "cmpl-0", "object": object, "created": 0, "model": self.model, "choices": choices});
        if let Some(usage) = usage {
            body["usage"] = usage;
        }
        format!("data: {body}\n\n")
    }
}
