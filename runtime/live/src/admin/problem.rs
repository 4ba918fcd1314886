//! Errors of the admin port: `application/problem+json` (RFC 9457).
//!
//! For: one form for every refusal, with a detail that names the fix. Text of the caller is cleaned and cut.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use trimtab_sandbox::clean;

/// Bytes of a detail.
const MOST_BYTES: usize = 1024;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ProblemDocument {
    /// No page tells more than the detail does.
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: String,
}

impl ProblemDocument {
    pub(super) fn new(status: StatusCode, detail: impl AsRef<str>) -> ProblemDocument {
        let title = status.canonical_reason().unwrap_or("Error");
        ProblemDocument { r#type: "about:blank", title, status, detail: clean(detail.as_ref(), MOST_BYTES) }
    }

    pub(super) fn not_found(detail: impl AsRef<str>) -> ProblemDocument {
        ProblemDocument::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn bad_request(detail: impl AsRef<str>) -> ProblemDocument {
        ProblemDocument::new(StatusCode::BAD_REQUEST, detail)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn as_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

impl IntoResponse for ProblemDocument {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
