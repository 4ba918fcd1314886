//! One small request to a replica on this host.
//!
//! For: whether it is ready, and sending it to sleep and waking it. Only whether the answer is a 2xx counts.

use std::time::Duration;

use http::Uri;

use crate::client::{Client, Request};
use crate::target::HttpCall;

/// Bytes of an answer, which nobody reads.
const MOST: usize = 256 << 10;

/// Makes the call; an error is what came instead of a 2xx, one line.
pub(super) async fn call(client: &Client, port: u16, call: &HttpCall, within: Duration) -> Result<(), String> {
    let named = |error: String| format!("{} {}: {error}", call.method, trimtab_sandbox::clean(&call.path, 200));
    let url: Uri = format!("http://127.0.0.1:{port}{}", call.path).parse().map_err(|e| named(format!("{e}")))?;
    let request = Request { timeout: within, max_bytes: MOST, ..Request::new(call.method.clone(), &url) };
    client.send(request).await.map(drop).map_err(|error| named(error.fault.to_string()))
}
